/**
 * One table of options and limits, and one grammar for the errors about them. Documentation of options is this table: unit, default,
 * bounds and why stand beside each other.
 */
import type { DurationInput } from "./define/index.ts"
import { BadOption } from "./errors.ts"

export interface OptionSpec {
  readonly unit: "ms" | "count" | "bytes" | "ratio"
  readonly default: number
  readonly min: number
  readonly max: number
  readonly why: string
}

const day = 86_400_000

/** Options that users may change (`createWorker`, `Pool.join`, `createClient`), and the limits (L1). */
export const optionTable = {
  shards: { unit: "count", default: 256, min: 1, max: 4096, why: "fixed slices of the key space; fixed when the pool is first joined" },
  weight: { unit: "count", default: 1, min: 1, max: 100, why: "share of this worker among its group" },
  leaseMs: { unit: "ms", default: 6_000, min: 500, max: 60_000, why: "how long a silent session keeps its shards" },
  renewMs: { unit: "ms", default: 2_000, min: 100, max: 20_000, why: "time between renewals; at most a third of leaseMs" },
  watchMs: { unit: "ms", default: 250, min: 50, max: 5_000, why: "how often the watchers read the counters" },
  probeMs: { unit: "ms", default: 100, min: 10, max: 5_000, why: "how often the watchers look whether the others' processes are there" },
  reconnectGraceMs: {
    unit: "ms",
    default: 250,
    min: 50,
    max: 60_000,
    why: "a process that stays away this long is dead; one that lost its connections aborts within it; at least twice probeMs",
  },
  abortGraceMs: { unit: "ms", default: 1_000, min: 0, max: 30_000, why: "abortSignal fires this long before the end of trust" },
  maxStallMs: {
    unit: "ms",
    default: 3_000,
    min: 50,
    max: 60_000,
    why: "a loop that is blocked for longer is reported, and its lease is not renewed until it is free; at most half of leaseMs by default",
  },
  settleMs: {
    unit: "ms",
    default: 200,
    min: 0,
    max: 60_000,
    why: "joins and leaves within it are one rebalancing; orphans do not wait, leaves at most 500",
  },
  drainMs: {
    unit: "ms",
    default: 10_000,
    min: 0,
    max: 600_000,
    why: "handlers that do not settle are abandoned after it; ponos worker kills after it, and gives workers 80 % of it",
  },
  drainBudgetMs: {
    unit: "ms",
    default: 50,
    min: 0,
    max: 600_000,
    why: "a worker that leaves runs on for so long before it aborts, unless nothing runs: its heirs subscribe, and short work ends by itself; a part of drainMs",
  },
  sweepMs: { unit: "ms", default: 1_000, min: 100, max: 60_000, why: "finds what a lost hint missed" },
  statsWindowMs: {
    unit: "ms",
    default: 60_000,
    min: 1_000,
    max: 3_600_000,
    why: "queueing delays (p50, p99) and utilisation in stats() are those of so long",
  },
  targetDelayMs: { unit: "ms", default: 1_000, min: 1, max: day, why: "stats() recommends more workers when a run waits for longer" },
  targetUtilisation: {
    unit: "ratio",
    default: 0.7,
    min: 0.05,
    max: 1,
    why: "stats() recommends as many workers as are busy to this share",
  },
  minWorkers: { unit: "count", default: 1, min: 0, max: 10_000, why: "of a group: stats() recommends no fewer" },
  maxWorkers: { unit: "count", default: 100, min: 0, max: 10_000, why: "of a group: stats() recommends no more" },
  scaleDownMs: {
    unit: "ms",
    default: 60_000,
    min: 0,
    max: day,
    why: "stats() recommends fewer workers when all readings of so long agree",
  },
  concurrency: { unit: "count", default: 1_000, min: 1, max: 100_000, why: "iterations that run at the same time in one worker" },
  maxResident: {
    unit: "count",
    default: 10_000,
    min: 1,
    max: 1_000_000,
    why: "runs held in memory with their resources; the idlest leave first",
  },
  parkAfterMs: {
    unit: "ms",
    default: 10_000,
    min: 100,
    max: day,
    why: "a handler that waits so long inside an iteration, and holds no resource, leaves memory until what it waits for comes",
  },
  sharedIdleMs: {
    unit: "ms",
    default: 60_000,
    min: 0,
    max: day,
    why: "what the jobs of a tenant share is closed when nobody used it for so long; shared({ idle })",
  },
  activityConcurrency: {
    unit: "count",
    default: 100,
    min: 1,
    max: 10_000,
    why: "activity tries of one queue that run at the same time in one worker",
  },
  callTimeoutMs: { unit: "ms", default: 5_000, min: 100, max: 60_000, why: "deadline of one store call" },
  payloadBytes: { unit: "bytes", default: 1_048_576, min: 1_024, max: 16_777_216, why: "input, state, message, step or activity result" },
  inboxLimit: { unit: "count", default: 1_000, min: 1, max: 100_000, why: "unread messages of one run; clients are refused above it" },
  inboxReserve: { unit: "count", default: 200, min: 1, max: 10_000, why: "room in the inbox above inboxLimit for results and cancels" },
  journalLimit: { unit: "count", default: 10_000, min: 10, max: 1_000_000, why: "entries of one iteration; then the run is Blocked" },
  linkLimit: {
    unit: "count",
    default: 1_000,
    min: 1,
    max: 10_000,
    why: "of one run: children that end with it, and runs that wait for its end",
  },
  outboxLimit: {
    unit: "count",
    default: 10_000,
    min: 1,
    max: 1_000_000,
    why: "what the ends of runs have yet to tell, of a shard: no run may wait for another one above it",
  },
  keyBytes: { unit: "bytes", default: 512, min: 1, max: 512, why: "a key is part of every record and hint" },
  resultRetentionMs: { unit: "ms", default: day, min: 1_000, max: 365 * day, why: "how long an ended run and its outcome are kept" },
  requestRetentionMs: { unit: "ms", default: day, min: 1_000, max: 30 * day, why: "how long request ids and answers are kept" },
  queryTimeoutMs: { unit: "ms", default: 5_000, min: 10, max: 600_000, why: "then a query throws NoWorker" },
  mapEntries: { unit: "count", default: 10_000, min: 1, max: 100_000, why: "every process that joined a map holds it whole" },
  mapBytes: { unit: "bytes", default: 8_388_608, min: 1_024, max: 67_108_864, why: "keys and values of one map; a snapshot is one answer" },
  mapAgeMs: { unit: "ms", default: 0, min: 0, max: 365 * day, why: "a map that nothing changed for so long is removed; 0: never" },
  mapCheckMs: { unit: "ms", default: 5_000, min: 100, max: 600_000, why: "finds what a lost notification missed" },
  streamLength: { unit: "count", default: 10_000, min: 1, max: 10_000_000, why: "events that a stream keeps; the oldest leave first" },
  streamAgeMs: { unit: "ms", default: 7 * day, min: 1_000, max: 365 * day, why: "older events leave with the next append or trim" },
  streamBatch: { unit: "count", default: 100, min: 1, max: 200, why: "events of one page: what a slow reader holds in memory" },
  streamPollMs: { unit: "ms", default: 1_000, min: 10, max: 60_000, why: "finds the events that a lost hint missed" },
  sinkBatch: { unit: "count", default: 16, min: 1, max: 200, why: "events that a consumer holds at once; they wait for each other" },
  ackGraceMs: { unit: "ms", default: 30_000, min: 100, max: 86_400_000, why: "an event that is not acknowledged in it is given again" },
  consumerLeaseMs: { unit: "ms", default: 6_000, min: 300, max: 60_000, why: "a consumer that is silent for so long is removed" },
  auditLength: { unit: "count", default: 256, min: 10, max: 100_000, why: "claims and releases of a shard that its audit keeps" },
  updateTimeoutMs: { unit: "ms", default: 30_000, min: 10, max: 3_600_000, why: "how long update() waits for its answer" },
  processes: { unit: "count", default: 1, min: 1, max: 256, why: "worker processes of one supervisor; about one for each core" },
  restartFirstMs: { unit: "ms", default: 500, min: 10, max: 60_000, why: "wait before a process that died is started again; doubles" },
  restartMaxMs: { unit: "ms", default: 30_000, min: 10, max: 600_000, why: "longest wait; not below restartFirstMs" },
  healthyMs: { unit: "ms", default: 10_000, min: 100, max: 600_000, why: "a worker that lives so long has no failures to its name" },
  startTries: {
    unit: "count",
    default: 5,
    min: 1,
    max: 1_000,
    why: "deaths in a row that end a supervisor none of whose workers was healthy",
  },
} as const satisfies Record<string, OptionSpec>

export type OptionName = keyof typeof optionTable
export type Options = { readonly [K in OptionName]: number }

export const defaults: Options = Object.fromEntries(Object.entries(optionTable).map(([name, spec]) => [name, spec.default])) as Options

const show = (value: unknown): string => {
  try {
    return JSON.stringify(value) ?? String(value)
  } catch {
    return String(value)
  }
}

/** Edit distance, for "did you mean". */
const distance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)))
    }
    row = next
  }
  return row[b.length] ?? 0
}

/** Refuses what is no object of options, and names that are not in `known`, naming the nearest one. */
export const refuseUnknown = (given: object, known: ReadonlyArray<string>, where: string): void => {
  if (typeof given !== "object" || given === null || Array.isArray(given))
    throw new BadOption(`expected ${where} to get its options as an object (${known.slice(0, 3).join(", ")} …), got: ${show(given)}`, {
      where,
    })
  for (const name of Object.keys(given)) {
    if (known.includes(name)) continue
    const nearest = known
      .map((candidate) => [distance(name.toLowerCase(), candidate.toLowerCase()), candidate] as const)
      .sort((x, y) => x[0] - y[0])[0]
    const hint = nearest !== undefined && nearest[0] <= Math.max(2, name.length / 3) ? ` (did you mean ${nearest[1]}?)` : ""
    // the mistake is read first where the list is long
    const message =
      known.length > 12
        ? `expected ${where} to have only options that it knows, got: \`${name}\`${hint}. It knows ${known.join(", ")}.`
        : `expected ${where} to have only the options ${known.join(", ")}, got: \`${name}\`${hint}`
    throw new BadOption(message, { option: name, where })
  }
}

/** Checks the named options of `given` against the table and fills in defaults. */
export const readOptions = <N extends OptionName>(
  given: Readonly<Partial<Record<string, unknown>>>,
  names: ReadonlyArray<N>,
): { readonly [K in N]: number } => {
  const result: Partial<Record<N, number>> = {}
  for (const name of names) {
    const spec: OptionSpec = optionTable[name]
    const value = given[name]
    if (value === undefined) {
      result[name] = spec.default
      continue
    }
    const ok = typeof value === "number" && value >= spec.min && value <= spec.max && (spec.unit === "ratio" || Number.isInteger(value))
    if (!ok) {
      const hint =
        spec.unit === "ms" && typeof value === "string" && !Number.isNaN(durationOrNaN(value))
          ? ` (did you mean ${durationOrNaN(value)}?)`
          : ""
      const what = spec.unit === "ratio" ? "a number" : "an integer"
      throw new BadOption(`expected ${name} to be ${what} from ${spec.min} to ${spec.max} (${spec.unit}), got: ${show(value)}${hint}`, {
        option: name,
        value,
      })
    }
    result[name] = value
  }
  return result as { readonly [K in N]: number }
}

const unitMs: Readonly<Record<string, number>> = {
  ms: 1,
  milli: 1,
  millis: 1,
  s: 1_000,
  second: 1_000,
  seconds: 1_000,
  m: 60_000,
  minute: 60_000,
  minutes: 60_000,
  h: 3_600_000,
  hour: 3_600_000,
  hours: 3_600_000,
  day,
  days: day,
  week: 7 * day,
  weeks: 7 * day,
}

const durationOrNaN = (text: string): number => {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]+)$/.exec(text)
  const unit = match?.[2] === undefined ? undefined : unitMs[match[2]]
  return match === null || unit === undefined ? Number.NaN : Math.round(Number(match[1]) * unit)
}

/** Milliseconds of a `DurationInput`; throws `BadOption` naming `what`. */
export const toMillis = (duration: DurationInput, what: string): number => {
  const ms = typeof duration === "number" ? duration : durationOrNaN(duration)
  if (!Number.isFinite(ms) || ms < 0 || ms > 1_000 * 365 * day)
    throw new BadOption(`expected ${what} to be a duration such as 500 or "30 seconds", got: ${show(duration)}`, {
      option: what,
      value: duration,
    })
  return ms
}
