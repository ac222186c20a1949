/** The tests share one Redis: what a test wrote there is removed with its pool. */
import { Redis } from "ioredis"

/** Removes all keys of a pool, those of its activity queue included. A memory store goes with its last connection. */
export const removePool = async (store: string, pool: string): Promise<void> => {
  if (!store.startsWith("redis")) return
  const redis = new Redis(store)
  try {
    for await (const page of redis.scanStream({ match: `*${pool}*`, count: 1_000 })) {
      const keys = page as ReadonlyArray<string>
      if (keys.length > 0) await redis.unlink(...keys)
    }
  } finally {
    redis.disconnect()
  }
}
