import { expect, test } from "vitest"
import { found, only, type World } from "../world.ts"

export function timerConformance(world: () => World): void {
  test("a delayed start sleeps until it is due by the store's clock (E4)", async () => {
    const w = world()
    const owner = await w.own()
    await w.start("kind/a", { after: 5000 })
    await w.start("kind/b", { after: 0 })
    expect(await w.read("kind/a")).toMatchObject({ phase: "parked", due: w.now + 5000, on: [] })
    const first = await w.take(owner, { timers: true })
    expect(first.runs.map((run) => run.address)).toEqual(["kind/b"])
    expect(first).toMatchObject({ nextDue: w.now + 5000, more: false })
    w.now += 4999
    expect((await w.take(owner, { timers: true })).runs).toEqual([])
    w.now += 1
    expect((await w.take(owner)).runs, "timers were not asked").toEqual([])
    const due = await w.take(owner, { timers: true })
    expect(due.runs.map((run) => [run.address, run.phase, run.due])).toEqual([["kind/a", "active", w.now]])
    expect(due.nextDue).toBeUndefined()
    expect((await w.take(owner, { timers: true })).runs).toEqual([])
    expect((await w.commit(owner, w.item(found(due.runs[0]), { phase: "ready" }))).status).toBe("ok")
  })

  test("due times may be given from now on or as store time", async () => {
    const w = world()
    const owner = await w.own()
    const a = await w.running(owner, "kind/a")
    const b = await w.running(owner, "kind/b")
    const c = await w.running(owner, "kind/c")
    await w.commit(owner, w.item(a, { phase: "parked", due: { after: 300 }, on: [] }))
    await w.commit(owner, w.item(b, { phase: "parked", due: { at: w.now + 100 }, on: [] }))
    await w.commit(owner, w.item(c, { phase: "parked", due: { at: w.now - 10_000 }, on: [] }))
    const late = await w.take(owner, { timers: true })
    expect(
      late.runs.map((run) => run.address),
      "long past: at once",
    ).toEqual(["kind/c"])
    expect(late.nextDue).toBe(w.now + 100)
    w.now += 300
    expect((await w.take(owner, { timers: true })).runs.map((run) => run.address)).toEqual(["kind/b", "kind/a"])
  })

  test("the limit counts ready and due together, and more says that there is more", async () => {
    const w = world()
    const owner = await w.own()
    for (let n = 0; n < 3; n++) await w.start(`kind/due${n}`, { after: 10 + n })
    for (let n = 0; n < 2; n++) await w.start(`kind/ready${n}`)
    w.now += 1000
    const seen: string[] = []
    const mores: boolean[] = []
    for (let n = 0; n < 3; n++) {
      const { runs, more } = await w.take(owner, { limit: 2, timers: true })
      expect(runs.length).toBeLessThanOrEqual(2)
      seen.push(...runs.map((run) => run.address))
      mores.push(more)
    }
    expect(seen.toSorted()).toEqual(["kind/due0", "kind/due1", "kind/due2", "kind/ready0", "kind/ready1"])
    expect(mores).toEqual([true, true, false])
  })

  test("a parked run without a due time waits for a message only", async () => {
    const w = world()
    const owner = await w.own()
    const run = await w.running(owner, "kind/a")
    await w.commit(owner, w.item(run, { phase: "parked", on: [] }))
    w.now += 10 ** 12
    expect(await w.take(owner, { timers: true })).toMatchObject({ runs: [], nextDue: undefined })
    expect((await w.read("kind/a")).phase).toBe("parked")
  })

  test("a delayed run is woken early by a cancel", async () => {
    const w = world()
    const owner = await w.own()
    await w.start("kind/a", { after: 5000 })
    await w.message("kind/a", { kind: "cancel", name: "" })
    expect((await w.take(owner)).runs.map((run) => run.inbox.length)).toEqual([1])
    w.now += 5000
    expect((await w.take(owner, { timers: true })).runs).toEqual([])
  })

  test("without an override the store's own clock decides", async () => {
    const w = world()
    const engine = await w.open()
    try {
      const reply = only(await engine.claim(w.pool, [{ shard: 1, session: "s1", from: { session: "", epoch: 0 }, knownEpoch: 0 }]))
      if (reply.status !== "claimed") throw new Error("refused")
      await engine.start(w.pool, [{ shard: 1, address: "kind/a", run: "r1", body: "", after: 50 }])
      const group = { shard: 1, session: "s1", epoch: reply.epoch, limit: 1, timers: true }
      for (;;) {
        const taken = only(await engine.take(w.pool, [group]))
        if (taken.status !== "taken") throw new Error("stale")
        expect(Math.abs(taken.now - Date.now())).toBeLessThan(60_000)
        if (taken.runs.length === 1) break
        expect(taken.nextDue).toBeGreaterThan(taken.now)
      }
    } finally {
      await engine.close()
    }
  })
}
