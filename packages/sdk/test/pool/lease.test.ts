import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { beginLease, isTrusted, isWatcher, marginMs, nextTick, stepLease, type LeaseAction, type LeaseEvent } from "../../src/pool/lease.ts"

const options = { leaseMs: 600, abortGraceMs: 100 }
const counters = (text: string): ReadonlyMap<string, number> =>
  new Map(
    text
      .split(" ")
      .filter((part) => part !== "")
      .map((part) => part.split("="))
      .map(([id, count]) => [id ?? "", Number(count)]),
  )

const show = (action: LeaseAction): string => {
  switch (action.type) {
    case "abort":
    case "resume":
      return action.type
    case "depose":
      return `depose (${action.why})`
    case "markDead":
      return `markDead ${action.session}=${action.counter}`
  }
}

/** Runs a script of one event a line: `at event arguments`, and gives it back with what the core answered. */
const transcript = (script: string): string => {
  const state = beginLease("m", options, 0)
  return script
    .trim()
    .split("\n")
    .map((line) => {
      const [time = "", what, first = "", ...rest] = line.trim().split(" ")
      const at = Number(time)
      const event = ((): LeaseEvent => {
        if (what === "tick") return { type: "tick", at }
        if (what === "members") return { type: "members", leases: counters([first, ...rest].join(" ")) }
        if (what === "watched") return { type: "watched", at, counters: counters([first, ...rest].join(" ")) }
        return { type: "renewed", at, sentAt: Number(first.slice(5)), alive: what === "alive", counters: counters(rest.join(" ")) }
      })()
      const actions = stepLease(state, event).map(show).join(", ")
      return `${line.trim().padEnd(34)} → ${(actions || "-").padEnd(24)} ${state.phase}, trust until ${state.trustUntil}`
    })
    .join("\n")
}

describe("lease", () => {
  test("lives by its renewals: trust runs from the sending, abort comes before its end", () => {
    expect(
      transcript(`
        200 alive sent=190 m=2
        400 tick
        690 tick
        700 alive sent=650 m=3
        1149 tick
        1150 tick
        1249 tick
        1250 tick
        1300 alive sent=1295 m=4
        1400 dead sent=1390
        1500 alive sent=1490 m=5
      `),
    ).toMatchSnapshot()
  })

  test("does not let a late answer hide that trust had ended", () => {
    expect(
      transcript(`
        700 alive sent=650 m=2
        1300 alive sent=700 m=3
      `),
    ).toMatchSnapshot()
  })

  test("marks the silent dead, by the counter it saw, after their own lease and the margin", () => {
    expect(
      transcript(`
        10 members a=600 b=1000
        10 watched a=1 b=1 m=1
        300 watched a=2 b=1 m=1
        600 alive sent=590 a=2 b=1 m=2
        900 watched a=2 b=1 m=2
        1000 watched a=2 b=1 m=2
        1110 watched a=2 b=1 m=2
        1150 alive sent=1140 b=2 m=3
        1500 watched b=2 m=3
        1700 alive sent=1690 b=2 m=4
        2240 watched b=2 m=4
        2250 watched b=2 m=4
      `),
    ).toMatchSnapshot()
  })

  test("after a gap in its own watching it gives the others their time again (L6)", () => {
    expect(
      transcript(`
        10 watched a=1 m=1
        2000 watched a=1 m=1
        2500 watched a=1 m=1
        2699 watched a=1 m=1
        2700 watched a=1 m=1
      `),
    ).toMatchSnapshot()
  })

  test("lets the three lowest ids watch", () => {
    const watches = (text: string): boolean => {
      const state = beginLease("m", options, 0)
      stepLease(state, { type: "watched", at: 1, counters: counters(text) })
      return isWatcher(state)
    }
    expect(watches("m=1")).toBe(true)
    expect(watches("a=1 b=1 m=1 x=1 y=1")).toBe(true)
    expect(watches("a=1 b=1 c=1 m=1")).toBe(false)
  })

  test("whoever is marked dead by a fair watcher has lost trust before (S2, S3)", () => {
    // One session renews at random, with random delays on the way to the store and back; a watcher reads at random.
    const step = fc.record({
      wait: fc.integer({ min: 1, max: 400 }),
      there: fc.integer({ min: 0, max: 300 }),
      back: fc.integer({ min: 0, max: 2_000 }),
    })
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 1, maxLength: 30 }),
        fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 40, maxLength: 120 }),
        (renewals, reads) => {
          interface Happening {
            readonly at: number
            readonly order: number
            readonly run: () => void
          }
          const happenings: Array<Happening> = []
          const session = beginLease("s", options, 0)
          const watcher = beginLease("a", options, 0)
          let counter = 1
          let deadAt = Number.POSITIVE_INFINITY
          let at = 0
          for (const { wait, there, back } of renewals) {
            at += wait
            const sentAt = at
            happenings.push({ at: sentAt + there, order: 0, run: () => (deadAt === Number.POSITIVE_INFINITY ? counter++ : undefined) })
            const answered = sentAt + there + back
            happenings.push({
              at: answered,
              order: 1,
              run: () =>
                void stepLease(session, { type: "renewed", sentAt, at: answered, alive: deadAt > sentAt + there, counters: new Map() }),
            })
          }
          let readAt = 0
          for (const wait of reads) {
            readAt += wait
            const now = readAt
            happenings.push({
              at: now,
              order: 2,
              run: () => {
                if (deadAt < now) return
                for (const action of stepLease(watcher, {
                  type: "watched",
                  at: now,
                  counters: new Map([
                    ["a", now],
                    ["s", counter],
                  ]),
                }))
                  if (action.type === "markDead" && action.counter === counter) deadAt = now
              },
            })
          }
          happenings.sort((x, y) => x.at - y.at || x.order - y.order)
          for (const happening of happenings) {
            happening.run()
            if (deadAt <= happening.at) expect(isTrusted(session, happening.at)).toBe(false)
          }
          expect(marginMs).toBeGreaterThan(0)
        },
      ),
      { numRuns: 500 },
    )
  })

  test("its next tick always has something to do, and never lies in the past once done", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 700 }), { maxLength: 20 }), (waits) => {
        const state = beginLease("m", options, 0)
        let at = 0
        for (const wait of waits) {
          at += wait
          const due = nextTick(state) <= at
          const actions = stepLease(state, { type: "tick", at })
          expect(actions.length > 0).toBe(due)
          expect(nextTick(state)).toBeGreaterThan(at)
        }
      }),
    )
  })
})
