import { expect, test } from "vitest"
import type { ClaimItem } from "../../../src/engine/engine.ts"
import { only, type World } from "../world.ts"

const epochZero = Date.UTC(2025, 0, 1)

export function ownershipConformance(world: () => World): void {
  test("a shard that was never claimed belongs to nobody", async () => {
    const w = world()
    expect(await w.engine.headers(w.pool, [3, 0])).toEqual([
      { shard: 3, session: "", epoch: 0 },
      { shard: 0, session: "", epoch: 0 },
    ])
  })

  test("a claim is a compare-and-set; its repetition gets the same epoch (O1)", async () => {
    const w = world()
    await w.start("kind/a")
    const item = { shard: 0, session: "s1", from: { session: "", epoch: 0 }, knownEpoch: 0 }
    const first = only(await w.engine.claim(w.pool, [item]))
    expect(first).toEqual({ status: "claimed", epoch: w.now - epochZero, active: [] })
    const header = { shard: 0, session: "s1", epoch: w.now - epochZero }
    expect(await w.other.headers(w.pool, [0])).toEqual([header])
    expect(only(await w.engine.claim(w.pool, [item]))).toEqual(first)
    expect(only(await w.other.claim(w.pool, [{ ...item, session: "s2" }]))).toEqual({ status: "refused", header })
    expect(only(await w.other.claim(w.pool, [{ ...item, session: "s2", from: { session: "s1", epoch: header.epoch - 1 } }]))).toEqual({
      status: "refused",
      header,
    })
    expect(only(await w.other.claim(w.pool, [{ ...item, session: "s2", from: { session: "s1", epoch: header.epoch } }]))).toEqual({
      status: "claimed",
      epoch: header.epoch + 1,
      active: [],
    })
    expect(only(await w.engine.claim(w.pool, [item]))).toMatchObject({ status: "refused", header: { session: "s2" } })
  })

  test("epochs grow with the store's time, what was stored, and what the claimant knows (O2)", async () => {
    const w = world()
    const claim = async (more: Partial<ClaimItem>) => {
      const [from] = await w.engine.headers(w.pool, [0])
      const item = { shard: 0, session: "s1", from: from ?? { session: "", epoch: 0 }, knownEpoch: 0, ...more }
      const reply = only(await w.engine.claim(w.pool, [item]))
      return reply.status === "claimed" ? reply.epoch : reply
    }
    const first = await claim({})
    expect(first).toBe(w.now - epochZero)
    expect(await claim({}), "its own shard again").toBe(Number(first) + 1)
    w.now += 1000
    expect(await claim({})).toBe(w.now - epochZero)
    expect(await claim({ knownEpoch: 2 ** 50 })).toBe(2 ** 50 + 1)
    w.now -= 1_000_000
    expect(await claim({})).toBe(2 ** 50 + 2)
  })

  test("a claim that knows a higher epoch than the stored one is no repetition", async () => {
    const w = world()
    const owner = await w.own()
    const stale = { shard: 0, session: "s1", from: { session: "x", epoch: 1 }, knownEpoch: owner.epoch + 5 }
    expect(only(await w.engine.claim(w.pool, [stale]))).toMatchObject({ status: "refused", header: { epoch: owner.epoch } })
  })

  test("a claim answers what is active, and a new owner finds it", async () => {
    const w = world()
    const owner = await w.own()
    await w.running(owner, "kind/a")
    await w.running(owner, "kind/b")
    await w.start("kind/c")
    const reply = await w.claim(0, "s2", undefined, w.other)
    if (reply.status !== "claimed") throw new Error("refused")
    expect(reply.active.toSorted()).toEqual(["kind/a", "kind/b"])
    const next = { shard: 0, session: "s2", epoch: reply.epoch }
    const taken = await w.take(next, { limit: 10, addresses: reply.active })
    expect(taken.runs.map((run) => run.address).toSorted()).toEqual(["kind/a", "kind/b", "kind/c"])
    expect(new Set(taken.runs.map((run) => run.phase))).toEqual(new Set(["active"]))
  })

  test("a released shard keeps its epoch, has no owner, and its runs wait", async () => {
    const w = world()
    const owner = await w.own()
    await w.running(owner, "kind/a")
    expect(await w.engine.release(w.pool, [owner])).toEqual(["released"])
    expect(await w.engine.release(w.pool, [owner]), "its repetition").toEqual(["released"])
    expect(await w.engine.headers(w.pool, [0])).toEqual([{ shard: 0, session: "", epoch: owner.epoch }])
    const next = await w.own(0, "s2")
    expect(next.epoch).toBeGreaterThan(owner.epoch)
    expect(await w.engine.release(w.pool, [owner])).toEqual(["stale"])
    expect((await w.take(next, { addresses: ["kind/a"] })).runs.map((run) => run.address)).toEqual(["kind/a"])
  })

  test("many shards are claimed, read and released in one call each", async () => {
    const w = world()
    const shards = Array.from({ length: 400 }, (_, shard) => shard)
    const claims = shards.map((shard) => ({
      shard,
      session: "s1",
      from: { session: "", epoch: 0 },
      knownEpoch: shard === 300 ? 2 ** 45 : 0,
    }))
    const owners = (await w.engine.claim(w.pool, claims)).map((reply, shard) => ({
      shard,
      session: "s1",
      epoch: reply.status === "claimed" ? reply.epoch : 0,
    }))
    expect(owners[300]?.epoch).toBe(2 ** 45 + 1)
    expect(await w.other.headers(w.pool, shards)).toEqual(owners)
    expect(await w.engine.release(w.pool, owners)).toEqual(shards.map(() => "released"))
  })

  test("sweep shows ready, active and due, with the owner", async () => {
    const w = world()
    const owner = await w.own(2)
    await w.running(owner, "kind/active")
    const parked = await w.running(owner, "kind/parked")
    await w.commit(owner, w.item(parked, { phase: "parked", due: { after: 700 }, on: [] }))
    await w.start("kind/r1", { shard: 2 })
    await w.start("kind/r2", { shard: 2 })
    expect(await w.other.sweep(w.pool, [1, 2])).toEqual([
      { shard: 1, session: "", epoch: 0, ready: 0, due: 0, oldest: undefined, active: [], nextDue: undefined, outbox: 0, now: w.now },
      {
        shard: 2,
        session: "s1",
        epoch: owner.epoch,
        ready: 2,
        due: 0,
        oldest: w.now,
        active: ["kind/active"],
        nextDue: w.now + 700,
        outbox: 0,
        now: w.now,
      },
    ])
  })
}
