/**
 * P8: what a run has behind it takes no room. Measured with PONOS_ITERATIONS=20000: on Redis the same 7 keys and 2,280 bytes as after two iterations,
 * on a file the same rows and 10 bytes more, the digits of two counters.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { Redis } from "ioredis"
import { afterEach, describe, expect, test } from "vitest"
import { describeRedis, redisUrl, uniqueName } from "../../../../tools/with-redis.ts"
import type { Started } from "./fixture.ts"
import { startPool, until } from "./fixture.ts"

const iterations = Number(process.env["PONOS_ITERATIONS"] ?? 4_000)

interface Size {
  /** Keys, or rows of each table. */
  readonly parts: ReadonlyArray<string>
  readonly bytes: number
}

const sizeInRedis = async (pool: string): Promise<Size> => {
  const redis = new Redis(redisUrl())
  try {
    const keys = (await redis.keys(`*${pool}*`)).toSorted()
    const bytes = await Promise.all(keys.map((key) => redis.memory("USAGE", key, "SAMPLES", 0)))
    return { parts: keys.map((key) => key.replaceAll(pool, "pool")), bytes: bytes.reduce((sum: number, one) => sum + (one ?? 0), 0) }
  } finally {
    redis.disconnect()
  }
}

const sizeInFile = (path: string): Size => {
  const db = new DatabaseSync(path, { readOnly: true })
  try {
    const tables = db.prepare("select name from sqlite_master where type = 'table' order by name").all() as Array<{ name: string }>
    const rows = tables.map(({ name }) => ({ name, rows: db.prepare(`select * from "${name}"`).all() }))
    return {
      parts: rows.map((one) => `${one.name} ${one.rows.length}`),
      bytes: rows.reduce((sum, one) => sum + one.rows.reduce((all, row) => all + Object.values(row).join().length, 0), 0),
    }
  } finally {
    db.close()
  }
}

const suite = (open: () => { readonly store: string; readonly size: (pool: string) => Promise<Size> | Size }): void => {
  let pool: Started | undefined
  afterEach(() => pool?.close())

  /** A run with so many iterations behind it, each with entries in its journal, that sleeps. */
  const after = async (count: number): Promise<Size> => {
    const { store, size } = open()
    pool = startPool(store, uniqueName("growth"), 1)
    await pool.worker({
      run: async (job: any) => {
        if (job.iteration === count) return job.again({ on: ["stop"] })
        job.state.count += await job.step("one", () => 1)
        job.state.log = [String(await job.step("two", () => "x"))]
        return job.again()
      },
    })
    const handle = await pool.client.sample.start({ id: "long" })
    await until(async () => (await handle.describe()).phase === "parked", `${count} iterations have passed`, 100_000)
    const { state, iteration } = await handle.describe()
    expect([state.count, iteration]).toEqual([count - 1, count + 1])
    const found = await size(pool.pool)
    await pool.close()
    pool = undefined
    return found
  }

  test(`${iterations} iterations leave the store as small as two`, async () => {
    const few = await after(2)
    const many = await after(iterations)
    expect(many.parts).toEqual(few.parts)
    // the digits of counters
    expect(many.bytes - few.bytes).toBeLessThan(100)
  }, 240_000)
}

describeRedis("what a run has behind it, on Redis", () => suite(() => ({ store: redisUrl(), size: sizeInRedis })))
describe("what a run has behind it, on a file", () => {
  const folders: Array<string> = []
  afterEach(() => folders.splice(0).forEach((folder) => rmSync(folder, { recursive: true, force: true })))
  suite(() => {
    const folder = mkdtempSync(join(tmpdir(), "ponos-growth-"))
    folders.push(folder)
    const path = join(folder, "ponos.db")
    return { store: `file:${path}`, size: () => sizeInFile(path) }
  })
})
