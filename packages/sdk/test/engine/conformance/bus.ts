import { expect, test } from "vitest"
import type { Hint, ShardEvent } from "../../../src/engine/engine.ts"
import { Heard, type World } from "../world.ts"

export function busConformance(world: () => World): void {
  test("text travels between engines, on its own channel and pool", async () => {
    const w = world()
    const [mine, theirs, elsewhere] = [new Heard<string>(), new Heard<string>(), new Heard<string>()]
    const stop = await w.engine.subscribe(w.pool, "queries", mine.listener)
    await w.other.subscribe(w.pool, "queries", theirs.listener)
    await w.other.subscribe(w.pool, "replies", elsewhere.listener)
    for (const text of ["", "a\nb\tü", "last"]) await w.engine.publish(w.pool, "queries", text)
    await theirs.until((all) => all.includes("last"))
    await mine.until((all) => all.includes("last"))
    expect(theirs.all).toEqual(["", "a\nb\tü", "last"])
    await stop()
    await stop()
    await w.other.publish(w.pool, "queries", "after")
    await w.other.publish(w.pool, "replies", "end")
    await theirs.until((all) => all.includes("after"))
    await elsewhere.until((all) => all.includes("end"))
    expect(mine.all).not.toContain("after")
    expect(elsewhere.all).toEqual(["end"])
  })

  test("two listeners on one channel are independent, also with the same function", async () => {
    const w = world()
    const heard = new Heard<string>()
    const stop = await w.engine.subscribe(w.pool, "c", heard.listener)
    await w.engine.subscribe(w.pool, "c", heard.listener)
    await w.other.publish(w.pool, "c", "1")
    await heard.until((all) => all.length === 2)
    await stop()
    await w.other.publish(w.pool, "c", "2")
    await heard.until((all) => all.includes("2"))
    expect(heard.all).toEqual(["1", "1", "2"])
  })

  test("an owner hears what became ready, and of an earlier due time (W7)", async () => {
    const w = world()
    const owner = await w.own()
    const heard = new Heard<Hint>()
    await w.engine.onHint(w.pool, 0, heard.listener)
    const ready = { type: "ready", shard: 0, epoch: owner.epoch }
    await w.other.start(w.pool, [{ shard: 0, address: "kind/a", run: "r1", body: "" }])
    await heard.until((all) => all.length === 1)
    expect(heard.all).toEqual([ready])
    await w.other.start(w.pool, [{ shard: 0, address: "kind/b", run: "r2", body: "" }])
    await w.other.start(w.pool, [{ shard: 1, address: "kind/x", run: "r3", body: "" }])
    await w.other.start(w.pool, [{ shard: 0, address: "kind/late", run: "r4", body: "", after: 9000 }])
    await heard.until((all) => all.length === 2)
    await w.other.start(w.pool, [{ shard: 0, address: "kind/later", run: "r5", body: "", after: 9999 }])
    await w.other.start(w.pool, [{ shard: 0, address: "kind/early", run: "r6", body: "", after: 10 }])
    await heard.until((all) => all.length === 3)
    expect(heard.all, "no hint while the list was not empty, or for a later due time").toEqual([ready, ready, ready])
  })

  test("an owner hears messages of active runs whole, terminations, and wake-ups", async () => {
    const w = world()
    const owner = await w.own()
    const active = await w.running(owner, "kind/active")
    const parked = await w.running(owner, "kind/parked")
    await w.commit(owner, w.item(parked, { phase: "parked", on: [] }))
    const heard = new Heard<Hint>()
    await w.engine.onHint(w.pool, 0, heard.listener)
    const item = w.messageItem("kind/active", { name: "go", payload: "p\t\nü" })
    await w.other.message(w.pool, [item])
    await heard.until((all) => all.length === 1)
    const message = { number: 1, kind: "signal", name: "go", id: item.id, at: w.now, payload: "p\t\nü" }
    expect(heard.all[0]).toEqual({ type: "message", shard: 0, address: "kind/active", run: active.run, message })
    await w.other.message(w.pool, [w.messageItem("kind/parked", { kind: "cancel" })])
    await heard.until((all) => all.length === 2)
    expect(heard.all[1]).toEqual({ type: "ready", shard: 0, epoch: owner.epoch })
    await w.other.terminate(w.pool, [w.terminateItem("kind/active")])
    await heard.until((all) => all.length === 3)
    expect(heard.all[2]).toEqual({ type: "terminated", shard: 0, address: "kind/active", run: active.run })
  })

  test("the next owner hears of a release", async () => {
    const w = world()
    const owner = await w.own(4)
    const heard = new Heard<Hint>()
    await w.other.onHint(w.pool, 4, heard.listener)
    await w.engine.release(w.pool, [owner])
    await heard.until((all) => all.length === 1)
    expect(heard.all).toEqual([{ type: "released", shard: 4, epoch: owner.epoch }])
  })

  test("clients hear of ends and answers", async () => {
    const w = world()
    const owner = await w.own()
    const a = await w.running(owner, "kind/a")
    const b = await w.running(owner, "kind/b")
    await w.message("kind/b", { kind: "update", id: "u1" })
    const heard = new Heard<ShardEvent>()
    const stop = await w.other.onEvent(w.pool, 0, heard.listener)
    const items = [
      w.item(a, { phase: "ended", outcome: "o", retention: 1 }),
      w.item(b, { phase: "ready" }, { consumed: 1, seen: 1, answers: [{ id: "u1", answer: "x" }] }),
    ]
    await w.engine.commit(w.pool, [{ ...owner, items }])
    await heard.until((all) => all.length >= 2)
    await w.engine.terminate(w.pool, [w.terminateItem("kind/b")])
    await heard.until((all) => all.length >= 3)
    expect(heard.all).toHaveLength(3)
    expect(heard.all).toEqual(
      expect.arrayContaining([
        { type: "ended", shard: 0, address: "kind/a", run: a.run },
        { type: "answered", shard: 0, id: "u1" },
        { type: "ended", shard: 0, address: "kind/b", run: b.run },
      ]),
    )
    await stop()
  })
}
