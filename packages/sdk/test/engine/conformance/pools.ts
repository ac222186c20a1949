import { expect, test } from "vitest"
import { PoolMismatch } from "../../../src/errors.ts"
import { Heard, shardCount, type World } from "../world.ts"

export function poolConformance(world: () => World): void {
  test("a pool is made once and then known to all", async () => {
    const w = world()
    const first = await w.engine.openPool(w.pool, { shards: shardCount })
    expect(first).toEqual({ shards: shardCount, incarnation: first.incarnation, now: w.now })
    expect(first.incarnation).not.toBe("")
    expect(await w.other.openPool(w.pool, { shards: shardCount })).toEqual(first)
    expect(await w.other.poolInfo(w.pool)).toEqual(first)
    expect(await w.engine.poolInfo(`${w.pool}-none`)).toBeUndefined()
  })

  test("another shard count is refused and changes nothing", async () => {
    const w = world()
    const error = await w.other.openPool(w.pool, { shards: 16 }).catch((cause: unknown) => cause)
    expect(PoolMismatch.is(error)).toBe(true)
    expect(String(error)).toMatch(/16 shards, got: 8/)
    expect(await w.engine.poolInfo(w.pool)).toMatchObject({ shards: shardCount })
  })

  test("kinds add up", async () => {
    const w = world()
    expect(await w.engine.kinds(w.pool)).toEqual([])
    await w.engine.addKinds(w.pool, [])
    await w.engine.addKinds(w.pool, ["b", "a"])
    await w.other.addKinds(w.pool, ["a", "c"])
    expect((await w.engine.kinds(w.pool)).toSorted()).toEqual(["a", "b", "c"])
  })

  test("a session joins with counter 1, renews, and leaves", async () => {
    const w = world()
    const { memberVersion } = await w.engine.join(w.pool, { session: "s1", record: '{"host":"a"}' })
    expect(memberVersion).toBe(1)
    expect(await w.other.members(w.pool)).toEqual({ memberVersion, members: [{ session: "s1", record: '{"host":"a"}' }] })
    const read = await w.other.renew(w.pool, undefined)
    expect(read).toMatchObject({ alive: false, memberVersion, assignmentVersion: 0, now: w.now })
    expect(read.counters).toEqual(new Map([["s1", 1]]))
    expect(await w.engine.renew(w.pool, "s1")).toMatchObject({ alive: true, counters: new Map([["s1", 2]]), incarnation: read.incarnation })
    await w.engine.leave(w.pool, "s1")
    await w.engine.leave(w.pool, "s1")
    expect(await w.engine.renew(w.pool, "s1")).toMatchObject({ alive: false, counters: new Map(), memberVersion: 2 })
    expect(await w.engine.members(w.pool)).toEqual({ memberVersion: 2, members: [] })
  })

  test("a repeated join counts once", async () => {
    const w = world()
    await w.engine.join(w.pool, { session: "s1", record: "{}" })
    await w.engine.renew(w.pool, "s1")
    expect(await w.engine.join(w.pool, { session: "s1", record: "{}" })).toEqual({ memberVersion: 1 })
    expect((await w.engine.renew(w.pool, undefined)).counters.get("s1")).toBe(2)
  })

  test("only a living session's record is replaced", async () => {
    const w = world()
    expect(await w.engine.updateMember(w.pool, { session: "s1", record: "new" })).toBe(false)
    await w.engine.join(w.pool, { session: "s1", record: "old" })
    expect(await w.engine.updateMember(w.pool, { session: "s1", record: "new" })).toBe(true)
    expect(await w.engine.updateMember(w.pool, { session: "s1", record: "new" })).toBe(true)
    expect(await w.engine.members(w.pool)).toEqual({ memberVersion: 2, members: [{ session: "s1", record: "new" }] })
  })

  test("a session is marked dead only at the counter that was seen, and stays dead", async () => {
    const w = world()
    await w.engine.join(w.pool, { session: "s1", record: "{}" })
    await w.engine.renew(w.pool, "s1")
    expect(await w.other.markDead(w.pool, "s1", 1)).toBe("refused")
    // Several that saw the same.
    const marks = [w.other, w.engine, w.other].map((engine) => engine.markDead(w.pool, "s1", 2))
    expect((await Promise.all(marks)).toSorted()).toEqual(["gone", "gone", "marked"])
    expect(await w.other.markDead(w.pool, "s1", 2)).toBe("gone")
    expect(await w.engine.renew(w.pool, "s1")).toMatchObject({ alive: false, memberVersion: 2, counters: new Map() })
    expect(await w.engine.updateMember(w.pool, { session: "s1", record: "back" })).toBe(false)
  })

  test("an assignment is written only on the versions that it was computed from (A1)", async () => {
    const w = world()
    expect(await w.engine.assignment(w.pool)).toEqual({ version: 0, memberVersion: 0, value: "" })
    await w.engine.join(w.pool, { session: "s1", record: "{}" })
    const first = { expectVersion: 0, memberVersion: 1, value: "one" }
    expect(await w.engine.assign(w.pool, { ...first, memberVersion: 0 })).toBe(false)
    expect(await w.engine.assign(w.pool, { ...first, expectVersion: 1 })).toBe(false)
    expect(await w.engine.assign(w.pool, first)).toBe(true)
    expect(await w.engine.assign(w.pool, first), "its repetition").toBe(true)
    expect(await w.other.assign(w.pool, { ...first, value: "another" })).toBe(false)
    expect(await w.other.assignment(w.pool)).toEqual({ version: 1, memberVersion: 1, value: "one" })
    await w.engine.join(w.pool, { session: "s2", record: "{}" })
    expect(await w.engine.assign(w.pool, { expectVersion: 1, memberVersion: 1, value: "late" })).toBe(false)
    expect(await w.engine.assign(w.pool, { expectVersion: 1, memberVersion: 2, value: "two" })).toBe(true)
    expect((await w.engine.renew(w.pool, undefined)).assignmentVersion).toBe(2)
  })

  test("what changes members or assignment is published on the channel members", async () => {
    const w = world()
    const heard = new Heard<string>()
    const stop = await w.other.subscribe(w.pool, "members", heard.listener)
    const steps: ReadonlyArray<() => Promise<unknown>> = [
      () => w.engine.join(w.pool, { session: "s1", record: "{}" }),
      () => w.engine.join(w.pool, { session: "s2", record: "{}" }),
      () => w.engine.updateMember(w.pool, { session: "s1", record: "2" }),
      () => w.engine.assign(w.pool, { expectVersion: 0, memberVersion: 3, value: "v" }),
      () => w.engine.markDead(w.pool, "s2", 1),
      () => w.engine.leave(w.pool, "s1"),
    ]
    for (const [n, step] of steps.entries()) {
      await step()
      await heard.until((all) => all.length >= n + 1)
    }
    await stop()
  })
}
