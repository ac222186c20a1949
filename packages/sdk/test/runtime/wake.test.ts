import fc from "fast-check"
import { describe, expect, test } from "vitest"
import type { Message, MessageKind } from "../../src/engine/engine.ts"
import type { Body } from "../../src/runtime/body.ts"
import type { Deadlines } from "../../src/runtime/ending.ts"
import { Inbox } from "../../src/runtime/inbox.ts"
import type { WakePlan } from "../../src/runtime/wake.ts"
import { planWake } from "../../src/runtime/wake.ts"

const unlimited: Deadlines = { run: undefined, iteration: undefined }
const message = (number: number, kind: MessageKind, name: string = kind): Message => ({
  number,
  kind,
  name,
  id: `m${number}`,
  at: 0,
  payload: "null",
})
const plan = (
  body: Partial<Body>,
  unread: ReadonlyArray<Message> = [],
  given: { underWay?: boolean; now?: number; deadlines?: Deadlines } = {},
): WakePlan =>
  planWake({
    body: { input: {}, ...body },
    unread,
    underWay: given.underWay ?? false,
    now: given.now ?? 100,
    deadlines: given.deadlines ?? unlimited,
  })
const run = (by: string, apply: ReadonlyArray<Message> = []): unknown => ({ do: "run", wake: { by }, apply })
const due = (at: number): unknown => ({ do: "run", wake: { by: "time", at }, apply: [] })

const cancel = message(1, "cancel")
const update = message(2, "update", "add")
const input = message(3, "input")
const note = message(4, "signal", "note")

describe("what is done with a run that the pool brings", () => {
  test("D1 a cancel ends what has no handler to clean up, and reaches the others", () => {
    expect(plan({}, [cancel])).toEqual({ do: "cancel", message: cancel })
    expect(plan({ waiting: { due: 500 } }, [update, cancel])).toEqual({ do: "cancel", message: cancel })
    expect(plan({ waiting: { due: 500 }, backoff: true }, [cancel], { underWay: true })).toEqual({ do: "cancel", message: cancel })
    expect(plan({}, [cancel], { underWay: true })).toEqual(run("start"))
  })

  test("D7 what is blocked is tried by whoever is brought it, whatever is left of its time", () => {
    const stuck = { waiting: { due: 500 }, backoff: true, blocked: "code" }
    expect(plan(stuck, [], { underWay: true })).toEqual(due(500))
    expect(plan(stuck, [cancel], { underWay: true })).toEqual(due(500))
    expect(plan(stuck, [], { underWay: true, deadlines: { run: 100, iteration: undefined } })).toMatchObject({ do: "end" })
    // what it waits for between two iterations it waits for still
    expect(plan({ waiting: { due: 500 }, blocked: "state" })).toEqual({ do: "park", apply: [] })
  })

  test("D6 a limit in time that has passed ends what has no handler, and reaches the others", () => {
    const late = { run: 100, iteration: undefined }
    expect(plan({ waiting: { on: ["note"] } }, [], { deadlines: late })).toEqual({ do: "end", ending: { type: "timedOut", of: "run" } })
    expect(plan({ waiting: { on: ["note"] } }, [], { deadlines: { run: 101, iteration: undefined } })).toEqual({ do: "park", apply: [] })
    expect(plan({ waiting: { due: 500 }, backoff: true }, [], { underWay: true, deadlines: { run: undefined, iteration: 99 } })).toEqual({
      do: "end",
      ending: { type: "timedOut", of: "iteration" },
    })
    expect(plan({}, [], { underWay: true, deadlines: late })).toEqual(run("start"))
    // who asked first to end it decides how it ends
    expect(plan({}, [cancel], { deadlines: late })).toEqual({ do: "cancel", message: cancel })
  })

  test("D2 an update of a parked run is applied and leaves its wait, unless the run waits for it", () => {
    expect(plan({ waiting: { due: 500 } }, [update])).toEqual({ do: "park", apply: [update] })
    expect(plan({ waiting: { on: ["add"] } }, [update])).toEqual({ do: "run", wake: { by: "message", name: "add" }, apply: [update] })
    expect(plan({ waiting: { on: ["note"] } }, [update])).toEqual({ do: "park", apply: [update] })
  })

  test("D3 a changed input begins an iteration", () => {
    expect(plan({ waiting: { due: 500 } }, [input])).toEqual(run("input", [input]))
    expect(plan({ waiting: { due: 500 }, changed: true })).toEqual(run("input"))
  })

  test("D4 a delayed start keeps its delay, also when its input changes", () => {
    const parked = planWake({ body: { input: {} }, unread: [update, input], underWay: false, due: 500, now: 100, deadlines: unlimited })
    expect(parked).toEqual({ do: "park", apply: [update, input] })
    expect(planWake({ body: { input: {}, changed: true }, unread: [], underWay: false, due: 500, now: 500, deadlines: unlimited })).toEqual(
      run("start"),
    )
  })

  test("D4 messages do not end a back-off, but a changed input does where nothing is journaled", () => {
    const body = { waiting: { due: 500 }, backoff: true, wake: { by: "start" } as const }
    expect(plan(body, [update, note])).toEqual({ do: "park", apply: [update] })
    expect(plan(body, [update, note], { underWay: true })).toEqual({ do: "park", apply: [] })
    expect(plan(body, [input], { underWay: true })).toEqual({ do: "park", apply: [] })
    expect(plan(body, [input])).toEqual(run("start", [input]))
    expect(plan(body, [], { now: 500 })).toEqual(run("start"))
    expect(plan(body, [], { now: 500, underWay: true })).toEqual(run("start"))
  })

  test("D5 the reason is the first of message, input and time; without a wait: start, then again", () => {
    expect(plan({})).toEqual(run("start"))
    expect(plan({ iteration: 2 })).toEqual(run("again"))
    expect(plan({ waiting: { due: 50 } })).toEqual(due(50))
    expect(plan({ waiting: { due: 50, on: ["note"] } }, [input, note])).toEqual({
      do: "run",
      wake: { by: "message", name: "note" },
      apply: [input],
    })
    expect(plan({ waiting: { due: 50 } }, [input])).toEqual(run("input", [input]))
    expect(plan({ waiting: { due: 50 } }, [note])).toEqual(due(50))
  })

  test("D5 once begun, an iteration keeps its reason, whatever came meanwhile", () => {
    const wake = { by: "message", name: "add" } as const
    expect(plan({ wake, iteration: 3 }, [note, input])).toEqual({ do: "run", wake, apply: [input] })
    expect(plan({ wake, waiting: { due: 50 }, backoff: true }, [note])).toEqual({ do: "run", wake, apply: [] })
  })
})

describe("the inbox", () => {
  test("W4 takes only the next message; known ones are no news, a gap is", () => {
    const inbox = new Inbox(0, [message(1, "signal", "a")])
    expect(inbox.add([message(1, "signal", "a")])).toBe(true)
    expect(inbox.add([message(3, "signal", "c")])).toBe(false)
    expect(inbox.last).toBe(1)
    expect(inbox.add([message(2, "signal", "b"), message(3, "signal", "c")])).toBe(true)
    expect(inbox.unread().map(({ name }) => name)).toEqual(["a", "b", "c"])
    expect(inbox.get(2)?.name).toBe("b")
    expect(inbox.get(4)).toBeUndefined()
  })

  test("whatever comes in whatever order, and however often, is read once, in order", () => {
    const numbers = fc
      .integer({ min: 1, max: 15 })
      .chain((count) =>
        fc.tuple(fc.constant(count), fc.array(fc.array(fc.integer({ min: 1, max: count }), { maxLength: 4 }), { maxLength: 30 })),
      )
    fc.assert(
      fc.property(numbers, ([count, deliveries]) => {
        const stored = Array.from({ length: count }, (_, i) => message(i + 1, "signal"))
        const inbox = new Inbox(0, [])
        const read: Array<number> = []
        const drain = (): void => {
          for (let next = inbox.nextSignal(""); next !== undefined; next = inbox.nextSignal("")) {
            inbox.markRead(next.number)
            read.push(next.number)
            if (next.number % 3 === 0) inbox.trimTo(inbox.settle().consumed)
          }
        }
        for (const delivery of deliveries) {
          // a gap makes the owner ask the store, which gives all that is not consumed
          const known = delivery.map((number) => stored[number - 1] as Message)
          if (!inbox.add(known)) expect(inbox.add(stored.slice(inbox.consumed))).toBe(true)
          drain()
        }
        inbox.add(stored.slice(inbox.consumed))
        drain()
        expect(read).toEqual(stored.map(({ number }) => number))
        expect(inbox.settle()).toEqual({ consumed: count, read: [] })
      }),
    )
  })

  test("what was read out of order is remembered beyond what can be trimmed", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 1, max: 20 })), (read) => {
        const messages = Array.from({ length: 20 }, (_, i) => message(i + 1, "signal"))
        const inbox = new Inbox(0, messages)
        for (const number of read) inbox.markRead(number)
        const { consumed, read: beyond } = inbox.settle()
        const reloaded = new Inbox(consumed, messages.slice(consumed), beyond)
        expect(reloaded.unread()).toEqual(inbox.unread())
        inbox.trimTo(consumed)
        expect(inbox.unread()).toEqual(reloaded.unread())
        expect(inbox.get(consumed + 1)).toEqual(messages[consumed])
      }),
    )
  })

  test("signals are found by name, or the next of any; other kinds are not signals", () => {
    const inbox = new Inbox(0, [message(1, "update", "a"), message(2, "signal", "b"), message(3, "signal", "a")])
    expect(inbox.nextSignal("a")?.number).toBe(3)
    expect(inbox.nextSignal("")?.number).toBe(2)
    expect(inbox.nextSignal("c")).toBeUndefined()
  })
})
