/** `npm run bench`: measures, prints, and leaves nothing behind, however it ends. */
import { availableParallelism, loadavg } from "node:os"
import { readCommand, usage, UsageError, type Command } from "./command.ts"
import { toJson, toTable, type StoreFigures } from "./figure.ts"
import { PoolBench } from "./pool/bench.ts"
import { openBenchRedis, type BenchRedis } from "./redis.ts"
import { RuntimeBench } from "./runtime/bench.ts"
import { StartBench } from "./start/bench.ts"

interface Bench {
  measure(): Promise<ReadonlyArray<StoreFigures>>
  /** Ends what the bench has started: also in the middle of a run, which then fails. */
  stop(): Promise<void>
}

const say = (line: string): void => console.error(`• ${line}`)

const open = (command: Command, redis: BenchRedis | undefined): Bench => {
  if (command.bench === "runtime") return new RuntimeBench(command, redis, say)
  return command.bench === "start" && redis !== undefined ? new StartBench(command, redis, say) : new PoolBench(command, redis, say)
}

const print = (command: Command, found: ReadonlyArray<StoreFigures>): void => {
  for (const { store, figures } of found) {
    const table = toTable(figures, "BullMQ")
    const titled = found.length > 1 ? `${store}\n${table}\n` : table
    if (command.json) console.error(titled)
    console.log(command.json ? toJson(command.bench, store, figures) : titled)
  }
}

const run = async (command: Command): Promise<number> => {
  const redis = command.stores.includes("redis") ? await openBenchRedis(command.redis) : undefined
  const bench = open(command, redis)
  let interrupted: NodeJS.Signals | undefined
  const end = async (): Promise<void> => await bench.stop().catch((error: unknown) => console.error(error))
  // Ends the processes of the run under way, which then fails; a second signal (a terminal and a parent both send one) changes nothing.
  const interrupt = (signal: NodeJS.Signals): void => {
    if (interrupted !== undefined) return
    interrupted = signal
    say(`${signal}: ending`)
    void end()
  }
  const boundMs = boundOf(command)
  const overdue = setTimeout(() => {
    say(`not over after ${boundMs / 60_000} minutes: ending`)
    void end()
  }, boundMs)
  process.on("SIGINT", interrupt)
  process.on("SIGTERM", interrupt)
  try {
    const runs = `${command.runs} ${command.runs === 1 ? "run" : "runs"} each, at most ${boundMs / 60_000} minutes`
    say(`${redis?.description ?? "no Redis"}; Node ${process.version}; ${runs}; ${loadOf()}`)
    print(command, await bench.measure())
    return 0
  } catch (error) {
    if (interrupted === undefined) throw error
    return interrupted === "SIGINT" ? 130 : 143
  } finally {
    clearTimeout(overdue)
    await end()
    await redis?.stop()
    process.off("SIGINT", interrupt)
    process.off("SIGTERM", interrupt)
  }
}

/** Whoever reads times of a busy machine should know that it was. */
const loadOf = (): string => {
  const [load = 0] = loadavg()
  return `load ${load.toFixed(1)} on ${availableParallelism()} processors${load > availableParallelism() / 2 ? ": BUSY" : ""}`
}

/** Far above what a bench takes: it ends also when something hangs. */
const boundOf = ({ runs, quick }: Command): number => (5 + runs * (quick ? 1 : 3)) * 60_000

const main = async (): Promise<number> => {
  try {
    const command = readCommand(process.argv.slice(2), process.env)
    if (command.help) {
      console.log(usage)
      return 0
    }
    return await run(command)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    console.error(`✗ ${error.message}\n${usage}`)
    return 2
  }
}

process.exitCode = await main()
