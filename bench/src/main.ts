/** `npm run bench`: measures, prints, and leaves nothing behind, however it ends. */
import { readCommand, usage, UsageError, type Command } from "./command.ts"
import { toJson, toTable } from "./figure.ts"
import { openBenchRedis } from "./redis.ts"
import { StartBench } from "./start/bench.ts"

const run = async (command: Command): Promise<number> => {
  const say = (line: string): void => console.error(`• ${line}`)
  const redis = await openBenchRedis(command.redis)
  const bench = new StartBench(command, redis, say)
  let interrupted: NodeJS.Signals | undefined
  // Ends the processes of the run under way, which then fails; a second signal (a terminal and a parent both send one) changes nothing.
  const interrupt = (signal: NodeJS.Signals): void => {
    if (interrupted !== undefined) return
    interrupted = signal
    say(`${signal}: ending`)
    bench.stop().catch(() => undefined)
  }
  process.on("SIGINT", interrupt)
  process.on("SIGTERM", interrupt)
  try {
    say(`${redis.description}; Node ${process.version}; ${command.runs} runs each`)
    const figures = await bench.measure()
    const table = toTable(figures, "BullMQ")
    if (command.json) console.error(table)
    console.log(command.json ? toJson(command.bench, "redis", figures) : table)
    return 0
  } catch (error) {
    if (interrupted === undefined) throw error
    return interrupted === "SIGINT" ? 130 : 143
  } finally {
    await bench.stop().catch((error: unknown) => console.error(error))
    await redis.stop()
    process.off("SIGINT", interrupt)
    process.off("SIGTERM", interrupt)
  }
}

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
