/** A pool over processes that share one store: a crash and a drain, seen from the workers' own records on the host's monotonic clock. */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, expect, test } from "vitest"
import { describeRedis, redisUrl, uniqueName } from "../../../../tools/with-redis.ts"
import { Pool } from "../../src/pool/index.ts"
import { Process } from "./processes.ts"
import { fast, shards } from "./settings.ts"
import { until } from "./support.ts"

const folder = await mkdtemp(join(tmpdir(), "ponos-pool-"))
afterAll(() => rm(folder, { recursive: true, force: true }))

const suite = (store: () => string): void => {
  test("runs each job on one process at a time, through a crash and a drain", async () => {
    const name = uniqueName("processes")
    const client = await Pool.join(name, { store: store(), shards, ...fast })
    try {
      const [a, b] = [new Process(store(), name), new Process(store(), name)]
      await until(
        () => [a, b].every((one) => one.lines.filter(({ what }) => what === "claimed").length >= shards / 2),
        "both hold their half",
      )
      const keys = Array.from({ length: 40 }, (_, i) => `key-${i}`)
      await Promise.all(keys.map((key) => client.dispatch(key, new Uint8Array())))
      await until(() => a.running().length + b.running().length === keys.length, "all run")
      expect(a.running().length).toBeGreaterThan(0)
      expect(b.running().length).toBeGreaterThan(0)
      await a.end("SIGKILL")
      await until(() => b.running().length === keys.length, "the other runs all")
      const takeoverMs = Math.max(...b.intervals().map(({ from }) => from)) - a.diedAt
      const c = new Process(store(), name)
      await until(() => c.running().length > 0 && b.running().length + c.running().length === keys.length, "a third has its share")
      const exitCode = await b.end("SIGTERM")
      expect(exitCode).toBe(0)
      await until(() => c.running().length === keys.length, "the third runs all")
      const all = [a, b, c].flatMap((one) => one.intervals())
      const overlaps = all.filter((one, i) =>
        all.some((other, j) => i !== j && one.key === other.key && one.from <= other.from && other.from < one.to),
      )
      expect(overlaps).toEqual([])
      expect([a, b, c].flatMap((one) => one.lines.filter(({ what }) => what === "fault"))).toEqual([])
      console.log(`takeover after SIGKILL with leaseMs ${fast.leaseMs}: ${takeoverMs.toFixed(0)} ms`)
      expect(takeoverMs).toBeLessThan(5_000)
    } finally {
      await client.close()
    }
  })
}

describe("a pool of processes on one file", () => suite(() => `file:${join(folder, "pool.db")}`))
describeRedis("a pool of processes on Redis", () => suite(redisUrl))
