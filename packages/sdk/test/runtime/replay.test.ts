import fc from "fast-check"
import { describe, expect, test } from "vitest"
import type { CallKind, Entry } from "../../src/runtime/journal.ts"
import { callKind, effective, parseJournal, printEntry, settles } from "../../src/runtime/journal.ts"
import { Replay } from "../../src/runtime/replay.ts"

const step = (c: number, n: string, v: unknown = n): Entry => ({ t: "step", c, n, v })
const mismatch = (expected: string, found: string): unknown =>
  expect.objectContaining({ _tag: "ReplayMismatch", details: expect.objectContaining({ expected, found }) as unknown })

describe("replay", () => {
  test("R1 calls are numbered as they are made, and get their own entries", () => {
    const replay = new Replay("a", [{ t: "act", c: 1, n: "mail" }, step(0, "one"), { t: "end", c: 1, m: 4 }])
    expect(replay.call("step", "one")).toEqual({ index: 0, entries: [step(0, "one")] })
    expect(replay.call("activity", "mail")).toEqual({
      index: 1,
      entries: [
        { t: "act", c: 1, n: "mail" },
        { t: "end", c: 1, m: 4 },
      ],
    })
    expect(replay.call("sleep", "")).toEqual({ index: 2, entries: [] })
    expect(replay.made).toBe(3)
  })

  test("R2 entries are delivered in the journal's order, each when its call was made", () => {
    const replay = new Replay("a", [step(1, "b"), step(0, "a")])
    expect(replay.next()).toBeUndefined()
    replay.call("step", "a")
    expect(replay.next()).toBeUndefined()
    replay.call("step", "b")
    expect(replay.next()).toEqual(step(1, "b"))
    expect(replay.next()).toEqual(step(0, "a"))
    expect(replay.next()).toBeUndefined()
    expect(replay.replaying).toBe(false)
  })

  test("R2 an update is delivered when as many calls were made as when it was applied", () => {
    const replay = new Replay("a", [{ t: "update", c: 1, m: 1 }])
    expect(replay.next()).toBeUndefined()
    replay.call("receive", "stop")
    expect(replay.next()).toEqual({ t: "update", c: 1, m: 1 })
  })

  test("R3 another call, another name, or an early end is a mismatch that names both", () => {
    const entries = [step(0, "one"), { t: "sleep", c: 1, due: 5 } as const]
    expect(() => new Replay("a", entries).call("step", "two")).toThrow(mismatch('step "one"', 'step "two"'))
    expect(() => new Replay("a", entries).call("activity", "one")).toThrow(mismatch('step "one"', 'activity "one"'))
    expect(new Replay("a", entries).finish()).toEqual(mismatch('step "one"', "the end of the iteration"))
    const ended = new Replay("a", entries)
    ended.call("step", "one")
    ended.next()
    // a sleep was begun and is not asked for any more
    expect(ended.finish()).toEqual(mismatch("sleep", "the end of the iteration"))
  })

  test("R5 a version marker is new, recorded, or older than the journal", () => {
    const made: Entry = { t: "version", c: 0, n: "change", v: 2 }
    expect(new Replay("a", []).marker("change")).toEqual({ index: 0, entries: [] })
    const recorded = new Replay("a", [made, step(1, "one")])
    expect(recorded.marker("change")).toEqual({ index: 0, entries: [made] })
    expect(recorded.call("step", "one").index).toBe(1)
    const older = new Replay("a", [step(0, "one")])
    expect(older.marker("change")).toBeUndefined()
    expect(older.call("step", "one").index).toBe(0)
    expect(older.marker("change")).toEqual({ index: 1, entries: [] })
    // a marker that left the code is as any other call that is not made
    expect(() => new Replay("a", [made]).call("step", "one")).toThrow(mismatch('version "change"', 'step "one"'))
  })

  test("R3 an end whose call is not made is named as that call", () => {
    const replay = new Replay("a", [
      { t: "receive", c: 0, n: "stop" },
      { t: "got", c: 0, m: 1 },
    ])
    expect(replay.stalled()).toEqual(mismatch('receive "stop"', "no such call"))
  })

  test("R4 nothing live is delivered while something recorded is left", () => {
    const replay = new Replay("a", [step(0, "a"), step(1, "b")])
    replay.call("step", "a")
    replay.next()
    expect(replay.replaying).toBe(true)
    replay.call("step", "b")
    replay.next()
    expect(replay.replaying).toBe(false)
  })

  /** A program of calls, each of which waits for some of those before it; and an order in which they settled. */
  const program = fc.array(fc.record({ name: fc.constantFrom("a", "b", "c"), after: fc.nat(5) }), { maxLength: 12 })

  test("a handler that makes the same calls meets no mismatch, sees the same order, and ends with nothing left", () => {
    fc.assert(
      fc.property(program, fc.infiniteStream(fc.nat(100)), fc.nat(12), (calls, order, cut) => {
        // the first life: call k is made when `after` earlier ones have settled; then any outstanding one settles
        const live = (journal: ReadonlyArray<Entry>): { readonly journal: Array<Entry>; readonly delivered: Array<number> } => {
          const replay = new Replay("a", journal)
          const written = [...journal]
          const delivered: Array<number> = []
          const open: Array<number> = []
          let made = 0
          const make = (): void => {
            for (let next = calls[made]; next !== undefined && Math.min(next.after, made) <= delivered.length; next = calls[made]) {
              const { entries } = replay.call("step", next.name)
              if (entries.length === 0) open.push(made)
              made++
            }
          }
          make()
          while (delivered.length < made) {
            const recorded = replay.next()
            if (recorded !== undefined) delivered.push(recorded.c)
            else {
              expect(replay.replaying).toBe(false)
              const [index] = open.splice((order.next().value as number) % open.length, 1)
              if (index === undefined) break
              written.push(step(index, calls[index]?.name ?? ""))
              delivered.push(index)
            }
            make()
          }
          expect(replay.finish()).toBeUndefined()
          return { journal: written, delivered }
        }
        const first = live([])
        const again = live(first.journal)
        expect(again.delivered).toEqual(first.delivered)
        // a crash in the middle: what was delivered before it is delivered first, in the same order
        const resumed = live(first.journal.slice(0, cut))
        expect(resumed.delivered.slice(0, Math.min(cut, first.delivered.length))).toEqual(first.delivered.slice(0, cut))
      }),
    )
  })
})

describe("the journal", () => {
  const all: ReadonlyArray<Entry> = [
    { b: 5, w: { by: "message", name: "note" }, ...step(0, "s", { x: 1 }) },
    { t: "step", c: 0, n: "s", e: { tag: "Error", message: "no" } },
    { t: "sleep", c: 1, due: 7 },
    { t: "woke", c: 1 },
    { t: "act", c: 2, n: "a" },
    { t: "retry", c: 2, try: 2, due: 9, e: { tag: "Error", message: "no" }, m: 3 },
    { t: "end", c: 2, m: 4 },
    { t: "poll", c: 3, n: "", m: 0 },
    { t: "receive", c: 4, n: "stop", due: 1 },
    { t: "got", c: 4, m: 0 },
    { t: "update", c: 5, m: 5 },
    { t: "cancel", c: 5, m: 6 },
    { t: "undo", c: 2, made: 4 },
  ]

  test("entries come back as they were; each belongs to one kind of call or to none", () => {
    expect(parseJournal("a", all.map(printEntry))).toEqual(all)
    const kinds = all.map((entry): CallKind | undefined => callKind(entry))
    expect(kinds).toEqual([
      "step",
      "step",
      "sleep",
      "sleep",
      "activity",
      "activity",
      "activity",
      "poll",
      "receive",
      "receive",
      undefined,
      undefined,
      undefined,
    ])
    expect(all.filter(settles).map((entry) => entry.t)).toEqual(["step", "step", "woke", "end", "got", "update", "cancel"])
  })

  test("a damaged entry is named", () => {
    expect(() => parseJournal("kind/key", ["{}", "{"])).toThrow(
      expect.objectContaining({ _tag: "StoreFault", details: { address: "kind/key", index: 1 } }),
    )
  })

  test("a failure that was taken back takes the calls after it along, and leaves applied updates", () => {
    const journal: ReadonlyArray<Entry> = [
      step(0, "first"),
      { t: "step", c: 2, n: "flaky", e: { tag: "Error", message: "no" } },
      step(1, "beside"),
      step(3, "clean"),
      { t: "update", c: 4, m: 7 },
      { t: "undo", c: 2, made: 3 },
      step(2, "flaky"),
    ]
    expect(effective(journal)).toEqual({
      entries: [step(0, "first"), step(1, "beside"), { t: "update", c: 3, m: 7 }, step(2, "flaky")],
      generation: 1,
    })
    const plain = journal.slice(0, 4)
    expect(effective(plain)).toEqual({ entries: plain, generation: 0 })
  })
})
