/** The command line and the environment of `npm run bench`, checked. */

/** What the user got wrong, and how it is right. */
export class UsageError extends Error {}

export const benchNames = ["start"] as const
export type BenchName = (typeof benchNames)[number]

/** Parts of the bench `start`. */
export const workloadNames = ["starts", "endToEnd", "latency"] as const
export type WorkloadName = (typeof workloadNames)[number]

export interface Command {
  readonly bench: BenchName
  readonly workloads: ReadonlyArray<WorkloadName>
  readonly runs: number
  readonly quick: boolean
  readonly json: boolean
  readonly help: boolean
  /** From PONOS_BENCH_REDIS; undefined: a server of its own. May hold a password: never print it. */
  readonly redis: string | undefined
}

export const usage = `usage: npm run bench -- [start] [--quick] [--json] [--runs N] [--only ${workloadNames.join(",")}]
  start     starts, end to end and latency of durable jobs, beside BullMQ on the same Redis (the default)
  --quick   shorter runs: under a minute, less exact
  --json    the figures as one line of JSON at the end of stdout; all else goes to stderr
  --runs N  repetitions of each workload, 1 to 50 (3)
  --only W  only these workloads, separated by commas
PONOS_BENCH_REDIS=redis://host:port measures on that server; without it a redis-server is started, without persistence.`

const flags = ["--quick", "--json", "--help", "--runs", "--only"]
const withValue = new Set(["--runs", "--only"])

export const readCommand = (args: ReadonlyArray<string>, environment: Readonly<Record<string, string | undefined>>): Command => {
  const given = new Map<string, string>()
  let bench: BenchName | undefined
  for (let at = 0; at < args.length; at++) {
    const [name = "", inline] = (args[at] ?? "").split(/=(.*)/s)
    if (!name.startsWith("-")) {
      if (bench !== undefined) throw new UsageError(`expected one bench, got two: ${bench} and ${name}`)
      bench = oneOf(name, benchNames, "a bench")
      continue
    }
    oneOf(name, flags, "a flag")
    if (given.has(name)) throw new UsageError(`expected ${name} once, got it twice`)
    if (!withValue.has(name) && inline !== undefined) throw new UsageError(`expected ${name} without a value, got: ${args[at]}`)
    given.set(name, withValue.has(name) ? (inline ?? args[++at] ?? "nothing") : "")
  }
  const only = given.get("--only")
  return {
    bench: bench ?? "start",
    workloads: only === undefined ? workloadNames : only.split(",").map((name) => oneOf(name, workloadNames, "a workload")),
    runs: readRuns(given.get("--runs")),
    quick: given.has("--quick"),
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

const readRuns = (text: string | undefined): number => {
  if (text === undefined) return 3
  const runs = Number(text)
  if (!/^\d+$/.test(text) || runs < 1 || runs > 50) throw new UsageError(`expected --runs to be an integer from 1 to 50, got: ${text}`)
  return runs
}

const readRedis = (url: string | undefined): string | undefined => {
  if (url === undefined || url === "") return undefined
  if (/^rediss?:\/\//.test(url) && URL.canParse(url)) return url
  throw new UsageError(`expected PONOS_BENCH_REDIS to be an address as in redis://127.0.0.1:6379, got: ${url.replace(/\/\/.*@/, "//…@")}`)
}
