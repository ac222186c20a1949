import { describe, expect, test } from "vitest"
import { toWaiting } from "../../src/runtime/again.ts"

const at = (text: string): number => new Date(text).getTime()
const now = at("2026-03-28T12:00:00Z")
const refused = (message: string): unknown =>
  expect.objectContaining({ _tag: "BadOption", message: expect.stringContaining(message) as string })

describe("job.again", () => {
  test("without anything the run goes on at once", () => {
    expect(toWaiting({}, now)).toBeUndefined()
  })

  test("after, at and cron: whichever comes first; names combine with all", () => {
    expect(toWaiting({ after: "1 hour" }, now)).toEqual({ due: now + 3_600_000 })
    expect(toWaiting({ after: "1 hour", at: new Date(now + 5), on: ["stop"] }, now)).toEqual({ due: now + 5, on: ["stop"] })
    expect(toWaiting({ after: "1 hour", cron: "30 12 * * *" }, now)).toEqual({ due: at("2026-03-28T12:30:00Z") })
    expect(toWaiting({ after: 10, cron: "30 12 * * *" }, now)).toEqual({ due: now + 10 })
    expect(toWaiting({ on: ["a", "b"] }, now)).toEqual({ on: ["a", "b"] })
  })

  test("an empty list of names waits for nothing but what always wakes", () => {
    expect(toWaiting({ on: [] }, now)).toEqual({})
  })

  test("a time that has passed is due", () => {
    expect(toWaiting({ at: new Date(0) }, now)).toEqual({ due: 0 })
  })

  test("cron follows its zone through the change of clocks", () => {
    // on 29 March 2026 Berlin goes from +1 to +2
    expect(toWaiting({ cron: "0 12 * * *", zone: "Europe/Berlin" }, at("2026-03-28T12:00:00Z"))?.due).toBe(at("2026-03-29T10:00:00Z"))
    expect(toWaiting({ cron: "0 12 * * *", zone: "UTC" }, at("2026-03-28T12:00:00Z"))?.due).toBe(at("2026-03-29T12:00:00Z"))
    expect(toWaiting({ cron: "*/10 * * * * *" }, now + 1)?.due).toBe(now + 10_000)
  })

  test("the next tick is later than now, also on a tick", () => {
    expect(toWaiting({ cron: "0 12 * * *" }, now)?.due).toBe(now + 86_400_000)
  })

  test.each([
    [{ cron: "every day" }, "expected cron to be an expression"],
    [{ cron: "0 12 * * *", zone: "Europe/Nowhere" }, "Europe/Nowhere"],
    [{ after: "soon" }, "expected after to be a duration"],
    [{ at: new Date(Number.NaN) }, "expected at to be a valid Date"],
    [{ afer: 5 }, "`afer` (did you mean after?)"],
  ])("refuses %j", (request, message) => {
    expect(() => toWaiting(request as never, now)).toThrow(refused(message))
  })
})
