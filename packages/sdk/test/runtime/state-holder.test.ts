/** H1 and H2 of the state that handlers hold, without a run around it. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { StateHolder } from "../../src/runtime/state-holder.ts"

const copy = (state: unknown): unknown => structuredClone(state)
const build = () => ({
  count: 1,
  at: new Date(5),
  link: new URL("http://a.example/b"),
  bytes: new Uint8Array([1, 2]),
  names: new Set(["a"]),
  byName: new Map([["a", { n: 1 }]]),
  list: [{ n: 1 }, { n: 2 }],
  deep: { deeper: { n: 1 } as { n: number; more?: number } },
})

describe("an update", () => {
  const changeAll = (state: ReturnType<typeof build>): void => {
    state.count++
    state.at.setTime(6)
    state.link.pathname = "/c"
    state.bytes[0] = 9
    state.names.add("b")
    const a = state.byName.get("a")
    if (a !== undefined) a.n++
    state.byName.set("b", { n: 0 })
    state.list.reverse()
    state.list.push({ n: 3 })
    state.deep.deeper.more = 1
    state.deep.deeper.n++
  }

  test("changes the very objects that are held", () => {
    const state = build()
    const { byName, deep, list, names } = state
    const holder = new StateHolder(state)
    holder.update((given) => (changeAll(given as typeof state), given), copy)
    expect(holder.state).toBe(state)
    expect([names.size, byName.get("a")?.n, deep.deeper.more, list.map(({ n }) => n)]).toEqual([2, 2, 1, [2, 1, 3]])
  })

  test("that throws puts everything back, in the very objects that are held", () => {
    const state = build()
    const parts = [state.at, state.link, state.bytes, state.names, state.byName, state.list, state.list[0], state.deep.deeper]
    const holder = new StateHolder(state)
    const broken = new Error("broken")
    const change = (given: unknown): never => {
      changeAll(given as typeof state)
      throw broken
    }
    expect(() => holder.update(change, copy)).toThrow(broken)
    expect(holder.state).toBe(state)
    expect(state).toEqual(build())
    expect(state.link.href).toBe("http://a.example/b")
    const now = [state.at, state.link, state.bytes, state.names, state.byName, state.list, state.list[0], state.deep.deeper]
    now.forEach((part, at) => expect(part).toBe(parts[at]))
  })

  const json = fc.jsonValue({ maxDepth: 3 })
  test("that throws, or that assigns another state of the same shape, is whole: for any data", () => {
    const record = fc.dictionary(fc.oneof(fc.string(), fc.constant("__proto__")), json)
    fc.assert(
      fc.property(fc.oneof(fc.tuple(record, record), fc.tuple(fc.array(json), fc.array(json))), ([first, second]) => {
        const before = structuredClone(first)
        const holder = new StateHolder(first)
        const fail = (state: unknown): never => {
          if (Array.isArray(state)) state.splice(0, 1, "added", "added")
          else {
            for (const name of Object.keys(state as object)) delete (state as Record<string, unknown>)[name]
            Object.assign(state as object, { added: 1 })
          }
          throw new Error("no")
        }
        expect(() => holder.update(fail, copy)).toThrow("no")
        expect(holder.state).toEqual(before)
        holder.update(() => second, copy)
        expect(holder.state).toBe(first)
        expect(JSON.parse(JSON.stringify(holder.state))).toEqual(JSON.parse(JSON.stringify(second)))
        holder.checkWrites("it")
      }),
    )
  })

  test.each([
    ["null", { a: 1 }, null],
    ["a list", { a: 1 }, [1]],
    ["a text", [1], "text"],
    ["an object", "text", { a: 1 }],
    ["a Map", { a: 1 }, new Map([["a", 1]])],
  ])("may make something of another shape of the state: %s", (_, first, second) => {
    const holder = new StateHolder(first)
    holder.update(() => second, copy)
    expect(holder.state).toBe(second)
  })

  test("may build the new state around the old one", () => {
    const first: Record<string, unknown> = { value: 1 }
    const holder = new StateHolder(first)
    holder.update((state) => ({ value: 2, before: state }), copy)
    expect(holder.state).toEqual({ value: 2, before: { value: 1 } })
    holder.update((state) => ({ value: 3, before: new Map([["it", [state]]]) }), copy)
    expect(JSON.stringify(holder.state)).toContain('"value":3')
  })

  test("of a state with a frozen part works on a copy", () => {
    const first = { list: Object.freeze([1]), at: 1 }
    const holder = new StateHolder(first)
    const change = (state: any): unknown => (state.list.push(2), state)
    holder.update(change, copy)
    expect([holder.state, first.list]).toEqual([{ list: [1, 2], at: 1 }, [1]])
    first.at = 2
    expect(() => holder.checkWrites("sample/a")).toThrow("a write of at")
  })
})

describe("an assignment", () => {
  test("is the state as it is, and a write to what was replaced is told", () => {
    const first: Record<string, unknown> = { a: 1, b: 2 }
    const second = { a: 2 }
    const holder = new StateHolder(first)
    holder.state = second
    expect(holder.state).toBe(second)
    holder.checkWrites("sample/a")
    first["c"] = undefined
    delete first["b"]
    const told = expect.objectContaining({ _tag: "NotAllowed", details: { written: ["b", "c"] } }) as Error
    expect(() => holder.checkWrites("sample/a")).toThrow(told)
    // it is the state again
    holder.state = first
    holder.checkWrites("sample/a")
  })

  test("many of them keep few of those before", () => {
    const first = { n: -1 }
    const holder = new StateHolder(first)
    for (let n = 0; n < 1_000; n++) holder.state = { n }
    first.n = 5
    holder.checkWrites("sample/a")
    const last = holder.state as { n: number }
    holder.state = { n: 0 }
    last.n = 7
    expect(() => holder.checkWrites("sample/a")).toThrow("a write of n")
  })
})
