/** What a store holds. */
import { Redis } from "ioredis"
import { DatabaseSync } from "node:sqlite"
import { setTimeout as delay } from "node:timers/promises"
import { infoNumber } from "./traffic.ts"

/** Bytes of its memory, or of the pages of its file that are in use. */
export const usedBytes = (store: string): Promise<number> | number => (store.startsWith("file:") ? usedPages(store) : usedMemory(store))

const usedPages = (store: string): number => {
  const database = new DatabaseSync(store.slice("file:".length), { readOnly: true })
  try {
    const read = (name: string): number => Number(Object.values(database.prepare(`PRAGMA ${name}`).get() ?? {})[0])
    return (read("page_count") - read("freelist_count")) * read("page_size")
  } finally {
    database.close()
  }
}

/** Once it stands still. */
const usedMemory = async (url: string): Promise<number> => {
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
