/** The rules of a hand-over (pool/hand-over.ts, A5): when a shard runs on, when it leaves, and in what order. */
import { expect, test } from "vitest"
import { uniqueName } from "../../../../tools/with-redis.ts"
import { Pool } from "../../src/pool/index.ts"
import type { PoolEvent } from "../../src/pool/events.ts"
import { address, describeStores, fast, Ground, keys, shards, until } from "./support.ts"

describeStores("a hand-over", (url) => {
  const two = async (options: object = {}) => {
    const ground = new Ground(url())
    const engine = await ground.engine()
    const a = await ground.join("a", { options: { ...fast, ...options } })
    const b = await ground.join("b")
    await until(() => a.member.owned().length === 8 && b.member.owned().length === 8, "both hold their half")
    await ground.start(engine, keys(40))
    await until(() => ground.history.running().length === 40, "all run")
    return { ground, engine, a, b }
  }

  test("lets what runs end by itself within drainBudgetMs: nothing is aborted, and new work is still taken", async () => {
    const { ground, engine, a, b } = await two({ drainBudgetMs: 5_000 })
    const mine = [...a.holder.held.keys()]
    const drained = a.member.drain()
    await until(() => b.member.members().some(({ leaving }) => leaving), "it is known to leave")
    const more = Array.from({ length: 200 }, (_, i) => `more-${i}`)
    await ground.start(engine, more)
    await until(() => ground.history.running().length === 240, "all run")
    expect(more.some((key) => a.holder.held.has(address(key)))).toBe(true)
    expect(mine.every((one) => a.holder.held.has(one))).toBe(true)
    for (const one of a.holder.held.keys()) await a.holder.commit(one, { phase: "ended", outcome: "", retention: 1_000 })
    // Long before the budget has passed: nothing runs that an abort could interrupt.
    const from = performance.now()
    await drained
    expect(performance.now() - from).toBeLessThan(2_500)
    expect(ground.history.of(mine[0] ?? "")).toHaveLength(1)
    ground.history.checkNoOverlap()
  })

  test("aborts what still runs when drainBudgetMs has passed, and not before", async () => {
    const { ground, a, b } = await two({ drainBudgetMs: 300 })
    const [one] = a.holder.held.keys()
    const from = performance.now()
    await a.member.drain()
    expect(performance.now() - from).toBeGreaterThan(280)
    await until(() => b.holder.held.size === 40, "the other runs all")
    const [first, second] = ground.history.of(one ?? "")
    expect((first?.to ?? 0) - from).toBeGreaterThan(280)
    expect(second?.from).toBeGreaterThanOrEqual(first?.to ?? Number.NaN)
    expect(ground.seen("released").filter(({ on, reason }) => on === "a" && reason === "drain")).toHaveLength(8)
  })

  test("closes what a job holds before it is opened elsewhere, and a slow close holds up no other shard", async () => {
    const { ground, a, b } = await two()
    const slow = [...a.holder.held.values()][0]
    if (slow === undefined) throw new Error("nothing is held")
    const give = a.holder.giveUp.bind(a.holder)
    a.holder.giveUp = async (shard, reason) => {
      if (shard === slow.shard) await new Promise((resolve) => setTimeout(resolve, 500))
      await give(shard, reason)
    }
    const drained = a.member.drain()
    await until(() => b.member.owned().length === shards - 1, "all but the slow one have moved")
    expect(slow.execution.to).toBe(Number.POSITIVE_INFINITY)
    await drained
    await until(() => b.holder.held.size === 40, "the other runs all")
    ground.history.checkNoOverlap()
    expect(ground.seen("overrun")).toEqual([])
  })

  test("a shard that comes back before its wave stays, and its jobs notice nothing", async () => {
    const ground = new Ground(url())
    const engine = await ground.engine()
    // It goes on for fifty milliseconds with what it is to give away.
    const a = await ground.join("a")
    await until(() => a.member.owned().length === shards, "a holds all")
    await ground.start(engine, keys(40))
    await until(() => ground.history.running().length === 40, "all run")
    const b = await ground.join("b")
    b.member.kill()
    await engine.leave(ground.pool, b.member.session)
    await until(() => a.member.members().length === 1, "b is gone")
    await until(() => a.member.owned().length === shards && ground.history.running().length === 40, "a runs all")
    ground.history.checkNoOverlap()
  })

  test("the low-level pool reports code that does not settle, once a shard", async () => {
    const name = uniqueName("hand-over")
    const events: Array<PoolEvent> = []
    const pool = await Pool.join(name, { store: url(), shards: 1, ...fast, abortGraceMs: 50, onEvent: (event) => events.push(event) })
    try {
      const worker = await pool.addWorker()
      const held = new Set<string>()
      void (async () => {
        for await (const job of worker.jobs()) held.add(job.key)
      })()
      await pool.dispatch("a", new Uint8Array())
      await pool.dispatch("b", new Uint8Array())
      await until(() => held.size === 2, "both run")
      await worker.stop()
      const overruns = events.flatMap((event) => (event.type === "overrun" ? [event] : []))
      expect(overruns).toEqual([{ type: "overrun", shard: 0, reason: "drain", addresses: ["~/a", "~/b"] }])
    } finally {
      await pool.close()
    }
  })
})
