/** The store's clock as a worker knows it: C1 and C2 hold whatever calls take and however late their answers are heard; C3 when the clock is set. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { StoreClock } from "../../src/pool/store-clock.ts"

/** Ms by which the store's clock is ahead of the local one, at a local time: it drifts, by twice what clocks are slewed at most. */
const ahead = (at: number): number => 1_000_000.4 + at * 1e-3
const storeTime = (at: number): number => at + ahead(at)
/** What clocks drift in the time that is looked back. */
const drift = 10

describe("the store's clock", () => {
  test("is between its bounds, and what is counted from the later one has passed in full by the earlier one (C1, C2)", () => {
    const call = fc.record({
      pause: fc.double({ min: 0, max: 3_000, noNaN: true }),
      there: fc.double({ min: 0, max: 50, noNaN: true }),
      /** Also what a busy loop adds. */
      back: fc.double({ min: 0, max: 400, noNaN: true }),
      timed: fc.boolean(),
      sleeps: fc.integer({ min: 0, max: 5_000 }),
    })
    fc.assert(
      fc.property(fc.array(call, { minLength: 1, maxLength: 60 }), (calls) => {
        const clock = new StoreClock(ahead(0))
        let at = 0
        const due: Array<{ readonly at: number; readonly began: number; readonly ms: number }> = []
        for (const { pause, there, back, timed, sleeps } of calls) {
          const sentAt = at + pause
          const time = Math.floor(storeTime(sentAt + there))
          at = sentAt + there + back
          clock.heard(time, at, timed ? sentAt : undefined)
          expect(clock.now(at)).toBeLessThanOrEqual(storeTime(at) + drift)
          if (timed) expect(clock.latest(at)).toBeGreaterThanOrEqual(storeTime(at) - drift)
          for (const one of due) if (clock.now(at) >= one.at) expect(at - one.began).toBeGreaterThanOrEqual(one.ms - 2 * drift)
          if (timed) due.push({ at: clock.latest(at) + sleeps, began: at, ms: sleeps })
        }
      }),
    )
  })

  test("is as near as the quickest answer of the last seconds, and forgets it after ten", () => {
    const clock = new StoreClock(0)
    clock.heard(1_000, 10, 9)
    expect([clock.now(10), clock.latest(10)]).toEqual([1_000, 1_002])
    // heard 300 ms late: it tells nothing new
    clock.heard(1_050, 360, 59)
    expect([clock.now(360), clock.latest(360)]).toEqual([1_350, 1_352])
    clock.heard(8_000, 7_011, 7_008)
    clock.heard(16_000, 15_015, 15_002)
    expect([clock.now(15_015), clock.latest(15_015)]).toEqual([16_004, 16_008])
    clock.heard(22_000, 21_015, 21_000)
    expect([clock.now(21_015), clock.latest(21_015)]).toEqual([22_000, 22_014])
  })

  test("is believed when it was set (C3)", () => {
    const clock = new StoreClock(0)
    clock.heard(1_000, 10, 9)
    clock.heard(500, 20, 19)
    expect([clock.now(20), clock.latest(20)]).toEqual([500, 502])
    clock.heard(90_000, 30, 29)
    expect([clock.now(30), clock.latest(30)]).toEqual([90_000, 90_002])
    // an answer that does not tell how old it is can only set it forward
    clock.heard(80_000, 40)
    expect(clock.now(40)).toBe(90_010)
  })

  test("is guessed until it is heard", () => {
    const clock = new StoreClock(50)
    expect([clock.now(1), clock.latest(1)]).toEqual([51, 51])
    clock.heard(20, 2)
    expect([clock.now(3), clock.latest(3)]).toEqual([21, 21])
  })
})
