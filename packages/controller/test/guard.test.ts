import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { approvalAfter, guard, type GuardInput } from "../src/guard.ts"

const options = { maxStopRatio: 0.2, maxStopCount: undefined }
const input = (given: Partial<GuardInput>): GuardInput => ({
  stops: 0,
  observed: 100,
  desired: 100,
  unreadable: 0,
  complete: true,
  unreachable: 0,
  hash: "plan",
  approval: undefined,
  ...given,
})

describe("guard", () => {
  test("lets up to 20 % stop, and holds more back", () => {
    expect(guard(input({ stops: 20 }), options).allowed).toBe(true)
    const refused = guard(input({ stops: 21 }), options)
    expect(refused).toMatchObject({ allowed: false, approvable: true, reasons: ["ratio"] })
    expect(refused.message).toBe(
      '21 stops are held back: expected at most 20 % of 100 running jobs to stop (maxStopRatio), got 21. If this is meant, approve it: controller.approve("plan"). All else goes on.',
    )
  })

  test("a limit that is met exactly passes, whatever floating point makes of it", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 100 }), (percent) => {
        expect(guard(input({ stops: percent }), { maxStopRatio: percent / 100, maxStopCount: undefined }).allowed).toBe(true)
      }),
    )
  })

  test("an empty desired set stops nothing, not even one job of a thousand", () => {
    expect(guard(input({ stops: 1, observed: 1_000, desired: 0 }), options).reasons).toEqual(["empty"])
  })

  test("a source that was not read to its end stops nothing, approved or not", () => {
    const verdict = guard(input({ stops: 1, complete: false, approval: "plan" }), options)
    expect(verdict).toMatchObject({ allowed: false, approvable: false, reasons: ["source"] })
  })

  test("rows without a readable key hold stops back", () => {
    expect(guard(input({ stops: 1, unreadable: 1 }), options)).toMatchObject({ allowed: false, approvable: true, reasons: ["unreadable"] })
  })

  test("maxStopCount counts beside the ratio", () => {
    const counted = { maxStopRatio: 1, maxStopCount: 5 }
    expect(guard(input({ stops: 5 }), counted).allowed).toBe(true)
    expect(guard(input({ stops: 6 }), counted).reasons).toEqual(["count"])
  })

  test("an approval lets exactly its plan pass", () => {
    const held = { stops: 90, desired: 0 }
    expect(guard(input({ ...held, approval: "plan" }), options)).toMatchObject({ allowed: true, approved: true })
    expect(guard(input({ ...held, approval: "another" }), options)).toMatchObject({ allowed: false, approved: false })
  })

  test("an approval is gone after a complete pass, used or not, and waits for a source that failed", () => {
    expect(approvalAfter(input({ approval: "plan" }))).toBeUndefined()
    expect(approvalAfter(input({ approval: "another" }))).toBeUndefined()
    expect(approvalAfter(input({ approval: "plan", complete: false }))).toBe("plan")
  })

  test("G-8: while shards cannot be read nothing stops, an approval does not help, and is kept", () => {
    const refused = guard(input({ stops: 1, unreachable: 3, approval: "plan" }), options)
    expect(refused).toMatchObject({ allowed: false, approvable: false, reasons: ["unreachable"] })
    expect(refused.message).toMatch(/^1 stops are held back: 3 shards could not be read.*Repair the store/)
    expect(approvalAfter(input({ approval: "plan", unreachable: 3 }))).toBe("plan")
  })

  test("G-1: without stops everything passes", () => {
    const any = fc.record({
      stops: fc.constant(0),
      observed: fc.nat(),
      desired: fc.nat(),
      unreadable: fc.nat(),
      complete: fc.boolean(),
      unreachable: fc.nat(1),
      hash: fc.constant("plan"),
      approval: fc.constant(undefined),
    })
    fc.assert(
      fc.property(any, (given) => {
        expect(guard(given, options)).toMatchObject({ allowed: true, reasons: [] })
      }),
    )
  })

  test("unapproved, never more than ratio and count stop, and nothing on an empty, partial or unreadable set", () => {
    const any = fc.record({
      stops: fc.nat(200),
      observed: fc.nat(200),
      desired: fc.nat(200),
      unreadable: fc.nat(1),
      complete: fc.boolean(),
      unreachable: fc.nat(1),
      hash: fc.constant("plan"),
      approval: fc.constant(undefined),
    })
    const limits = fc.record({
      maxStopRatio: fc.double({ min: 0, max: 1, noNaN: true }),
      maxStopCount: fc.option(fc.nat(200), { nil: undefined }),
    })
    fc.assert(
      fc.property(any, limits, (given, limit) => {
        if (given.stops === 0 || !guard(given, limit).allowed) return
        expect(given.stops).toBeLessThanOrEqual(limit.maxStopRatio * given.observed + 1e-6)
        expect(given.stops).toBeLessThanOrEqual(limit.maxStopCount ?? Infinity)
        expect(given).toMatchObject({ complete: true, unreachable: 0, unreadable: 0 })
        expect(given.desired).toBeGreaterThan(0)
      }),
    )
  })
})
