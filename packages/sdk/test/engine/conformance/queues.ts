/** Since when runs wait: what queueing delays are made of. */
import { expect, test } from "vitest"
import { found, only, type World } from "../world.ts"

export function queueConformance(world: () => World): void {
  const queue = async (shard = 0) => only(await world().other.queues(world().pool, [shard]))

  test("a take tells since when each run was ready, however it became so", async () => {
    const w = world()
    const owner = await w.own()
    const began = w.now
    await w.start("kind/started")
    w.now += 5
    await w.start("kind/woken", { after: 1000 })
    await w.message("kind/woken", { kind: "update" })
    await w.start("kind/due", { after: 10 })
    w.now += 50
    const { runs } = await w.take(owner, { timers: true })
    expect(Object.fromEntries(runs.map((run) => [run.address, run.since]))).toEqual({
      "kind/due": began + 15,
      "kind/started": began,
      "kind/woken": began + 5,
    })
  })

  test("a run that goes on is ready from its commit on, one that an unseen message wakes too", async () => {
    const w = world()
    const owner = await w.own()
    const again = await w.running(owner, "kind/again")
    const woken = await w.running(owner, "kind/woken")
    w.now += 30
    await w.message("kind/woken", { name: "go" })
    await w.commit(owner, w.item(again, { phase: "ready" }))
    expect(await w.commit(owner, w.item(woken, { phase: "parked", on: ["go"] }))).toMatchObject({ phase: "ready" })
    const ready = w.now
    w.now += 7
    expect((await w.take(owner)).runs.map((run) => run.since)).toEqual([ready, ready])
  })

  test("a run that is loaded again by its address tells no time: it does not wait", async () => {
    const w = world()
    const owner = await w.own()
    await w.running(owner, "kind/a")
    const { runs } = await w.take(owner, { addresses: ["kind/a"] })
    expect(runs.map((run) => [run.address, run.since])).toEqual([["kind/a", undefined]])
  })

  test("another spec of a ready run changes nothing about its time", async () => {
    const w = world()
    const owner = await w.own()
    await w.start("kind/a")
    const ready = w.now
    w.now += 40
    const control = { controller: "c", fence: "0000000000000000001", spec: "s", sums: [1, 2] as const }
    expect((await w.message("kind/a", { kind: "input", control })).status).toBe("accepted")
    expect(await queue()).toMatchObject({ ready: 1, oldest: ready })
    expect((await w.take(owner)).runs.map((run) => run.since)).toEqual([ready])
  })

  test("queues count what is ready, due and active, and know the one that waits longest", async () => {
    const w = world()
    const empty = { shard: 0, ready: 0, due: 0, oldest: undefined, active: 0 }
    expect(await queue()).toEqual({ ...empty, now: w.now })
    const owner = await w.own()
    const began = w.now
    await w.start("kind/later", { after: 25 })
    w.now += 20
    await w.start("kind/first")
    await w.start("kind/second")
    expect(await queue()).toEqual({ ...empty, ready: 2, oldest: began + 20, now: w.now })
    w.now += 10
    expect(await queue(), "the due one waits less long").toEqual({ ...empty, ready: 2, due: 1, oldest: began + 20, now: w.now })
    expect(only(await w.engine.sweep(w.pool, [0]))).toMatchObject({ ready: 2, due: 1, oldest: began + 20 })
    await w.take(owner, { limit: 1 })
    await w.take(owner, { limit: 1 })
    expect(await queue()).toEqual({ ...empty, due: 1, oldest: began + 25, active: 2, now: w.now })
    await w.take(owner, { timers: true })
    expect(await queue()).toEqual({ ...empty, active: 3, now: w.now })
  })

  test("a terminated run does not wait, and its successor waits from its own start on", async () => {
    const w = world()
    await w.start("kind/a")
    w.now += 100
    only(await w.engine.terminate(w.pool, [w.terminateItem("kind/a")]))
    expect(await queue()).toMatchObject({ ready: 0, oldest: undefined })
    await w.start("kind/a")
    expect(await queue()).toMatchObject({ ready: 1, oldest: w.now })
    const owner = await w.own()
    expect(found((await w.take(owner)).runs[0]).since).toBe(w.now)
  })
}
