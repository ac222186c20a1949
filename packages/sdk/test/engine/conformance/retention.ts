import { expect, test } from "vitest"
import type { World } from "../world.ts"

export function retentionConformance(world: () => World): void {
  const end = async (w: World, owner: Awaited<ReturnType<World["own"]>>, address: string, retention: number) => {
    const run = await w.running(owner, address)
    await w.commit(owner, w.item(run, { phase: "ended", outcome: address, retention }))
  }
  const read = async (w: World, address: string) => (await w.engine.read(w.pool, [{ shard: 0, address }]))[0]
  const trim = async (w: World, owner: Awaited<ReturnType<World["own"]>>, limit = 100) =>
    (await w.engine.trim(w.pool, [{ ...owner, limit }]))[0]

  test("an ended run stays for its retention, and until a trim (E7)", async () => {
    const w = world()
    const owner = await w.own()
    await end(w, owner, "kind/short", 100)
    await end(w, owner, "kind/long", 1000)
    await w.engine.terminate(w.pool, [w.terminateItem("kind/none")])
    expect(await trim(w, owner)).toBe(0)
    w.now += 99
    expect(await trim(w, owner)).toBe(0)
    w.now += 1
    expect((await read(w, "kind/short"))?.outcome).toBe("kind/short")
    expect(await trim(w, owner)).toBe(1)
    expect(await read(w, "kind/short")).toBeUndefined()
    expect((await read(w, "kind/long"))?.outcome).toBe("kind/long")
    w.now += 900
    expect(await trim(w, owner)).toBe(1)
    expect(await trim(w, owner)).toBe(0)
    expect(await w.engine.list(w.pool, 0, "0", 100)).toEqual({ cursor: "0", runs: [] })
  })

  test("a terminated run has its own retention", async () => {
    const w = world()
    const owner = await w.own()
    await w.start("kind/a")
    await w.engine.terminate(w.pool, [w.terminateItem("kind/a", { retention: 50 })])
    w.now += 50
    expect(await trim(w, owner)).toBe(1)
    expect(await read(w, "kind/a")).toBeUndefined()
  })

  test("request ids and answers are forgotten together", async () => {
    const w = world()
    const owner = await w.own()
    const run = await w.running(owner, "kind/a")
    await w.message("kind/a", { id: "u1", retention: 100 })
    await w.message("kind/a", { id: "u2", retention: 5000 })
    const answers = [
      { id: "u1", answer: "1" },
      { id: "u2", answer: "2" },
    ]
    await w.commit(owner, w.item(run, { phase: "parked", on: [] }, { consumed: 2, seen: 2, answers }))
    w.now += 100
    expect(await w.message("kind/a", { id: "u1" })).toMatchObject({ status: "duplicate", answer: "1" })
    expect(await trim(w, owner)).toBe(1)
    expect(await w.message("kind/a", { id: "u1" })).toMatchObject({ status: "accepted" })
    expect(await w.message("kind/a", { id: "u2" })).toMatchObject({ status: "duplicate", answer: "2" })
    expect((await w.engine.answers(w.pool, [{ shard: 0, id: "u1" }]))[0]).toBeUndefined()
  })

  test("trims at most the limit, over several shards, and only what is over", async () => {
    const w = world()
    const owner = await w.own()
    const other = await w.own(1)
    for (let n = 0; n < 5; n++) await end(w, owner, `kind/${n}`, 10)
    const run = await w.running(owner, "kind/due")
    await w.commit(owner, w.item(run, { phase: "parked", due: { after: 5 }, on: [] }))
    w.now += 20
    expect(
      await w.engine.trim(w.pool, [
        { ...owner, limit: 2 },
        { ...other, limit: 2 },
      ]),
    ).toEqual([2, 0])
    expect(await trim(w, owner)).toBe(3)
    expect((await w.take(owner, { timers: true })).runs.map((taken) => taken.address)).toEqual(["kind/due"])
  })
}
