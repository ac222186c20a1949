import { expect, test } from "vitest"
import { found, only, type World } from "../world.ts"

export function takeConformance(world: () => World): void {
  test("ready runs are taken in order, once, and move to active (W1)", async () => {
    const w = world()
    const owner = await w.own()
    for (const name of ["a", "b", "c"]) await w.start(`kind/${name}`)
    const first = await w.take(owner, { limit: 2 })
    expect(first).toMatchObject({ status: "taken", more: true, nextDue: undefined, now: w.now })
    expect(first.runs.map((run) => [run.address, run.phase, run.revision])).toEqual([
      ["kind/a", "active", "0"],
      ["kind/b", "active", "0"],
    ])
    const second = await w.take(owner, { limit: 2 })
    expect(second.runs.map((run) => run.address)).toEqual(["kind/c"])
    expect(second.more).toBe(false)
    expect(await w.take(owner)).toMatchObject({ runs: [], more: false })
    expect((await w.engine.sweep(w.pool, [0]))[0]?.active.toSorted()).toEqual(["kind/a", "kind/b", "kind/c"])
    expect((await w.read("kind/a")).phase).toBe("active")
  })

  test("exactly as many as the limit leaves nothing more", async () => {
    const w = world()
    const owner = await w.own()
    await w.start("kind/a")
    await w.start("kind/b")
    expect(await w.take(owner, { limit: 2 })).toMatchObject({ more: false })
  })

  test("a run that goes on is taken again, after those before it", async () => {
    const w = world()
    const owner = await w.own()
    const run = await w.running(owner, "kind/a")
    await w.start("kind/b")
    await w.commit(owner, w.item(run, { phase: "ready" }, { body: "2" }))
    const { runs } = await w.take(owner)
    expect(runs.map((taken) => [taken.address, taken.body])).toEqual([
      ["kind/b", '{"input":1}'],
      ["kind/a", "2"],
    ])
  })

  test("addresses load what is active again, whole, and nothing else", async () => {
    const w = world()
    const owner = await w.own()
    const active = await w.running(owner, "kind/active")
    await w.commit(owner, w.item(active, { phase: "active" }, { append: ["one", "two\n"] }))
    await w.message("kind/active", { payload: "p" })
    const parked = await w.running(owner, "kind/parked")
    await w.commit(owner, w.item(parked, { phase: "parked", on: [] }))
    await w.start("kind/ready")
    const addresses = ["kind/none", "kind/active", "kind/parked", "kind/ready"]
    const again = await w.take(owner, { limit: 0, addresses })
    expect(again.runs).toEqual([{ ...(await w.read("kind/active")), phase: "active" }])
    expect(again.runs[0]).toMatchObject({ journal: ["one", "two\n"], inbox: [{ number: 1, payload: "p" }] })
    const both = await w.take(owner, { limit: 1, addresses })
    expect(both.runs.map((run) => run.address).toSorted()).toEqual(["kind/active", "kind/ready"])
  })

  test("a ready run asked for by address comes once", async () => {
    const w = world()
    const owner = await w.own()
    await w.start("kind/a")
    expect((await w.take(owner, { addresses: ["kind/a", "kind/a"] })).runs).toHaveLength(1)
  })

  test("more addresses than a batch holds are loaded in one call", async () => {
    const w = world()
    const owner = await w.own()
    const addresses = Array.from({ length: 450 }, (_, n) => `kind/${n}`)
    await w.engine.start(
      w.pool,
      addresses.map((address) => ({ shard: 0, address, run: address, body: address })),
    )
    for (let taken = 0; taken < addresses.length;) taken += (await w.take(owner, { limit: 1000 })).runs.length
    const again = await w.take(owner, { limit: 0, addresses })
    expect(again.runs.map((run) => run.body).toSorted()).toEqual(addresses.toSorted())
  })

  test("many shards in one call, each with its own answer", async () => {
    const w = world()
    const mine = await w.own(1)
    const lost = await w.own(2)
    await w.own(2, "s2")
    await w.start("kind/1", { shard: 1 })
    await w.start("kind/2", { shard: 2 })
    const group = { limit: 5, timers: true }
    const replies = await w.engine.take(w.pool, [
      { ...lost, ...group },
      { ...mine, ...group },
    ])
    expect(replies.map((reply) => reply.status)).toEqual(["stale", "taken"])
    expect((await w.read("kind/2", 2)).phase).toBe("ready")
  })

  test("two takers of one shard never get the same run", async () => {
    const w = world()
    const owner = await w.own()
    await w.engine.start(
      w.pool,
      Array.from({ length: 300 }, (_, n) => ({ shard: 0, address: `kind/${n}`, run: `r${n}`, body: "" })),
    )
    const replies = await Promise.all(
      Array.from({ length: 20 }, async (_, n) =>
        only(await (n % 2 ? w.engine : w.other).take(w.pool, [{ ...owner, limit: 15, timers: false }])),
      ),
    )
    const taken = replies.flatMap((reply) => (reply.status === "taken" ? reply.runs.map((run) => run.address) : []))
    expect(taken).toHaveLength(300)
    expect(new Set(taken).size).toBe(300)
  })

  test("a take whose answer was lost is found by its addresses", async () => {
    const w = world()
    const owner = await w.own()
    await w.start("kind/a", { run: "r1" })
    await w.take(owner)
    const [status] = await w.engine.sweep(w.pool, [0])
    const again = await w.take(owner, { addresses: found(status).active })
    expect(again.runs.map((run) => run.run)).toEqual(["r1"])
  })
}
