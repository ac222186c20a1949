/** The stores that the conformance suite and the fence test run on. */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { Redis } from "ioredis"
import { expect } from "vitest"
import { redisUrl, uniqueName } from "../../../../tools/with-redis.ts"
import { openEngine } from "../../src/engine/open.ts"
import type { TestStore } from "./world.ts"

async function keysOf(redis: Redis, pattern: string): Promise<string[]> {
  const keys: string[] = []
  for await (const page of redis.scanStream({ match: pattern, count: 1000 })) keys.push(...(page as string[]))
  return keys.toSorted()
}

async function contentOf(redis: Redis, key: string): Promise<unknown> {
  const type = await redis.type(key)
  if (type === "hash") return Object.entries(await redis.hgetall(key)).toSorted(([a], [b]) => (a < b ? -1 : 1))
  if (type === "set") return (await redis.smembers(key)).toSorted()
  if (type === "list") return await redis.lrange(key, 0, -1)
  if (type === "zset") return await redis.zrange(key, 0, "-1", "WITHSCORES")
  if (type === "stream") return await redis.xrange(key, "-", "+")
  return await redis.get(key)
}

/** `looking`: the address of the test's own looks into the store; of a cluster, one for each primary. */
export function redisStore(url = redisUrl(), looking: ReadonlyArray<string> = [url]): TestStore & { readonly prefix: string } {
  const prefix = uniqueName("test")
  const eachRedis = async <T>(use: (redis: Redis) => Promise<T>): Promise<T[]> =>
    await Promise.all(
      looking.map(async (address) => {
        const redis = new Redis(address)
        try {
          return await use(redis)
        } finally {
          redis.disconnect()
        }
      }),
    )
  return {
    prefix,
    open: (options) => openEngine(url, { ...options, prefix }),
    dump: async (pool) => {
      const contents = await eachRedis(async (redis) => {
        const keys = (await keysOf(redis, `*${pool}*`)).filter((key) => !key.endsWith("}:h"))
        return await Promise.all(keys.map(async (key) => [key, await contentOf(redis, key)] as const))
      })
      return JSON.stringify(contents.flat().toSorted(([a], [b]) => (a < b ? -1 : 1)))
    },
    remove: async (pool) => {
      await eachRedis(async (redis) => {
        const keys = await keysOf(redis, `*${pool}*`)
        // One by one: on a cluster they are in many slots.
        await Promise.all(keys.map((key) => redis.unlink(key)))
        // Every key of a pool has its hash tag: this is what a cluster and the removal of a pool rest on.
        const ours = new RegExp(`^${prefix}:\\{${pool}(:\\d+|:[ms]:[^{}]+)?\\}:`)
        expect(keys.filter((key) => !ours.test(key))).toEqual([])
        expect(await keysOf(redis, `${prefix}:*`)).toEqual([])
      })
    },
  }
}

export function memoryStore(): TestStore {
  const name = uniqueName("test")
  return { open: (options) => openEngine(`memory:${name}`, options), remove: async () => {} }
}

/** A file in a folder of its own, which `clean` removes. */
export async function fileStore(): Promise<TestStore & { clean(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), "ponos-engine-"))
  const path = join(folder, "ponos.db")
  return {
    open: (options) => openEngine(`file:${path}`, options),
    dump: async () => {
      const db = new DatabaseSync(path, { readOnly: true })
      try {
        const tables = db
          .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT IN ('bus', 'audit') ORDER BY name")
          .all()
        return JSON.stringify(tables.map(({ name }) => [name, db.prepare(`SELECT * FROM "${String(name)}"`).all()]))
      } finally {
        db.close()
      }
    },
    remove: async () => {},
    clean: () => rm(folder, { recursive: true, force: true }),
  }
}
