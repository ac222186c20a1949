import fc from "fast-check"
import { describe, expect, test } from "vitest"
import {
  beginLease,
  isTrusted,
  isWatcher,
  marginMs,
  mayRenew,
  mayTake,
  nextTick,
  stepLease,
  type Finding,
  type LeaseAction,
  type LeaseEvent,
  type OwnLife,
  type Peer,
} from "../../src/pool/lease.ts"

const options = { leaseMs: 600, abortGraceMs: 100, reconnectGraceMs: 200, maxStallMs: 300 }
const counters = (text: string): ReadonlyMap<string, number> =>
  new Map(
    text
      .split(" ")
      .filter((part) => part !== "")
      .map((part) => part.split("="))
      .map(([id, count]) => [id ?? "", Number(count)]),
  )

/** `a=600` or `a=600/200:life`: lease, grace, life. */
const peers = (text: string): ReadonlyMap<string, Peer> =>
  new Map(
    text.split(" ").map((part) => {
      const [, id = "", leaseMs, graceMs, life] = /^(\w+)=(\d+)(?:\/(\d+):(\w+))?$/.exec(part) ?? []
      return [id, { leaseMs: Number(leaseMs), graceMs: Number(graceMs ?? 200), life: life ?? "", record: "" }]
    }),
  )
/** `a:life=dead`. */
const findings = (text: string): ReadonlyMap<string, Finding> =>
  new Map(
    text
      .split(" ")
      .filter((part) => part !== "")
      .map((part) => {
        const [, id = "", life = "", found] = /^(\w+):(\w+)=(\w+)$/.exec(part) ?? []
        return [id, { life, found: found as Finding["found"] }]
      }),
  )

const show = (action: LeaseAction): string => {
  switch (action.type) {
    case "abort":
      return action.why === "trust ends" ? "abort" : `abort (${action.why})`
    case "resume":
      return action.type
    case "depose":
      return `depose (${action.why})`
    case "markDead":
      return `markDead ${action.session}=${action.counter}${action.life === undefined ? "" : ` ${action.life}`}`
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
        if (what === "members") return { type: "members", peers: peers([first, ...rest].join(" ")) }
        if (what === "life") return { type: "life", at, life: first as OwnLife }
        if (what === "probed") return { type: "probed", at, sentAt: Number(first.slice(5)), findings: findings(rest.join(" ")) }
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

  test("marks dead whom each probe over its grace found gone, and only then (L9, L10)", () => {
    expect(
      transcript(`
        10 members m=600 a=600/200:x b=600/100:y
        20 probed sent=10 a:x=dead b:y=dead
        30 watched a=1 b=1 m=1
        50 probed sent=40 a:x=dead b:y=alive
        150 probed sent=140 a:x=dead b:y=dead
        200 probed sent=190 a:x=dead b:y=dead
        249 probed sent=248 a:x=dead b:y=dead
        251 probed sent=250 a:x=dead b:y=dead
        300 probed sent=290 a:x=dead
        500 probed sent=495 a:x=dead
        900 probed sent=890 a:x=dead
        950 probed sent=940 a:x=unknown
        1000 probed sent=990 a:x=dead
        1100 probed sent=1090 a:x=dead
        1120 members m=600 a=600/200:z
        1200 probed sent=1190 a:x=dead
        1210 probed sent=1201 a:z=dead
        1300 probed sent=1290 a:z=dead
        1310 watched a=2 b=1 m=2
        1420 probed sent=1411 a:z=dead
        1520 probed sent=1511 a:z=dead
        1640 probed sent=1631 a:z=dead
      `),
    ).toMatchSnapshot()
  })

  test("aborts and is deposed when it lost all that others see of it, unless it is registered again in time (L8)", () => {
    expect(
      transcript(`
        10 life partly
        20 alive sent=15 m=2
        30 life lost
        40 life partly
        170 life whole
        200 life lost
        349 tick
        350 tick
        360 life whole
        370 alive sent=365 m=3
        400 life lost
        550 tick
        599 tick
        600 tick
        605 alive sent=601 m=4
        610 life whole
        615 alive sent=611 m=5
      `),
    ).toMatchSnapshot()
  })

  test("takes nothing new with a part of its connections (L8)", () => {
    const state = beginLease("m", options, 0)
    const takes: Array<boolean> = []
    for (const life of ["partly", "lost", "partly", "whole"] as const) {
      stepLease(state, { type: "life", at: 10, life })
      takes.push(mayTake(state, 10))
      expect(isTrusted(state, 10)).toBe(true)
    }
    expect(takes).toEqual([false, false, false, true])
  })

  /** A script of `at beat=… data=…` or `at tick`, and whether it may renew then. */
  const gates = (script: string): string => {
    const state = beginLease("m", options, 0)
    return script
      .trim()
      .split("\n")
      .map((line) => {
        const [, time = "", beat = "0", data = "0"] = /^\s*(\d+)(?: beat=(\d+))?(?: data=(\d+))?/.exec(line) ?? []
        stepLease(state, { type: "health", beatAt: Number(beat), dataAt: Number(data) })
        return `${line.trim().padEnd(26)} → ${mayRenew(state, Number(time)) ? "renews" : "-"}`
      })
      .join("\n")
  }

  test("renews only while the loop beats, and while the data path answered before its last beat (L11, L12)", () => {
    expect(
      gates(`
        10
        100 beat=90 data=80
        389 beat=90 data=80
        390 beat=90 data=80
        391 beat=391 data=80
        392 beat=391 data=392
        600 beat=600 data=392
        690 beat=690 data=392
        691 beat=691 data=392
        692 beat=692 data=392
        693 beat=692 data=393
        992 beat=692 data=393
        993 beat=692 data=393
      `),
    ).toMatchSnapshot()
  })

  test("knows when the renewal was sent that proves it (L13)", () => {
    const state = beginLease("m", options, 0)
    const renewed = (sentAt: number, at: number, alive: boolean): number => {
      stepLease(state, { type: "renewed", sentAt, at, alive, counters: new Map() })
      return state.renewedAt
    }
    expect([renewed(100, 300, true), renewed(50, 310, true), renewed(320, 330, false)]).toEqual([100, 100, 100])
  })

  test("a mark by probe has a whole grace of deaths behind it, of one life and one counter, without a pause (L9, L10)", () => {
    const poll = fc.record({
      wait: fc.integer({ min: 1, max: 260 }),
      takes: fc.integer({ min: 0, max: 30 }),
      found: fc.constantFrom("dead", "dead", "dead", "dead", "dead", "dead", "dead", "alive", "unknown" as const),
      life: fc.constantFrom("x", "x", "x", "x", "x", "x", "y"),
      beat: fc.constantFrom(0, 0, 0, 0, 0, 0, 1),
    })
    let marks = 0
    fc.assert(
      fc.property(fc.array(poll, { minLength: 5, maxLength: 60 }), (polls) => {
        const state = beginLease("m", { ...options, leaseMs: 1_000_000 }, 0)
        const seen: Array<{ sentAt: number; at: number; found: string; life: string; counter: number }> = []
        let [at, counter, lastMark] = [0, 1, Number.NEGATIVE_INFINITY]
        for (const { wait, takes, found, life, beat } of polls) {
          const sentAt = at + wait
          at = sentAt + takes
          counter += beat
          stepLease(state, { type: "watched", at: sentAt, counters: new Map([["a", counter]]) })
          stepLease(state, { type: "members", peers: new Map([["a", { leaseMs: 1_000_000, graceMs: 200, life, record: "" }]]) })
          const actions = stepLease(state, {
            type: "probed",
            sentAt,
            at,
            findings: new Map([["a", { life, found: found as Finding["found"] }]]),
          })
          seen.push({ sentAt, at, found, life, counter })
          // The unbroken row of deaths that ends with this probe.
          let first = seen.length - 1
          const same = (n: number): boolean => {
            const [one, next] = [seen[n], seen[n + 1]]
            if (one?.found !== "dead" || one.life !== life || one.counter !== counter) return false
            return next === undefined || next.sentAt - one.at < 200
          }
          while (first > 0 && same(first) && same(first - 1)) first--
          const whole = found === "dead" && same(first) && sentAt - (seen[first]?.at ?? 0) >= 200
          if (actions.length > 0) expect(actions).toEqual([{ type: "markDead", session: "a", counter, life }])
          if (actions.length > 0) expect(whole).toBe(true)
          // And it comes: at the first probe that may give it, then once a grace.
          if (whole && actions.length === 0) expect(sentAt - lastMark).toBeLessThan(200)
          if (!whole) lastMark = Number.NEGATIVE_INFINITY
          if (actions.length > 0) {
            lastMark = sentAt
            marks++
          }
        }
      }),
      { numRuns: 500 },
    )
    expect(marks).toBeGreaterThan(0)
  })

  test("whoever is marked dead by probes has aborted a quarter of its grace before, when it saw its connections close (L8, L9)", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 150 }), { minLength: 10, maxLength: 40 }),
        fc.integer({ min: 0, max: 500 }),
        fc.integer({ min: 0, max: 600 }),
        (waits, lostAt, registersAfter) => {
          const session = beginLease("s", { ...options, leaseMs: 1_000_000 }, 0)
          const watcher = beginLease("a", { ...options, leaseMs: 1_000_000 }, 0)
          stepLease(watcher, { type: "watched", at: 0, counters: new Map([["s", 1]]) })
          const registered = lostAt + registersAfter
          let at = 0
          let told = "x"
          for (const wait of waits) {
            const before = at
            at += wait
            const happens = (time: number): boolean => before < time && time <= at
            if (happens(lostAt) || (lostAt === 0 && before === 0)) stepLease(session, { type: "life", at: lostAt, life: "lost" })
            while (nextTick(session) <= at) stepLease(session, { type: "tick", at: nextTick(session) })
            // The compare-and-set: from then on the old life marks nobody.
            if (happens(registered)) told = "y"
            stepLease(watcher, { type: "members", peers: new Map([["s", { leaseMs: 1_000_000, graceMs: 200, life: told, record: "" }]]) })
            const found = told === "x" && at >= lostAt ? ("dead" as const) : ("alive" as const)
            const actions = stepLease(watcher, { type: "probed", sentAt: at, at, findings: new Map([["s", { life: told, found }]]) })
            if (actions.length > 0) {
              expect(isTrusted(session, at)).toBe(false)
              expect(session.phase).not.toBe("held")
            }
          }
        },
      ),
      { numRuns: 500 },
    )
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
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 1, max: 700 }), fc.constantFrom("whole", "partly", "lost")), { maxLength: 20 }),
        (steps) => {
          const state = beginLease("m", options, 0)
          let at = 0
          for (const [wait, life] of steps) {
            if (nextTick(state) > at) stepLease(state, { type: "life", at, life })
            at += wait
            const due = nextTick(state) <= at
            const actions = stepLease(state, { type: "tick", at })
            expect(actions.length > 0).toBe(due)
            expect(nextTick(state)).toBeGreaterThan(at)
          }
        },
      ),
    )
  })
})
