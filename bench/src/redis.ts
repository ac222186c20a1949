/** The Redis that is measured on: the one that PONOS_BENCH_REDIS names, or one of its own, without persistence or with a log of all writes. */
import { Redis } from "ioredis"
import { startRedis } from "../../tools/test-redis.ts"
import { UsageError } from "./command.ts"

export interface BenchRedis {
  readonly url: string
  /** Where it is from and its version, for the report. */
  readonly description: string
  /** Processor time that the server used so far, ms. */
  cpu(): Promise<number>
  /** Removes every key whose name contains `part`. */
  clean(part: string): Promise<void>
  /** Ends the connection, and the server if it is ours. */
  stop(): Promise<void>
}

const connectTimeoutMs = 3_000
const scanCount = 5_000

/** `everysec`: what it writes is on the disk a second later. */
export const openBenchRedis = async (named: string | undefined, persistence: "none" | "everysec" = "none"): Promise<BenchRedis> => {
  const server = named === undefined ? await startRedis("binary") : { url: named, from: "PONOS_BENCH_REDIS", stop: async () => {} }
  const redis = new Redis(server.url, { lazyConnect: true, connectTimeout: connectTimeoutMs, retryStrategy: null })
  // the first one is the cause: the rejected call only says that the connection is closed
  let cause: Error | undefined
  redis.on("error", (error: Error) => (cause ??= error))
  try {
    await redis.connect()
    if (named === undefined)
      await redis.config("SET", "save", "", "appendfsync", "everysec", "appendonly", persistence === "none" ? "no" : "yes")
    const info = await redis.info()
    const field = (name: string, text = info): string => new RegExp(`^${name}:(.*)$`, "m").exec(text)?.[1]?.trim() ?? "?"
    const persisted = field("aof_enabled") === "1" ? "AOF" : named === undefined ? "no persistence" : "its own persistence settings"
    return {
      url: server.url,
      description: `${server.from}, Redis ${field("redis_version")}, ${persisted}`,
      async cpu() {
        const text = await redis.info("cpu")
        return 1_000 * (Number(field("used_cpu_user", text)) + Number(field("used_cpu_sys", text)))
      },
      clean: (part) => removeKeys(redis, part),
      async stop() {
        redis.disconnect()
        await server.stop()
      },
    }
  } catch (error) {
    redis.disconnect()
    await server.stop()
    const { host, port } = redis.options
    throw new UsageError(
      `nothing usable answers at ${host}:${port} (${reason(cause ?? error)}): ` +
        "start that Redis, or unset PONOS_BENCH_REDIS to have one started",
    )
  }
}

const reason = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error)
  // an AggregateError of several addresses has no message
  return error.message === "" ? String((error as NodeJS.ErrnoException).code) : error.message
}

const removeKeys = async (redis: Redis, part: string): Promise<void> => {
  let cursor = "0"
  do {
    const [next, keys] = await redis.scan(cursor, "MATCH", `*${part}*`, "COUNT", scanCount)
    cursor = next
    for (let at = 0; at < keys.length; at += 1_000) await redis.unlink(...keys.slice(at, at + 1_000))
  } while (cursor !== "0")
}
