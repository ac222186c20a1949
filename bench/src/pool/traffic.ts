/** What a Redis does in a span of time. */
import { Redis } from "ioredis"
import { setTimeout as delay } from "node:timers/promises"

export interface Traffic {
  /** Commands that clients sent, a second. */
  readonly calls: number
  /** Commands that their scripts ran, a second. */
  readonly inner: number
}

/**
 * `total_commands_processed` counts calls and what scripts run alike. MONITOR names the latter ("lua"), but leaves out calls of administrators,
 * CLIENT LIST among them: so calls are the total without what MONITOR saw of scripts. An ECHO in the same packet as each INFO marks the same
 * instant in both.
 */
export const trafficOf = async (url: string, ms: number): Promise<Traffic> => {
  const redis = new Redis(url)
  const monitor = new Redis(url, { monitor: true })
  // What others send may come in the packet of the answer to MONITOR, when ioredis does not expect it yet: an error that is none, so that `once` of
  // node:events, which rejects at errors, would not do.
  monitor.on("error", () => undefined)
  await new Promise<void>((resolve, reject) => {
    monitor.once("monitoring", resolve)
    monitor.once("end", () => reject(new Error("expected the answer to MONITOR, got: a closed connection")))
  })
  let inner = 0
  let seen: ((mark: string) => void) | undefined
  monitor.on("monitor", (_time: string, command: ReadonlyArray<string>, source: string) => {
    if (source === "lua") inner++
    else if (command[0] === "echo" && command[1] !== undefined) seen?.(command[1])
  })
  const read = async (mark: string): Promise<Reading> => {
    const { promise, resolve } = Promise.withResolvers<number>()
    seen = (found) => {
      if (found === mark) resolve(inner)
    }
    const [total, ran] = await Promise.all([infoNumber(redis, "stats", "total_commands_processed"), promise, redis.echo(mark)])
    return { total, inner: ran, at: performance.now() }
  }
  try {
    const from = await read("from")
    await delay(ms)
    const to = await read("to")
    const seconds = (to.at - from.at) / 1_000
    const ran = to.inner - from.inner
    // two are the bench's own: the first INFO counts itself when it has answered, and the first ECHO
    return { calls: (to.total - from.total - 2 - ran) / seconds, inner: ran / seconds }
  } finally {
    monitor.disconnect()
    redis.disconnect()
  }
}

interface Reading {
  readonly total: number
  readonly inner: number
  readonly at: number
}

export const infoNumber = async (redis: Redis, section: string, field: string): Promise<number> =>
  Number(new RegExp(`^${field}:(\\d+)`, "m").exec(await redis.info(section))?.[1] ?? Number.NaN)
