/** `stats()` of a pool on real stores: what waits, what runs, how long it took, and how many workers it takes. */
import { expect, test } from "vitest"
import { uniqueName } from "../../../../tools/with-redis.ts"
import { openEngine } from "../../src/engine/open.ts"
import { Pool, type Job, type PoolJoinOptions, type PoolStats, type Worker } from "../../src/pool/index.ts"
import { describeSelf, encodeRecord, newSession } from "../../src/pool/record.ts"
import { describeStores, fast, shards, until } from "./support.ts"

const bytes = new TextEncoder().encode("x")

/** Keeps the jobs of a worker until they are let go. */
const hold = (worker: Worker): Set<Job> => {
  const held = new Set<Job>()
  void (async () => {
    for await (const job of worker.jobs()) {
      held.add(job)
      job.abortSignal.addEventListener("abort", () => {
        held.delete(job)
        job.settle()
      })
    }
  })()
  return held
}

describeStores("stats of a pool", (url) => {
  const join = (name: string, given: PoolJoinOptions = {}) => Pool.join(name, { store: url(), shards, ...fast, ...given })
  const keys = Array.from({ length: 6 }, (_, n) => `key-${n}`)

  test("without a worker the delay grows, and one worker is recommended as soon as something waits", async () => {
    const pool = await join(uniqueName("stats"))
    try {
      const nothing = { ready: 0, running: 0, workers: 0, silent: 0, capacity: 0, utilisation: 0 }
      const none = { ...nothing, queueingDelayMs: { now: 0, p50: 0, p99: 0 }, recommendedWorkers: 0 }
      expect(await pool.stats({ minWorkers: 0 })).toMatchObject({ ...none, groups: { default: none } })
      for (const key of keys) await pool.dispatch(key, bytes)
      const first = await pool.stats({ minWorkers: 0 })
      expect(first).toMatchObject({ ...nothing, ready: 6, recommendedWorkers: 1 })
      expect((await pool.stats()).at).toBeGreaterThanOrEqual(first.at)
      let last = first
      await expect.poll(async () => (last = await pool.stats()).queueingDelayMs.now).toBeGreaterThan(first.queueingDelayMs.now + 50)
      expect(last.queueingDelayMs).toMatchObject({ p50: 0, p99: 0 })
      expect(last.groups).toEqual({ default: { ...last, groups: undefined, at: undefined } })
    } finally {
      await pool.close()
    }
  })

  test("what a worker takes has waited so long as it took to come, and runs", async () => {
    const pool = await join(uniqueName("stats"))
    try {
      for (const key of keys) await pool.dispatch(key, bytes)
      const { at } = await pool.stats()
      await expect.poll(async () => (await pool.stats()).at - at).toBeGreaterThan(150)
      const held = hold(await pool.addWorker({ maxResident: 4 }))
      await until(() => held.size === 4, "as many as it holds")
      const busy = await pool.stats()
      expect(busy).toMatchObject({ ready: 2, running: 4, workers: 1, silent: 0, capacity: 4 })
      expect(busy.queueingDelayMs.now).toBeGreaterThan(150)
      expect(busy.queueingDelayMs.p50).toBeGreaterThan(150)
      expect(busy.queueingDelayMs.p99).toBeLessThan(60_000)
      // four of four places, as soon as that was looked at once
      await expect.poll(async () => (await pool.stats()).utilisation, { timeout: 10_000 }).toBeGreaterThan(0.3)
      for (const job of held) await job.done()
      await expect.poll(async () => (await pool.stats()).ready).toBe(0)
      expect((await pool.stats()).queueingDelayMs.now).toBe(0)
    } finally {
      await pool.close()
    }
  })

  test("groups have their own numbers, and the total is theirs together", async () => {
    const pool = await join(uniqueName("stats"), { groups: { large: 3, small: 1 } })
    try {
      const held = hold(await pool.addWorker({ group: "large", maxResident: 100 }))
      await pool.addWorker({ group: "small", maxResident: 10 })
      const groupOf = async (key: string): Promise<string | undefined> => await pool.groupOf(key)
      await expect.poll(() => groupOf("key-0")).toBeDefined()
      const own = { large: 0, small: 0 }
      for (let n = 0; own.large < 3 || own.small < 3; n++) {
        await pool.dispatch(`some-${n}`, bytes)
        own[(await groupOf(`some-${n}`)) as "large" | "small"]++
      }
      await until(() => held.size === own.large, "the large group runs what is its own")
      const { groups, at: _, ...total } = await pool.stats()
      // nobody loops over the jobs of the small group
      expect(groups["large"]).toMatchObject({ running: own.large, ready: 0, workers: 1, capacity: 100 })
      expect(groups["small"]).toMatchObject({ running: 0, ready: own.small, workers: 1, capacity: 0 })
      expect(total).toMatchObject({ running: own.large, ready: own.small, workers: 2, capacity: 100, silent: 0 })
      expect(total.queueingDelayMs.now).toBe(groups["small"]?.queueingDelayMs.now)
      expect(total.recommendedWorkers).toBe((groups["large"]?.recommendedWorkers ?? 0) + (groups["small"]?.recommendedWorkers ?? 0))
    } finally {
      await pool.close()
    }
  })

  test("a worker that does not answer is silent, and counts as fully used", async () => {
    const name = uniqueName("stats")
    const pool = await join(name)
    const engine = await openEngine(url())
    const record = { group: "default", weight: 1, kinds: ["~"], leaseMs: 60_000, reconnectGraceMs: 1_000, groups: undefined }
    try {
      const { now } = await engine.openPool(name, { shards })
      const session = newSession(now)
      await engine.join(name, { session, record: encodeRecord(describeSelf(session, now, record)) })
      const seen: PoolStats = await pool.stats({ targetUtilisation: 0.5 })
      expect(seen).toMatchObject({ workers: 1, silent: 1, capacity: 0, utilisation: 1, recommendedWorkers: 2 })
      await engine.leave(name, session)
      expect(await pool.stats()).toMatchObject({ workers: 0, silent: 0 })
    } finally {
      await engine.close()
      await pool.close()
    }
  })

  test("targets are checked", async () => {
    const pool = await join(uniqueName("stats"))
    try {
      await expect(pool.stats({ targetDelay: 1 } as never)).rejects.toThrow("did you mean targetDelayMs?")
      await expect(pool.stats({ targetUtilisation: 70 })).rejects.toThrow("expected targetUtilisation to be a number from 0.05 to 1")
      await expect(pool.stats({ minWorkers: 5, maxWorkers: 4 })).rejects.toThrow("expected minWorkers to be at most maxWorkers (4), got: 5")
    } finally {
      await pool.close()
    }
  })
})
