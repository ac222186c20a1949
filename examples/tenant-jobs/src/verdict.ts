/**
 * The proof: a pure function of what the processes wrote down (records.ts). It trusts neither the store nor the SDK.
 *
 * - V1 Every event of a tenant that is in the table at the end was accepted: numbers 1 … last, none missing. Of a deleted tenant, a prefix.
 * - V2 No event was accepted twice, and each tenant's events were accepted in their order.
 * - V3 No two workers ever ran handlers of the same tenant, or held its connection, at the same time. A begin without an end ends when
 *   its process was killed, or when the process was seen to have ended.
 * - V4 After a controller has told a job of its new settings, every iteration that begins sees them; and after it has stopped a job, none begins.
 * - V5 The jobs in the store are the tenants in the table, and each counts as many events as the receiver accepted from it.
 * - V6 What was to be measured could be measured: every tenant of the lost and of the drained worker went on elsewhere.
 * - V7 Absent evidence is no proof: a tenant with accepted events has recorded runs.
 */
import { elsewhere, intervalsOf, overlapsOf, type Interval, type Overlap } from "./intervals.ts"
import { shardMoves } from "./moves.ts"
import type { DeliveryRecord, ScriptRecord, Timed, WorkerRecord } from "./records.ts"

export interface History {
  readonly deliveries: ReadonlyArray<Timed<DeliveryRecord>>
  /** Records of each worker process, by its name. */
  readonly workers: Readonly<Record<string, ReadonlyArray<Timed<WorkerRecord>>>>
  readonly script: ReadonlyArray<Timed<ScriptRecord>>
}

export interface Verdict {
  readonly ok: boolean
  /** Tenants in the table at the end. */
  readonly tenants: number
  /** Events accepted. */
  readonly events: number
  /** Events that should have been accepted and were not. */
  readonly lost: number
  /** Events accepted more than once. */
  readonly duplicated: number
  /** Events that came to the receiver again, and were recognised. */
  readonly redelivered: number
  /** Requests that the receiver refused because of an older fence. */
  readonly staleRefused: number
  /** Pairs of overlapping intervals of one tenant on two workers. */
  readonly overlaps: number
  /** From SIGKILL until the last of the lost worker's tenants ran again. */
  readonly takeoverMs: number | null
  /** Of the drained worker's tenants, the longest time between the last end there and the next run elsewhere. */
  readonly handoffMs: number | null
  readonly handoffP50Ms: number | null
  readonly shardsMoved: number
  readonly shardsMovedIdeal: number
  /** Tenants whose jobs were started, stopped or told of new settings while the demo ran. */
  readonly reconciled: { readonly added: number; readonly deleted: number; readonly changed: number }
  /** From new settings in a row to the first iteration that saw them: the slowest tenant. */
  readonly settingsSeenMs: number | null
  /** What is wrong, in words; empty when ok. */
  readonly problems: ReadonlyArray<string>
}

type Of<T extends ScriptRecord["type"]> = Timed<Extract<ScriptRecord, { type: T }>>

export const judge = (history: History): Verdict => {
  const problems: string[] = []
  const all = <T extends ScriptRecord["type"]>(type: T) => history.script.filter((record): record is Of<T> => record.type === type)
  const intervals = Object.entries(history.workers).flatMap(([worker, records]) => intervalsOf(worker, records, deathOf(worker, history)))
  const final = all("final").at(-1)
  const silent = all("silent").at(-1)
  if (final === undefined || silent === undefined) problems.push("the script did not come to its end")

  const receipts = judgeDeliveries(history, silent?.emitted ?? {}, new Set(final?.desired), problems)
  const overlaps = overlapsOf(intervals)
  for (const overlap of overlaps.slice(0, 5)) problems.push(describeOverlap(overlap))
  const recorded = new Set(intervals.flatMap(({ handler, tenant }) => (handler === "run" ? [tenant] : [])))
  for (const [tenant, count] of receipts.accepted)
    if (count > 0 && !recorded.has(tenant))
      problems.push(`${tenant}: ${count} events were accepted, but no worker recorded a run of its job`)
  judgeSettings(all("applied"), intervals, problems)
  judgeStops(all("gone"), all("added"), intervals, problems)
  if (final !== undefined) judgeFinal(final, receipts.accepted, problems)
  const takeover = judgeTakeover(all("killed"), intervals, goneBy(all("gone")), problems)
  const handoff = judgeHandoff(all("draining"), intervals, goneBy(all("gone")), problems)
  const moves = shardMoves(history)
  if (moves.events === 0) problems.push("no change of the workers was followed until the shards had settled")

  return {
    ok: problems.length === 0,
    tenants: final?.desired.length ?? 0,
    events: receipts.events,
    lost: receipts.lost,
    duplicated: receipts.duplicated,
    redelivered: sum(history.deliveries.map(({ redelivered }) => redelivered.length)),
    staleRefused: history.deliveries.filter(({ status }) => status === 409).length,
    overlaps: overlaps.length,
    takeoverMs: takeover,
    handoffMs: handoff.length === 0 ? null : Math.max(...handoff),
    handoffP50Ms: handoff.length === 0 ? null : (handoff.toSorted((a, b) => a - b)[Math.floor((handoff.length - 1) / 2)] ?? null),
    shardsMoved: moves.moved,
    shardsMovedIdeal: moves.ideal,
    reconciled: {
      added: sum(all("added").map(({ tenants }) => tenants.length)),
      deleted: sum(all("gone").map(({ tenants }) => tenants.length)),
      changed: sum(all("applied").map(({ tenants }) => tenants.length)),
    },
    settingsSeenMs: settingsSeen(all("changed"), intervals),
    problems,
  }
}

/** When a process ran no more: killed, or seen to have ended. Infinity if neither is known. */
const deathOf = (worker: string, { script }: History): bigint | undefined => {
  for (const record of script) if (record.type === "killed" && record.worker === worker) return BigInt(record.sent)
  for (const record of script) if (record.type === "exited" && record.worker === worker) return BigInt(record.t)
  return undefined
}

const judgeDeliveries = (
  { deliveries }: History,
  emitted: Readonly<Record<string, number>>,
  desired: ReadonlySet<string>,
  problems: string[],
): { accepted: Map<string, number>; events: number; lost: number; duplicated: number } => {
  const sequences = new Map<string, number[]>()
  for (const { tenant, accepted } of deliveries) {
    const sequence = sequences.get(tenant) ?? []
    sequence.push(...accepted)
    sequences.set(tenant, sequence)
  }
  for (const tenant of desired) if (!sequences.has(tenant)) sequences.set(tenant, [])
  let [lost, duplicated] = [0, 0]
  const accepted = new Map<string, number>()
  for (const [tenant, sequence] of sequences) {
    const distinct = new Set(sequence)
    const highest = Math.max(
      0,
      ...(desired.has(tenant) ? [emitted[tenant] ?? 0] : []),
      sequence.reduce((a, b) => Math.max(a, b), 0),
    )
    const missing = Array.from({ length: highest }, (_, i) => i + 1).filter((number) => !distinct.has(number))
    const twice = sequence.length - distinct.size
    if (missing.length > 0) problems.push(`${tenant}: ${missing.length} of ${highest} events were not accepted (${listed(missing)})`)
    if (twice > 0) problems.push(`${tenant}: ${twice} events were accepted twice`)
    const disordered = sequence.findIndex((number, i) => number < (sequence[i - 1] ?? 0))
    if (disordered > 0 && twice === 0)
      problems.push(`${tenant}: event ${sequence[disordered]} was accepted after ${sequence[disordered - 1]}`)
    lost += missing.length
    duplicated += twice
    accepted.set(tenant, distinct.size)
  }
  return { accepted, events: sum([...accepted.values()]), lost, duplicated }
}

/** When the job of each stopped tenant was stopped. */
const goneBy = (gone: ReadonlyArray<Of<"gone">>): Map<string, bigint> =>
  new Map(gone.flatMap(({ t, tenants }) => tenants.map((tenant) => [tenant, BigInt(t)] as const)))

const judgeSettings = (applied: ReadonlyArray<Of<"applied">>, intervals: ReadonlyArray<Interval>, problems: string[]): void => {
  for (const { t, tenants, label } of applied)
    for (const tenant of tenants) {
      const later = intervals.filter((run) => run.tenant === tenant && run.handler === "run" && run.begin > BigInt(t))
      const old = later.filter((run) => run.label !== label)
      if (later.length === 0) problems.push(`${tenant}: no iteration began after its settings were changed to ${label}`)
      if (old.length > 0) problems.push(`${tenant}: ${old.length} iterations began with old settings after ${label} was applied`)
    }
}

const judgeStops = (
  gone: ReadonlyArray<Of<"gone">>,
  added: ReadonlyArray<Of<"added">>,
  intervals: ReadonlyArray<Interval>,
  problems: string[],
): void => {
  for (const [tenant, at] of goneBy(gone)) {
    const again = added.some(({ t, tenants }) => BigInt(t) > at && tenants.includes(tenant))
    const late = intervals.filter((run) => run.tenant === tenant && (run.handler === "run" || run.handler === "open") && run.begin > at)
    if (!again && late.length > 0) problems.push(`${tenant}: ran ${late.length} times after its job was stopped`)
  }
}

const judgeFinal = ({ desired, delivered }: Of<"final">, accepted: ReadonlyMap<string, number>, problems: string[]): void => {
  const running = Object.keys(delivered)
  const missing = desired.filter((tenant) => !running.includes(tenant))
  const extra = running.filter((tenant) => !desired.includes(tenant))
  if (missing.length > 0) problems.push(`tenants without a running job: ${listed(missing)}`)
  if (extra.length > 0) problems.push(`jobs without a tenant: ${listed(extra)}`)
  for (const [tenant, count] of Object.entries(delivered)) {
    const received = accepted.get(tenant) ?? 0
    if (count !== received) problems.push(`${tenant}: its job counts ${count} delivered events, the receiver ${received}`)
  }
}

const judgeTakeover = (
  killed: ReadonlyArray<Of<"killed">>,
  intervals: ReadonlyArray<Interval>,
  gone: ReadonlyMap<string, bigint>,
  problems: string[],
): number | null => {
  const times: number[] = []
  for (const { worker, t } of killed)
    for (const { tenant, next } of elsewhere(worker, BigInt(t), intervals, gone)) {
      if (next === undefined) problems.push(`${tenant}: never ran again after ${worker} was killed`)
      else times.push(toMs(next.begin - BigInt(t)))
    }
  if (times.length === 0) problems.push("no worker with tenants was killed")
  return times.length === 0 ? null : Math.max(...times)
}

const judgeHandoff = (
  draining: ReadonlyArray<Of<"draining">>,
  intervals: ReadonlyArray<Interval>,
  gone: ReadonlyMap<string, bigint>,
  problems: string[],
): number[] => {
  const gaps: number[] = []
  for (const { worker, t } of draining)
    for (const { tenant, last, next } of elsewhere(worker, BigInt(t), intervals, gone)) {
      if (next === undefined) problems.push(`${tenant}: never ran again after ${worker} was drained`)
      else gaps.push(toMs(next.begin - last.end))
    }
  if (gaps.length === 0) problems.push("no worker with tenants was drained")
  return gaps
}

const settingsSeen = (changed: ReadonlyArray<Of<"changed">>, intervals: ReadonlyArray<Interval>): number | null => {
  const times = changed.flatMap(({ t, tenants, label }) =>
    tenants.flatMap((tenant) => {
      const first = intervals.find((run) => run.tenant === tenant && run.handler === "run" && run.label === label && run.begin > BigInt(t))
      return first === undefined ? [] : [toMs(first.begin - BigInt(t))]
    }),
  )
  return times.length === 0 ? null : Math.max(...times)
}

const describeOverlap = ({ tenant, first, second, ms }: Overlap): string =>
  `${tenant}: ${first.handler} on ${first.worker} and ${second.handler} on ${second.worker} overlapped by ${ms.toFixed(3)} ms`

const toMs = (nanos: bigint): number => Math.round(Number(nanos) / 1e5) / 10

const sum = (numbers: ReadonlyArray<number>): number => numbers.reduce((a, b) => a + b, 0)

const listed = (items: ReadonlyArray<string | number>): string => `${items.slice(0, 5).join(", ")}${items.length > 5 ? ", …" : ""}`

/** The verdict as the one line that programs read. */
export const verdictLine = (verdict: Verdict, store: string): string => {
  const {
    ok,
    tenants,
    events,
    lost,
    duplicated,
    redelivered,
    staleRefused,
    overlaps,
    takeoverMs,
    handoffMs,
    shardsMoved,
    shardsMovedIdeal,
  } = verdict
  return JSON.stringify({
    ok,
    store,
    tenants,
    events,
    lost,
    duplicated,
    redelivered,
    staleRefused,
    overlaps,
    takeoverMs,
    handoffMs,
    shardsMoved,
    shardsMovedIdeal,
  })
}

/** The verdict for people. */
export const verdictText = (verdict: Verdict, store: string): string => {
  const { ok, tenants, events, reconciled } = verdict
  const ms = (value: number | null) => (value === null ? "not measured" : `${value} ms`)
  const rows: ReadonlyArray<readonly [string, string]> = [
    ["store", store],
    [
      "tenants",
      `${tenants}; reconciled: ${reconciled.added} added, ${reconciled.deleted} deleted, ${reconciled.changed} with new settings`,
    ],
    ["events", `${events} accepted, ${verdict.lost} lost, ${verdict.duplicated} accepted twice`],
    [
      "receiver",
      `${verdict.redelivered} events came again and were recognised, ${verdict.staleRefused} requests with an old fence refused`,
    ],
    ["overlaps", `${verdict.overlaps}: moments at which two workers ran one tenant`],
    ["takeover", `${ms(verdict.takeoverMs)} from SIGKILL until the last of the lost worker's tenants ran again`],
    [
      "hand-over",
      `${ms(verdict.handoffMs)} at most, ${ms(verdict.handoffP50Ms)} p50, from the last end on the drained worker to the next run`,
    ],
    ["shards moved", `${verdict.shardsMoved}; the least possible is ${verdict.shardsMovedIdeal}`],
    ["new settings", `${ms(verdict.settingsSeenMs)} from the row to the iteration of the slowest`],
  ]
  const lines = rows.map(([name, text]) => `  ${name.padEnd(13)}${text}`)
  const problems = verdict.problems.map((problem) => `  ✗ ${problem}`)
  return `\n${ok ? "✓ ok" : "✗ NOT OK"}\n${[...lines, ...problems].join("\n")}\n`
}
