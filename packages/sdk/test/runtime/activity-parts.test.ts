/** The pure parts of activities: which deadline comes first, what definitions may say, what an error's history keeps. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import type { ActivityOptions } from "../../src/define/index.ts"
import { activity, defineJob, type } from "../../src/define/index.ts"
import { deadlineOf } from "../../src/runtime/activity-deadline.ts"
import { failedTry, withTry } from "../../src/runtime/activity-history.ts"
import { activityPlan } from "../../src/runtime/activity-limits.ts"
import type { FailedTry } from "../../src/runtime/body.ts"
import { pendingOf } from "../../src/runtime/pending-activity.ts"

const plan = (options: Readonly<Record<string, object>>) =>
  activityPlan(
    defineJob({
      kind: "feed",
      input: type<{ id: string }>(),
      key: "id",
      activities: Object.fromEntries(Object.entries(options).map(([name, one]) => [name, activity(one as ActivityOptions)])),
    }) as never,
  )

describe("options of activities", () => {
  test("have defaults", () => {
    expect(plan({ act: {} }).limits["act"]).toMatchObject({ timeout: 60_000, startTimeout: 300_000, delay: 0, priority: 0, queue: "feed" })
  })

  test("those without a limit share the job's queue, one with a limit has its own, a group has one", () => {
    const { limits, queues } = plan({
      a: {},
      b: { priority: 3 },
      c: { rateLimit: { max: 5, per: "1 second" } },
      d: { queue: "mail", concurrency: 2 },
      e: { queue: "mail" },
    })
    expect(Object.entries(limits).map(([name, { queue }]) => `${name} ${queue}`)).toEqual([
      "a feed",
      "b feed",
      "c feed.c",
      "d feed.mail",
      "e feed.mail",
    ])
    expect(Object.fromEntries(queues)).toEqual({
      feed: { rate: undefined, concurrency: undefined },
      "feed.c": { rate: { max: 5, perMs: 1_000 }, concurrency: undefined },
      "feed.mail": { rate: undefined, concurrency: 2 },
    })
  })

  test.each([
    ["an unknown option", { timeOut: 5 }, "(did you mean timeout?)"],
    [
      "no duration",
      { timeout: "soon" },
      'expected timeout of activity act of feed to be a duration such as 500 or "30 seconds", got: "soon"',
    ],
    ["no time at all", { heartbeatTimeout: 0 }, "expected heartbeatTimeout of activity act of feed to be 1 ms or longer, got: 0"],
    ["a queue with a colon", { queue: "a:b" }, 'to be 1 to 64 letters, digits, _ or -, got: "a:b"'],
    ["a negative priority", { priority: -1 }, "expected priority of activity act of feed to be an integer from 0 to 1000000, got: -1"],
    ["no concurrency", { concurrency: 0 }, "expected concurrency of activity act of feed to be an integer from 1 to 10000, got: 0"],
    ["a rate limit without max", { rateLimit: { per: 5 } }, "expected rateLimit.max of activity act of feed to be an integer from 1"],
    ["a rate limit with more", { rateLimit: { max: 1, per: 5, burst: 2 } }, "got: `burst`"],
  ])("%s is refused", (_, options, message) => {
    expect(() => plan({ act: options })).toThrow(message)
  })

  test("activities of one group that want different limits are refused", () => {
    expect(() => plan({ a: { queue: "q", concurrency: 1 }, b: { queue: "q", concurrency: 2 } })).toThrow(
      "queue feed.q to have one rateLimit",
    )
  })
})

describe("the deadline of a try", () => {
  const limits = { timeout: 100, startTimeout: 1_000, totalTimeout: undefined, heartbeatTimeout: undefined }
  const times = { scheduled: 0, due: 50, resumed: undefined, started: undefined, beat: undefined }

  test("D1 until it is known to have begun, to start, counted from when it may", () => {
    expect(deadlineOf(limits, times)).toEqual({ at: 2_050, of: "start" })
  })
  test("D1 a new owner gives it time to be heard of", () => {
    expect(deadlineOf(limits, { ...times, resumed: 1_040 })).toEqual({ at: 3_040, of: "start" })
    expect(deadlineOf({ ...limits, startTimeout: 60_000 }, { ...times, resumed: 60_000 })).toEqual({ at: 76_000, of: "start" })
    expect(deadlineOf({ ...limits, startTimeout: 60_000 }, { ...times, resumed: 60 })).toEqual({ at: 61_050, of: "start" })
  })
  test("D2 then to end, or to give its next heartbeat, and a second for what is on its way", () => {
    const beating = { ...limits, heartbeatTimeout: 30 }
    expect(deadlineOf(limits, { ...times, started: 70 })).toEqual({ at: 1_170, of: "close" })
    expect(deadlineOf(beating, { ...times, started: 70 })).toEqual({ at: 1_100, of: "heartbeat" })
    expect(deadlineOf(beating, { ...times, started: 70, beat: 110 })).toEqual({ at: 1_140, of: "heartbeat" })
    expect(deadlineOf(beating, { ...times, started: 70, beat: 150 })).toEqual({ at: 1_170, of: "close" })
  })
  test("D3 totalTimeout decides where it comes first, or at the same time", () => {
    expect(deadlineOf({ ...limits, totalTimeout: 2_050 }, times)).toEqual({ at: 2_050, of: "total" })
    expect(deadlineOf({ ...limits, totalTimeout: 2_051 }, times)).toEqual({ at: 2_050, of: "start" })
    expect(deadlineOf({ ...limits, totalTimeout: 80 }, { ...times, started: 70 })).toEqual({ at: 80, of: "total" })
  })
  test("T1 it is finite, whatever happened", () => {
    const time = fc.option(fc.nat(), { nil: undefined })
    fc.assert(
      fc.property(fc.nat(), fc.nat(), time, time, time, time, time, (scheduled, due, resumed, started, beat, total, heartbeat) => {
        const { at } = deadlineOf(
          { ...limits, totalTimeout: total, heartbeatTimeout: heartbeat },
          { scheduled, due, resumed, started, beat },
        )
        expect(Number.isFinite(at)).toBe(true)
        if (total !== undefined) expect(at).toBeLessThanOrEqual(scheduled + total)
      }),
    )
  })
})

test("the history keeps the first and the last tries, and cuts messages", () => {
  let tries: ReadonlyArray<FailedTry> = []
  const about = { started: undefined, failed: 0, worker: undefined, missed: undefined }
  for (let i = 1; i <= 1_000; i++) tries = withTry(tries, failedTry(i, { tag: "Error", message: "x".repeat(9_999) }, about))
  expect(tries.map((one) => one.try)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, ...Array.from({ length: 40 }, (_, i) => 961 + i)])
  expect(tries[0]).toEqual({ try: 1, failed: "1970-01-01T00:00:00.000Z", tag: "Error", message: "x".repeat(500) })
})

test("a journal tells which activities are pending, and what of them it knows", () => {
  const error = { tag: "Error", message: "no" }
  expect(
    pendingOf([
      { t: "act", c: 0, n: "a", at: 10 },
      { t: "act", c: 1, n: "b", at: 11, due: 20 },
      { t: "step", c: 2, n: "s", v: 1 },
      { t: "act", c: 3, n: "c", at: 12 },
      { t: "retry", c: 1, try: 2, due: 30, e: error, h: 7 },
      { t: "end", c: 0, m: 1 },
    ]),
  ).toEqual([
    { call: 1, name: "b", attempt: 2, scheduled: 11, due: 30, details: 7, lastError: "no" },
    { call: 3, name: "c", attempt: 1, scheduled: 12, due: 12, lastError: undefined },
  ])
})
