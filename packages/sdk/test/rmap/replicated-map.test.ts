import fc from "fast-check"
import { expect, test } from "vitest"
import { ReplicatedMap, type MapChange } from "../../src/rmap/replicated-map.ts"

/** A source whose snapshots arrive when told to. */
const source = () => {
  const entries = new Map<string, number>()
  let revision = 0
  const waiting: Array<() => void> = []
  let reads = 0
  return {
    set(key: string, value: number | undefined): number {
      if (value === undefined) entries.delete(key)
      else entries.set(key, value)
      return ++revision
    },
    get reads() {
      return reads
    },
    get entries(): ReadonlyMap<string, number> {
      return entries
    },
    async answer(): Promise<void> {
      while (waiting.length > 0) {
        for (const resolve of waiting.splice(0)) resolve()
        await new Promise((resolve) => setImmediate(resolve))
      }
    },
    map: new ReplicatedMap<number>({
      async snapshot() {
        reads++
        await new Promise<void>((resolve) => waiting.push(resolve))
        return { revision, entries: new Map(entries) }
      },
      equal: (a, b) => a === b,
    }),
  }
}

const difference = (key: string, value: number | undefined) => ({ cleared: false, changes: [[key, value]] as const })

const join = async (one: ReturnType<typeof source>): Promise<void> => {
  const loaded = one.map.load()
  await one.answer()
  await loaded
}

test("begins with a snapshot and follows the changes in order, without reading again", async () => {
  const one = source()
  one.set("a", 1)
  await join(one)
  const seen: Array<MapChange<number>> = []
  one.map.onChange((changes) => seen.push(...changes))
  one.map.offer(one.set("b", 2), difference("b", 2))
  one.map.offer(one.set("a", undefined), difference("a", undefined))
  expect(seen).toEqual([
    { type: "set", key: "b", value: 2, previous: undefined },
    { type: "remove", key: "a", previous: 1 },
  ])
  expect(one.map.entries).toEqual(new Map([["b", 2]]))
  expect(one.reads).toBe(1)
})

test("repairs a missed notification by its revision, and drops old ones", async () => {
  const one = source()
  await join(one)
  one.set("a", 1)
  const second = one.set("b", 2)
  one.map.offer(second, difference("b", 2))
  expect(one.map.get("b")).toBeUndefined()
  await one.answer()
  expect(one.map.entries).toEqual(one.entries)
  one.map.offer(1, difference("a", 9))
  expect(one.map.get("a")).toBe(1)
})

test("what is announced while a snapshot is under way is not missed", async () => {
  const one = source()
  await join(one)
  one.set("a", 1)
  one.map.announce(1)
  const late = one.map.load()
  one.set("b", 2)
  await one.answer()
  await late
  expect(one.map.entries).toEqual(one.entries)
})

test("listeners see every difference once, whatever is lost or doubled", async () => {
  const change = fc.record({
    key: fc.constantFrom("a", "b", "c"),
    value: fc.option(fc.integer({ min: 0, max: 3 }), { nil: undefined }),
    deliver: fc.constantFrom("once", "twice", "lost", "bare"),
    settle: fc.boolean(),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(change, { maxLength: 30 }), async (changes) => {
      const one = source()
      await join(one)
      const replayed = new Map<string, number>()
      let last = one.map.revision
      one.map.onChange((some, revision) => {
        expect(revision).toBeGreaterThan(last)
        last = revision
        for (const each of some) {
          expect(each.previous).toBe(replayed.get(each.key))
          if (each.type === "remove") replayed.delete(each.key)
          else replayed.set(each.key, each.value)
        }
      })
      for (const { key, value, deliver, settle } of changes) {
        const revision = one.set(key, value)
        if (deliver === "bare") one.map.announce(revision)
        if (deliver === "once" || deliver === "twice") one.map.offer(revision, difference(key, value))
        if (deliver === "twice") one.map.offer(revision, difference(key, value))
        if (settle) await one.answer()
      }
      await one.answer()
      await join(one)
      expect(one.map.entries).toEqual(one.entries)
      expect(replayed).toEqual(one.entries)
    }),
    { numRuns: 50 },
  )
})
