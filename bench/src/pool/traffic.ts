/** What a Redis does in a span of time, and what it holds. */
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
 * CLIENT LIST among them: so calls are the total without what MONITOR saw of scripts.
 */
export const trafficOf = async (url: string, ms: number): Promise<Traffic> => {
  const redis = new Redis(url)
  const watching = new Redis(url)
  try {
    let inner = 0
    const monitor = await watching.monitor()
    monitor.on("monitor", (_time: string, _command: ReadonlyArray<string>, source: string) => {
      if (source === "lua") inner++
    })
    const from = performance.now()
    // INFO counts itself when it has answered: one of the two is in the difference
    const before = await infoNumber(redis, "stats", "total_commands_processed")
    inner = 0
    await delay(ms)
    const total = (await infoNumber(redis, "stats", "total_commands_processed")) - before - 1
    const seconds = (performance.now() - from) / 1_000
    monitor.disconnect()
    return { calls: (total - inner) / seconds, inner: inner / seconds }
  } finally {
    redis.disconnect()
    watching.disconnect()
  }
}

/** Bytes that the server holds, once they stand still. */
export const usedMemory = async (url: string): Promise<number> => {
  const redis = new Redis(url)
  try {
    let [last, same] = [0, 0]
    // a client's buffers shrink within seconds
    for (let tries = 0; tries < 40 && same < 4; tries++) {
      await delay(250)
      const used = await infoNumber(redis, "memory", "used_memory")
      same = Math.abs(used - last) < 50_000 ? same + 1 : 0
      last = used
    }
    return last
  } finally {
    redis.disconnect()
  }
}

const infoNumber = async (redis: Redis, section: string, field: string): Promise<number> =>
  Number(new RegExp(`^${field}:(\\d+)`, "m").exec(await redis.info(section))?.[1] ?? Number.NaN)
