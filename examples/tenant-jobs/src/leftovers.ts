/** Leaves no trace in the user's Redis: the demo's pool has a name of its own, and nobody will ever join it again. */
import { Redis } from "ioredis"

/** Removes all keys of a pool that nobody uses any more; returns how many. Of a Redis Cluster only those of the server that is named. */
export const removePool = async (store: string, pool: string): Promise<number> => {
  const redis = new Redis(store, { retryStrategy: null, lazyConnect: true })
  // Without a listener, ioredis prints each error; the rejected call below says the same.
  redis.on("error", () => {})
  let removed = 0
  try {
    await redis.connect()
    for await (const keys of redis.scanStream({ match: `*{*${pool}*`, count: 1_000 }) as AsyncIterable<string[]>)
      for (const key of keys) removed += await redis.unlink(key).catch(() => 0)
  } finally {
    redis.disconnect()
  }
  return removed
}
