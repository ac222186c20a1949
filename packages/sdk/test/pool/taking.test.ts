/** One test for each interleaving of taking work that rules W1-W8 prevent and that faults.test.ts and the runtime's interleavings do not show. */
import { expect, test } from "vitest"
import type { Hint } from "../../src/engine/engine.ts"
import { StoreUnavailable } from "../../src/errors.ts"
import { shardOf } from "../../src/key.ts"
import { address, cuttable, describeStores, Ground, keys, shards, tampered, until } from "./support.ts"

const days = 86_400_000

describeStores("taking work", (url) => {
  test("a hint that comes after its run ended starts nothing (W1, W2)", async () => {
    const ground = new Ground(url())
    const engine = await ground.engine()
    const kept: Array<() => void> = []
    // Every hint is heard at once, and once more when all is over.
    const late = tampered(engine, {
      onHint: async (pool, shard, listener) =>
        await engine.onHint(pool, shard, (hint) => {
          listener(hint)
          kept.push(() => listener(hint))
        }),
    })
    const a = await ground.join("a", { engine: late })
    a.holder.endAtOnce = true
    await until(() => a.member.owned().length === shards, "a holds all")
    await ground.start(engine, keys(20))
    await until(() => ground.history.executions.length === 20 && ground.history.running().length === 0, "all ended")
    expect(kept.length).toBeGreaterThan(0)
    for (const hear of kept.splice(0)) hear()
    // What the late hints bring would come before a later start does.
    await ground.start(engine, ["later"])
    await until(() => ground.history.of(address("later")).length === 1, "the later one ran")
    expect(ground.history.executions).toHaveLength(21)
    expect(a.holder.errors).toEqual([])
  })

  test("a hint starts nothing before the take is answered, so that no work is begun that the store may refuse (W3, decision 0004)", async () => {
    const ground = new Ground(url())
    const engine = await ground.engine()
    const { promise: answered, resolve: answer } = Promise.withResolvers<void>()
    let held = 0
    const slow = tampered(engine, {
      take: async (pool, groups) => {
        const replies = await engine.take(pool, groups)
        if (replies.some((reply) => reply.status === "taken" && reply.runs.length > 0)) {
          held++
          await answered
        }
        return replies
      },
    })
    const a = await ground.join("a", { engine: slow })
    await until(() => a.member.owned().length === shards, "a holds all")
    await ground.start(engine, ["key-0"])
    await until(() => held > 0, "its hint made the owner take, and the store has answered")
    const [active] = await engine.read(ground.pool, [ground.item("key-0")])
    expect([active?.phase, ground.history.executions.length]).toEqual(["active", 0])
    answer()
    await until(() => a.holder.held.size === 1, "it runs with the answer")
    expect(ground.history.executions).toHaveLength(1)
  })

  test("a trim asks for eight shards and two hundred items at most (B2)", async () => {
    const ground = new Ground(url())
    const engine = await ground.engine()
    const trims: Array<ReadonlyArray<{ readonly limit: number }>> = []
    const counted = tampered(engine, {
      trim: async (pool, groups) => {
        trims.push(groups)
        return await engine.trim(pool, groups)
      },
    })
    const a = await ground.join("a", { engine: counted })
    a.holder.endAtOnce = true
    await until(() => a.member.owned().length === shards, "a holds all")
    await ground.start(engine, keys(60))
    await until(async () => {
      const records = await engine.read(
        ground.pool,
        keys(60).map((key) => ground.item(key)),
      )
      return records.every((record) => record === undefined)
    }, "what ended is trimmed when its retention of a second is over")
    expect(Math.max(...trims.map((groups) => groups.length))).toBe(8)
    expect(Math.max(...trims.flat().map(({ limit }) => limit))).toBe(200)
  })

  test("a worker that thaws hears hints of the time after it lost its shards, and takes nothing (W2, O3)", async () => {
    const ground = new Ground(url())
    const engine = await ground.engine()
    const { engine: cut, down } = cuttable(engine)
    const hear: Array<(hint: Hint) => void> = []
    const frozen = tampered(cut, {
      onHint: async (pool, shard, listener) => {
        hear[shard] = listener
        return await engine.onHint(pool, shard, (hint) => {
          if (!down.is) listener(hint)
        })
      },
    })
    const a = await ground.join("a", { engine: frozen })
    await until(() => a.member.owned().length === shards, "a holds all")
    down.is = true
    const b = await ground.join("b")
    await until(() => b.member.owned().length === shards, "b rescued all")
    await ground.start(engine, keys(20))
    await until(() => b.holder.held.size === 20, "b runs all")
    const epochs = new Map(b.member.owned().map(({ shard, epoch }) => [shard, epoch]))
    down.is = false
    for (const [shard, epoch] of epochs) hear[shard]?.({ type: "ready", shard, epoch })
    // a joins again and gets its half in the regular way: by release and claim, after b's handlers ended.
    await until(() => a.member.owned().length === shards / 2 && b.member.owned().length === shards / 2, "each holds its half")
    await until(() => ground.history.running().length === 20, "all run")
    ground.history.checkNoOverlap()
  })

  test("an owner whose epoch is over is told so by its take, and gives the shard up (O3, W1)", async () => {
    const ground = new Ground(url())
    const engine = await ground.engine()
    const a = await ground.join("a")
    await until(() => a.member.owned().length === shards, "a holds all")
    const shard = shardOf("key-0", shards)
    const mine = a.member.owned().find((owned) => owned.shard === shard)
    expect(mine).toBeDefined()
    // Somebody claims it behind the worker's back, as after a rescue that it has not noticed.
    const [claim] = await engine.claim(ground.pool, [
      { shard, session: "other", from: { session: a.member.session, epoch: mine?.epoch ?? 0 }, knownEpoch: 0 },
    ])
    expect(claim?.status).toBe("claimed")
    await ground.start(engine, ["key-0"])
    await until(
      () => ground.history.of(address("key-0")).length === 1,
      "it runs once a claimed the shard anew, as the other one is no member",
    )
    expect(mine?.trusted()).toBe(false)
    const held = a.holder.held.get(address("key-0"))
    expect(held?.shard).not.toBe(mine)
    expect(held?.shard.epoch).toBeGreaterThan(claim?.status === "claimed" ? claim.epoch : 0)
    expect(a.holder.givenUp).toContainEqual({ shard, reason: "deposed" })
  })

  test("a claim whose answer was lost is repeated, and brings what is active (W1, O1)", async () => {
    const ground = new Ground(url())
    const engine = await ground.engine()
    const first = await ground.join("first")
    await until(() => first.member.owned().length === shards, "the first holds all")
    await ground.start(engine, keys(20))
    await until(() => first.holder.held.size === 20, "the first runs all")
    let lose = 3
    const lossy = tampered(engine, {
      async claim(pool, items) {
        const replies = await engine.claim(pool, items)
        if (lose > 0) {
          lose--
          throw new StoreUnavailable("the answer was lost by the test")
        }
        return replies
      },
    })
    const second = await ground.join("second", { engine: lossy })
    await first.member.drain()
    await until(() => second.holder.held.size === 20, "the second runs all")
    expect(lose).toBe(0)
    expect(ground.history.executions.filter(({ member }) => member === "second")).toHaveLength(20)
    ground.history.checkNoOverlap()
  })

  test("a timer of forty days, longer than setTimeout can count, is waited for without asking the store again and again (W8)", async () => {
    const ground = new Ground(url())
    const engine = await ground.engine()
    let takes = 0
    let sweeps = 0
    const counted = tampered(engine, {
      take: async (pool, groups) => {
        takes++
        return await engine.take(pool, groups)
      },
      sweep: async (pool, some) => {
        sweeps++
        return await engine.sweep(pool, some)
      },
    })
    const a = await ground.join("a", { engine: counted })
    await until(() => a.member.owned().length === shards, "a holds all")
    await engine.start(ground.pool, [{ ...ground.item("key-0"), run: "run-0", body: "", after: 40 * days }])
    const from = sweeps
    await until(() => sweeps > from + 3, "some sweeps saw the timer")
    const settled = takes
    await until(() => sweeps > from + 8, "some more")
    expect(takes).toBe(settled)
    expect(a.holder.held.size).toBe(0)
  })
})
