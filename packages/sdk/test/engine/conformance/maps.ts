import fc from "fast-check"
import { expect, test } from "vitest"
import type { MapNotice, MapOperation, MapWrite, MapWriteReply } from "../../../src/engine/maps.ts"
import { Heard, only, type World } from "../world.ts"

const set = (key: string, value: string): MapOperation => ({ type: "set", key, value })
const append = (key: string, items: ReadonlyArray<string>, unique = false): MapOperation => ({ type: "append", key, items, unique })
const increment = (key: string, by = 1): MapOperation => ({ type: "increment", key, by })

export function mapConformance(world: () => World): void {
  const write = (operations: ReadonlyArray<MapOperation>, more: Partial<MapWrite> = {}): MapWrite => ({
    map: "m",
    id: `id-${world().next()}`,
    retention: 60_000,
    keep: 0,
    maxEntries: 100,
    maxBytes: 10_000,
    operations,
    ...more,
  })
  const change = async (operations: ReadonlyArray<MapOperation>, more: Partial<MapWrite> = {}): Promise<MapWriteReply> =>
    only(await world().engine.changeMaps(world().pool, [write(operations, more)]))
  const read = async (map = "m") => only(await world().other.readMaps(world().pool, [{ map }]))
  const entries = async (map = "m") => Object.fromEntries((await read(map)).entries ?? [])

  test("a map that was never written is empty and has revision 0", async () => {
    expect(await read()).toEqual({ revision: 0, entries: new Map() })
    expect(only(await world().engine.readMaps(world().pool, [{ map: "m", known: 0 }])).entries).toBeUndefined()
    expect(await world().engine.readMaps(world().pool, [])).toEqual([])
    expect(await world().engine.changeMaps(world().pool, [])).toEqual([])
  })

  test("each operation answers the value that it leaves, and a write adds one to the revision", async () => {
    const first = await change([set("a", "1"), append("list", ["x", 'y/"\\\u0007ü', "x"]), increment("n", 5)])
    const list = JSON.stringify(["x", 'y/"\\\u0007ü', "x"])
    expect(first).toEqual({ status: "ok", revision: expect.any(Number), changed: true, values: ["1", list, "5"] })
    expect(first.revision).toBe(world().now * 4096 + 1)
    const second = await change([
      increment("n", -6),
      append("list", ["x", "z", "z"], true),
      { type: "remove", key: "list", items: ["x", "none"] },
      { type: "delete", key: "a" },
    ])
    const rest = JSON.stringify(['y/"\\\u0007ü', "z"])
    expect(second).toEqual({
      status: "ok",
      revision: first.revision + 1,
      changed: true,
      values: ["-1", JSON.stringify(["x", 'y/"\\\u0007ü', "x", "z"]), rest, undefined],
    })
    expect(await read()).toEqual({ revision: first.revision + 1, entries: new Map(Object.entries({ n: "-1", list: rest })) })
    await change([{ type: "remove", key: "list", items: ['y/"\\\u0007ü', "z"] }])
    expect(await entries(), "an empty list leaves with its key").toEqual({ n: "-1" })
    await change([{ type: "reset" }, set("b", "2")])
    expect(await entries()).toEqual({ b: "2" })
  })

  test("a write that changes nothing has no revision of its own, and tells nobody", async () => {
    const { revision } = await change([set("a", "1")])
    const heard = new Heard<MapNotice>()
    await world().other.onMapChange(world().pool, "m", heard.listener)
    for (const operations of [
      [set("a", "1")],
      [{ type: "delete", key: "none" } as const],
      [append("none", [])],
      [set("b", "1"), { type: "delete", key: "b" } as const],
    ])
      expect(await change(operations)).toMatchObject({ status: "ok", revision, changed: false })
    expect((await change([{ type: "reset" }], { map: "never" })).revision).toBe(0)
    await change([set("a", "2")])
    await heard.until((all) => all.length > 0)
    expect(heard.all).toEqual([{ type: "changed", revision: revision + 1, cleared: false, changes: [["a", "2"]] }])
  })

  test("a swap compares, and a refused one undoes the whole write", async () => {
    expect(await change([{ type: "swap", key: "a", expect: undefined, value: "1" }])).toMatchObject({ status: "ok", values: ["1"] })
    const { revision } = await read()
    expect(await change([set("b", "1"), { type: "swap", key: "a", expect: undefined, value: "2" }])).toEqual({
      status: "conflict",
      revision,
      at: 1,
      value: "1",
    })
    expect(await change([{ type: "swap", key: "a", expect: "", value: "2" }])).toMatchObject({ status: "conflict", value: "1" })
    expect(await entries()).toEqual({ a: "1" })
    expect(await change([{ type: "swap", key: "a", expect: "1", value: undefined }])).toMatchObject({ status: "ok", values: [undefined] })
    expect(await change([{ type: "swap", key: "a", expect: "1", value: "2" }])).toMatchObject({ status: "conflict", value: undefined })
    expect(await entries()).toEqual({})
  })

  test("what is no list or no safe integer is refused, and nothing is written", async () => {
    await change([set("text", "x"), set("odd", '["a" ,"b"]'), set("big", String(Number.MAX_SAFE_INTEGER)), set("list", '["a"]')])
    const before = await read()
    for (const [operation, value] of [
      [append("text", ["a"]), "x"],
      [append("odd", ["a"]), '["a" ,"b"]'],
      [{ type: "remove", key: "text", items: ["a"] }, "x"],
      [increment("text"), "x"],
      [increment("list"), '["a"]'],
      [increment("big"), String(Number.MAX_SAFE_INTEGER)],
    ] as const)
      expect(await change([set("new", "1"), operation])).toEqual({ status: "mistyped", revision: before.revision, at: 1, value })
    expect(await read()).toEqual(before)
    expect(await change([append("list", ["b"])])).toMatchObject({ values: ['["a","b"]'] })
  })

  test("a repeated write is answered as the first time, and changes nothing", async () => {
    const one = write([increment("n"), append("l", ["a"]), set("s", "1"), { type: "delete", key: "s" }])
    const [first] = await world().engine.changeMaps(world().pool, [one])
    await change([increment("n", 10)])
    const before = await read()
    const [again, twice] = await world().other.changeMaps(world().pool, [one, one])
    expect([again, twice]).toEqual([first, first])
    expect(await read()).toEqual(before)
    world().now += 60_001
    expect(only(await world().engine.changeMaps(world().pool, [one]))).toMatchObject({ values: ["12", '["a","a"]', "1", undefined] })
  })

  test("a map has limits that let it shrink", async () => {
    await change([set("a", "1"), set("b", "2"), set("c", "ü")], { maxEntries: 3 })
    const { revision } = await read()
    expect(await change([set("d", "1")], { maxEntries: 3 })).toEqual({ status: "full", revision })
    expect(await change([set("a", "12345")], { maxBytes: 10 })).toEqual({ status: "full", revision })
    expect(await change([set("a", "123")], { maxBytes: 9 }), "7 + 2 bytes").toMatchObject({ status: "ok" })
    expect(await change([{ type: "delete", key: "c" }], { maxEntries: 1, maxBytes: 1 })).toMatchObject({ status: "ok" })
    expect(await change([{ type: "reset" }, set("z", "1")], { maxEntries: 1, maxBytes: 2 })).toMatchObject({ status: "ok" })
    expect(await entries()).toEqual({ z: "1" })
  })

  test("a map that nothing changed for its time is gone, and its next life has higher revisions", async () => {
    const first = await change([set("a", "1")], { keep: 1000 })
    world().now += 900
    await change([increment("n")], { keep: 1000 })
    world().now += 900
    expect(await entries()).toEqual({ a: "1", n: "1" })
    world().now += 100
    expect(await read()).toEqual({ revision: 0, entries: new Map() })
    const next = await change([increment("n")], { keep: 0 })
    expect(next).toMatchObject({ values: ["1"] })
    expect(next.revision).toBeGreaterThan(first.revision + 1)
    world().now += 1e9
    expect(await entries()).toEqual({ n: "1" })
  })

  test("a destroyed map is gone, and whoever follows it is told to look", async () => {
    const w = world()
    await change([set("a", "1")])
    const heard = new Heard<MapNotice>()
    await w.other.onMapChange(w.pool, "m", heard.listener)
    await w.engine.destroyMaps(w.pool, ["m", "never"])
    await w.engine.destroyMaps(w.pool, ["m"])
    await heard.until((all) => all.length > 0)
    expect(heard.all).toEqual([{ type: "unsure" }])
    expect(await read()).toEqual({ revision: 0, entries: new Map() })
  })

  test("many writes in one call keep their order per map, and are heard in the order of revisions", async () => {
    const w = world()
    const heard = new Heard<MapNotice>()
    const stop = await w.other.onMapChange(w.pool, "a", heard.listener)
    const items = Array.from({ length: 450 }, (_, n) => write([append(`k${n % 3}`, [`${n}`])], { map: n % 2 ? "a" : "b" }))
    const replies = await w.engine.changeMaps(w.pool, items)
    const revisions = replies.filter((_, n) => n % 2).map(({ revision }) => revision)
    expect(revisions).toEqual(revisions.map((_, n) => (revisions[0] ?? 0) + n))
    const lists = Object.values(await entries("a")).flatMap((text) => JSON.parse(text) as string[])
    expect(lists.toSorted((a, b) => Number(a) - Number(b))).toEqual(Array.from({ length: 225 }, (_, n) => `${2 * n + 1}`))
    await heard.until((all) => all.length === 225)
    expect(heard.all.map((notice) => notice.type === "changed" && notice.revision)).toEqual(revisions)
    await stop()
  })

  test("the notices of a map replayed are its content, whatever is written", async () => {
    const key = fc.constantFrom("a", "b", "list", "n")
    const items = fc.array(fc.constantFrom("x", "y", '"', "\\"), { maxLength: 3 })
    const operation: fc.Arbitrary<MapOperation> = fc.oneof(
      fc.record({ type: fc.constant("set" as const), key, value: fc.constantFrom("", "1", '["x"]', "[]") }),
      fc.record({
        type: fc.constant("swap" as const),
        key,
        expect: fc.constantFrom(undefined, "1"),
        value: fc.constantFrom(undefined, "2"),
      }),
      fc.record({ type: fc.constant("append" as const), key, items, unique: fc.boolean() }),
      fc.record({ type: fc.constant("remove" as const), key, items }),
      fc.record({ type: fc.constant("increment" as const), key, by: fc.integer({ min: -2, max: 2 }) }),
      fc.record({ type: fc.constant("delete" as const), key }),
      fc.record({ type: fc.constant("reset" as const) }),
    )
    const w = world()
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(operation, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 12 }), async (writes) => {
        const map = `m${w.next()}`
        const heard = new Heard<MapNotice>()
        const stop = await w.other.onMapChange(w.pool, map, heard.listener)
        let last = 0
        for (const operations of writes) {
          const reply = await change(operations, { map, maxEntries: 3 })
          last = reply.revision
        }
        const state = await read(map)
        expect(state.revision).toBe(last)
        await heard.until((all) => last === 0 || all.some((notice) => notice.type === "changed" && notice.revision === last))
        const replayed = new Map<string, string>()
        for (const notice of heard.all) {
          if (notice.type !== "changed") throw new Error("nothing was lost")
          if (notice.cleared) replayed.clear()
          for (const [name, value] of notice.changes) {
            if (value === undefined) replayed.delete(name)
            else replayed.set(name, value)
          }
        }
        expect(replayed).toEqual(state.entries)
        await stop()
      }),
      { numRuns: 40 },
    )
  })
}
