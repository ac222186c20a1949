/** The command line and the environment of `npm run bench`, checked. */

/** What the user got wrong, and how it is right. */
export class UsageError extends Error {}

export const benchNames = ["start", "pool", "runtime"] as const
export type BenchName = (typeof benchNames)[number]

/** Parts of each bench. */
export const workloadNames = {
  start: ["starts", "endToEnd", "latency"],
  pool: ["takeover", "moved", "latency", "parked"],
  runtime: ["starts", "endToEnd", "steps", "step", "signal", "parked"],
} as const satisfies Record<BenchName, ReadonlyArray<string>>
export type WorkloadName = (typeof workloadNames)[BenchName][number]

/** `redis-everysec`: a Redis that writes its log to disk once a second. */
export const storeNames = {
  start: ["redis"],
  pool: ["redis", "sqlite"],
  runtime: ["redis", "redis-everysec", "sqlite"],
} as const satisfies Record<BenchName, ReadonlyArray<string>>
export type StoreName = (typeof storeNames)[BenchName][number]

/** Repetitions, unless `--runs` says another number. */
const defaultRuns = { start: 3, pool: 5, runtime: 3 } as const
/** The same with `--quick`. */
const quickRuns = { start: 3, pool: 1, runtime: 1 } as const

export interface Command {
  readonly bench: BenchName
  readonly workloads: ReadonlyArray<WorkloadName>
  readonly stores: ReadonlyArray<StoreName>
  readonly runs: number
  readonly quick: boolean
  readonly json: boolean
  readonly help: boolean
  /** From PONOS_BENCH_REDIS; undefined: a server of its own. May hold a password: never print it. */
  readonly redis: string | undefined
}

export const usage = `usage: npm run bench -- [start|pool|runtime] [--quick] [--json] [--runs N] [--only W] [--store S]
  start      starts, end to end and latency of durable jobs, beside BullMQ on the same Redis (the default)
  pool       what a pool promises: takeover, handover, overlap, moves, idle cost, parked jobs, latency
  runtime    what durable jobs cost: starts, jobs and steps a second, a step, signals, a million parked runs
  --quick    shorter or fewer runs, less exact: under a minute, pool and runtime under 90 seconds
  --json     the figures as one line of JSON for each store at the end of stdout; all else goes to stderr
  --runs N   repetitions of each workload, 1 to 50 (start 3; pool 5, quick 1; runtime 3, quick 1)
  --only W   only these workloads, separated by commas: ${workloadNames.start.join(",")}; pool: ${workloadNames.pool.join(",")};
             runtime: ${workloadNames.runtime.join(",")}
  --store S  one store instead of all: pool: ${storeNames.pool.join(", ")}; runtime: ${storeNames.runtime.join(", ")}
PONOS_BENCH_REDIS=redis://host:port measures on that server; without it a redis-server is started, without persistence.`

const flags = ["--quick", "--json", "--help", "--runs", "--only", "--store"]
const withValue = new Set(["--runs", "--only", "--store"])

export const readCommand = (args: ReadonlyArray<string>, environment: Readonly<Record<string, string | undefined>>): Command => {
  const given = new Map<string, string>()
  let named: BenchName | undefined
  for (let at = 0; at < args.length; at++) {
    const [name = "", inline] = (args[at] ?? "").split(/=(.*)/s)
    if (!name.startsWith("-")) {
      if (named !== undefined) throw new UsageError(`expected one bench, got two: ${named} and ${name}`)
      named = oneOf(name, benchNames, "a bench")
      continue
    }
    oneOf(name, flags, "a flag")
    if (given.has(name)) throw new UsageError(`expected ${name} once, got it twice`)
    if (!withValue.has(name) && inline !== undefined) throw new UsageError(`expected ${name} without a value, got: ${args[at]}`)
    given.set(name, withValue.has(name) ? (inline ?? args[++at] ?? "nothing") : "")
  }
  const bench = named ?? "start"
  const quick = given.has("--quick")
  const known: ReadonlyArray<WorkloadName> = workloadNames[bench]
  return {
    bench,
    workloads:
      given
        .get("--only")
        ?.split(",")
        .map((name) => oneOf(name, known, `a workload of ${bench}`)) ?? known,
    stores: readStores(bench, given.get("--store")),
    runs: readRuns(given.get("--runs")) ?? (quick ? quickRuns : defaultRuns)[bench],
    quick,
    json: given.has("--json"),
    help: given.has("--help"),
    redis: readRedis(environment["PONOS_BENCH_REDIS"]),
  }
}

const oneOf = <Name extends string>(given: string, names: ReadonlyArray<Name>, what: string): Name => {
  const found = names.find((name) => name === given)
  if (found !== undefined) return found
  const near = names.find((name) => name.toLowerCase().startsWith(given.toLowerCase().slice(0, 5)))
  throw new UsageError(
    `expected ${what} to be one of ${names.join(", ")}, got: ${given}${near === undefined ? "" : ` (did you mean ${near}?)`}`,
  )
}

const readStores = (bench: BenchName, given: string | undefined): ReadonlyArray<StoreName> => {
  const known: ReadonlyArray<StoreName> = storeNames[bench]
  if (given === undefined) return known
  if (bench === "start" && given !== "redis")
    throw new UsageError(`expected --store ${given} with pool or runtime: the bench start is beside BullMQ, on Redis`)
  return [oneOf(given, known, "a store")]
}

const readRuns = (text: string | undefined): number | undefined => {
  if (text === undefined) return undefined
  const runs = Number(text)
  if (!/^\d+$/.test(text) || runs < 1 || runs > 50) throw new UsageError(`expected --runs to be an integer from 1 to 50, got: ${text}`)
  return runs
}

const readRedis = (url: string | undefined): string | undefined => {
  if (url === undefined || url === "") return undefined
  if (/^rediss?:\/\//.test(url) && URL.canParse(url)) return url
  throw new UsageError(`expected PONOS_BENCH_REDIS to be an address as in redis://127.0.0.1:6379, got: ${url.replace(/\/\/.*@/, "//…@")}`)
}
