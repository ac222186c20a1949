/** The public map on every store: two members of one map, as two processes would have it. */
import fc from "fast-check"
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest"
import { describeRedis, uniqueName } from "../../../../tools/with-redis.ts"
import type { Engine } from "../../src/engine/engine.ts"
import type { MapNotice, MapOperation } from "../../src/engine/maps.ts"
import { joinMap, type JoinedMap, type JoinMapOptions, type MapChange } from "../../src/rmap/index.ts"
import { describeOwnRedis, ownRedis, type OwnRedis } from "../engine/redis-server.ts"
import { fileStore, memoryStore, redisStore } from "../engine/stores.ts"
import type { TestStore } from "../engine/world.ts"

const object = (map: JoinedMap): Record<string, string> => Object.fromEntries(map.entries())

/** An engine whose notices the test can lose. */
const deaf = (engine: Engine) => {
  const state = { lost: false }
  const wrapped = new Proxy(engine, {
    get(target, name) {
      if (name === "onMapChange")
        return (pool: string, map: string, listener: (notice: MapNotice) => void) =>
          target.onMapChange(pool, map, (notice) => (state.lost ? undefined : listener(notice)))
      const value: unknown = Reflect.get(target, name)
      return typeof value === "function" ? (value.bind(target) as unknown) : value
    },
  })
  return { engine: wrapped, state }
}

function suite(store: () => TestStore): void {
  let pool: string
  let engines: Engine[] = []
  let joined: JoinedMap[] = []
  const open = async (): Promise<Engine> => {
    const engine = await store().open()
    engines.push(engine)
    return engine
  }
  const join = async (name = "m", options: Partial<JoinMapOptions> = {}): Promise<JoinedMap> => {
    pool ||= uniqueName("maps")
    const map = await joinMap(name, { pool, engine: options.engine ?? (await open()), ...options })
    joined.push(map)
    return map
  }
  afterEach(async () => {
    for (const map of joined) await map.close()
    for (const engine of engines) await engine.close()
    await store().remove(pool)
    engines = []
    joined = []
    pool = ""
  })

  test("what one member writes it sees at once, and the others soon; a late one begins with all of it", async () => {
    const [a, b] = [await join(), await join()]
    await a.set("x", "1")
    expect(a.get("x")).toBe("1")
    expect(await a.increment("n", 3)).toBe(3)
    expect(await b.decrement("n")).toBe(2)
    expect(b.get("n"), "also what was there before its own write").toBe("2")
    expect(await b.append("l", ["p", "q", "p"])).toEqual(["p", "q", "p"])
    expect(await a.appendUnique("l", ["q", "r"])).toEqual(["p", "q", "p", "r"])
    expect(await a.remove("l", ["p"])).toEqual(["q", "r"])
    expect(a.list("l")).toEqual(["q", "r"])
    expect(a.get("l")).toBe('["q","r"]')
    expect(a.list("none")).toEqual([])
    expect(await b.compareAndSet("x", "0", "2")).toEqual({ swapped: false, value: "1" })
    expect(await b.compareAndSet("x", "1", "2")).toEqual({ swapped: true, value: "2" })
    await a.delete("n")
    await vi.waitFor(() => expect(object(b)).toEqual({ x: "2", l: '["q","r"]' }))
    const late = await join()
    expect([object(late), late.size, late.has("x"), late.has("n"), late.revision]).toEqual([object(a), 2, true, false, a.revision])
    await a.reset()
    expect(a.size).toBe(0)
  })

  test("several operations are one change, and a refused one leaves nothing", async () => {
    const map = await join()
    const heard: Array<ReadonlyArray<MapChange<string>>> = []
    map.onChange((changes) => heard.push(changes))
    const written = await map.write([
      { type: "set", key: "a", value: "1" },
      { type: "increment", key: "n", by: 1 },
    ])
    expect(written).toEqual({ status: "ok", revision: map.revision, values: ["1", "1"] })
    const refused = await map.write([{ type: "reset" }, { type: "swap", key: "a", expect: "1", value: "2" }])
    expect(refused).toEqual({ status: "conflict", revision: map.revision, at: 1, value: undefined })
    await expect(map.increment("a", 0.5)).rejects.toMatchObject({ _tag: "BadInput" })
    await map.set("text", "x")
    await expect(map.append("text", ["y"])).rejects.toMatchObject({
      _tag: "BadInput",
      message: expect.stringContaining('got: "x"') as string,
    })
    await expect(map.increment("text")).rejects.toMatchObject({ _tag: "BadInput" })
    expect(() => map.list("text")).toThrow("to be a list")
    await expect(map.set("a", "\ud800")).rejects.toMatchObject({ _tag: "BadInput" })
    expect(heard).toEqual([
      [
        { type: "set", key: "a", value: "1", previous: undefined },
        { type: "set", key: "n", value: "1", previous: undefined },
      ],
      [{ type: "set", key: "text", value: "x", previous: undefined }],
    ])
  })

  test("a repeated request counts once", async () => {
    const [a, b] = [await join(), await join()]
    const operations: MapOperation[] = [{ type: "increment", key: "n", by: 1 }]
    const first = await a.write(operations, { id: "order-7" })
    expect(await b.write(operations, { id: "order-7" })).toEqual(first)
    expect(b.get("n")).toBe("1")
  })

  test("many writers that race with compare-and-set lose no update", async () => {
    const maps = [await join(), await join(), await join()]
    const shared: Engine = await open()
    maps.push(await join("m", { engine: shared }), await join("m", { engine: shared }))
    const each = 12
    await Promise.all(
      maps.map(async (map) => {
        for (let done = 0; done < each;) {
          const before = map.get("sum")
          const { swapped } = await map.compareAndSet("sum", before, String(Number(before ?? 0) + 1))
          if (swapped) done++
        }
      }),
    )
    const sums = await Promise.all(maps.flatMap((map) => Array.from({ length: 10 }, () => map.increment("ticket"))))
    expect(new Set(sums).size, "no two get the same number").toBe(50)
    await vi.waitFor(() => {
      for (const map of maps) expect(object(map)).toEqual({ sum: String(maps.length * each), ticket: "50" })
    })
  })

  test("a lost notice is found by the next one, or by the check, and arrives as one difference", async () => {
    const a = await join()
    const ear = deaf(await open())
    const b = await join("m", { engine: ear.engine, mapCheckMs: 100 })
    const heard: Array<readonly [ReadonlyArray<MapChange<string>>, number]> = []
    b.onChange((changes, revision) => heard.push([changes, revision]))
    ear.state.lost = true
    await a.set("x", "1")
    await a.set("x", "2")
    await a.set("y", "1")
    await vi.waitFor(() => expect(object(b), "by the check alone").toEqual({ x: "2", y: "1" }))
    ear.state.lost = false
    await a.delete("y")
    await vi.waitFor(() => expect(object(b)).toEqual({ x: "2" }))
    const replayed = new Map<string, string>()
    let last = 0
    for (const [changes, revision] of heard) {
      expect(revision).toBeGreaterThan(last)
      last = revision
      for (const change of changes) {
        expect(change.previous).toBe(replayed.get(change.key))
        if (change.type === "set") replayed.set(change.key, change.value)
        else replayed.delete(change.key)
      }
    }
    expect(replayed).toEqual(b.entries())
  })

  test("a listener that throws disturbs neither the map nor the others", async () => {
    const map = await join()
    const thrown: unknown[] = []
    const others = process.listeners("uncaughtException")
    process.removeAllListeners("uncaughtException")
    process.on("uncaughtException", (error) => thrown.push(error))
    try {
      const keys: string[] = []
      map.onChange(() => {
        throw new Error("mine")
      })
      const stop = map.onChange(([change]) => keys.push(change?.key ?? ""))
      await map.set("a", "1")
      stop()
      await map.set("b", "1")
      expect([keys, map.size]).toEqual([["a"], 2])
      await vi.waitFor(() => expect(thrown).toHaveLength(2))
    } finally {
      process.removeAllListeners("uncaughtException")
      for (const listener of others) process.on("uncaughtException", listener)
    }
  })

  test("a destroyed map is empty for everybody, and may begin again", async () => {
    const [a, b] = [await join(), await join()]
    await a.set("x", "1")
    await b.refresh()
    const gone: string[] = []
    b.onChange((changes) => changes.forEach((change) => change.type === "remove" && gone.push(change.key)))
    await a.destroy()
    expect(a.size).toBe(0)
    await vi.waitFor(() => expect(gone).toEqual(["x"]))
    await b.set("y", "2")
    await vi.waitFor(() => expect(object(a)).toEqual({ y: "2" }))
  })

  test("a map that nothing changed for mapAgeMs is empty for everybody, also for who holds it in memory; each write begins its time anew", async () => {
    const options = { mapAgeMs: 400, mapCheckMs: 100 }
    const [a, b] = [await join("m", options), await join("m", options)]
    await a.set("x", "1")
    await b.refresh()
    const gone: string[] = []
    b.onChange((changes) => changes.forEach((change) => change.type === "remove" && gone.push(change.key)))
    const end = performance.now() + 800
    let n = 0
    while (performance.now() < end) {
      await a.set("n", String(n++))
      expect(a.get("x"), "it is written to").toBe("1")
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    await vi.waitFor(() => expect([a.size, b.size]).toEqual([0, 0]), { timeout: 5_000 })
    expect(gone.toSorted()).toEqual(["n", "x"])
    await b.set("y", "2")
    await vi.waitFor(() => expect(object(a)).toEqual({ y: "2" }))
  })

  test("limits are kept, names are checked, and a closed map takes no writes", async () => {
    const map = await join("m", { mapEntries: 1 })
    await map.set("a", "1")
    await expect(map.set("b", "1")).rejects.toMatchObject({ _tag: "MapFull" })
    await map.set("a", "2")
    await expect(join("a{b")).rejects.toMatchObject({ _tag: "BadOption" })
    await expect(joinMap("m", { pool: "p", entries: 1 } as never)).rejects.toMatchObject({ _tag: "BadOption" })
    await map.close()
    await expect(map.set("a", "3")).rejects.toMatchObject({ _tag: "NotAllowed" })
    expect(map.get("a")).toBe("2")
  })

  test("members agree with a model whatever is written, and whatever notices are lost", async () => {
    const key = fc.constantFrom("a", "b", "c")
    const step = fc.record({
      who: fc.nat(1),
      lose: fc.boolean(),
      operation: fc.oneof(
        fc.record({ type: fc.constant("set" as const), key, value: fc.constantFrom("", "1", "x") }),
        fc.record({ type: fc.constant("increment" as const), key: fc.constant("n"), by: fc.integer({ min: -5, max: 5 }) }),
        fc.record({
          type: fc.constant("append" as const),
          key: fc.constant("l"),
          items: fc.array(fc.constantFrom("p", "q", '"\\'), { maxLength: 3 }),
          unique: fc.boolean(),
        }),
        fc.record({ type: fc.constant("remove" as const), key: fc.constant("l"), items: fc.constantFrom(["p"], ["q", '"\\']) }),
        fc.record({
          type: fc.constant("swap" as const),
          key,
          expect: fc.constantFrom(undefined, "1"),
          value: fc.constantFrom(undefined, "2"),
        }),
        fc.record({ type: fc.constant("delete" as const), key }),
        fc.record({ type: fc.constant("reset" as const) }),
      ) as fc.Arbitrary<MapOperation>,
    })
    const ears = [deaf(await open()), deaf(await open())]
    let count = 0
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 20 }), async (steps) => {
        const name = `model-${++count}`
        const maps = [await join(name, { engine: ears[0]?.engine as Engine }), await join(name, { engine: ears[1]?.engine as Engine })]
        const model = new Map<string, string>()
        for (const { who, lose, operation } of steps) {
          for (const ear of ears) ear.state.lost = lose
          const map = maps[who] as JoinedMap
          const written = await map.write([operation])
          expect(written.status).toBe(apply(model, operation))
          expect(map.entries(), "visible after the write").toEqual(model)
        }
        for (const map of maps) await map.refresh()
        for (const map of maps) expect(map.entries()).toEqual(model)
        for (const map of maps) await map.close()
      }),
      { numRuns: 30 },
    )
  })
}

/** What the operation does to a map, said another way. */
function apply(model: Map<string, string>, operation: MapOperation): "ok" | "conflict" {
  if (operation.type === "reset") {
    model.clear()
    return "ok"
  }
  const before = model.get(operation.key)
  const put = (value: string | undefined) => (value === undefined ? model.delete(operation.key) : model.set(operation.key, value))
  const list = () => JSON.parse(before ?? "[]") as string[]
  const putList = (items: string[]) => put(items.length === 0 ? undefined : JSON.stringify(items))
  if (operation.type === "set") put(operation.value)
  if (operation.type === "delete") put(undefined)
  if (operation.type === "increment") put(String(Number(before ?? 0) + operation.by))
  if (operation.type === "append") putList(operation.unique ? uniqueAfter(list(), operation.items) : [...list(), ...operation.items])
  if (operation.type === "remove") putList(list().filter((item) => !operation.items.includes(item)))
  if (operation.type === "swap") {
    if (before !== operation.expect) return "conflict"
    put(operation.value)
  }
  return "ok"
}

function uniqueAfter(list: string[], items: ReadonlyArray<string>): string[] {
  const result = [...list]
  for (const item of items) if (!result.includes(item)) result.push(item)
  return result
}

describe("a map in memory", () => {
  let store: TestStore | undefined
  suite(() => (store ??= memoryStore()))
})

describe("a map in a file", () => {
  let file: Awaited<ReturnType<typeof fileStore>>
  beforeAll(async () => {
    file = await fileStore()
  })
  afterAll(() => file.clean())
  suite(() => file)
})

describeRedis("a map in Redis", () => {
  let store: TestStore | undefined
  suite(() => (store ??= redisStore()))
})

describeOwnRedis("a map whose Redis goes away", () => {
  let redis: OwnRedis
  beforeAll(async () => {
    redis = await ownRedis({ appendonly: "yes", appendfsync: "always" })
  })
  afterAll(() => redis.stop())

  test("follows again after a restart, and after the store was emptied", async () => {
    const pool = uniqueName("maps")
    const a = await joinMap("m", { pool, store: redis.url, mapCheckMs: 100 })
    const b = await joinMap("m", { pool, store: redis.url, mapCheckMs: 100 })
    try {
      await a.set("x", "1")
      await redis.restart(100)
      await a.set("x", "2")
      await vi.waitFor(() => expect(object(b)).toEqual({ x: "2" }), 5000)
      await redis.client.flushall()
      await vi.waitFor(() => expect([a.size, b.size]).toEqual([0, 0]), 5000)
      await b.set("y", "1")
      await vi.waitFor(() => expect(object(a)).toEqual({ y: "1" }), 5000)
    } finally {
      await a.close()
      await b.close()
    }
  })
})
