import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { retry } from "../../src/define/index.ts"
import { activityRetry, jobRetry, retryDelay } from "../../src/runtime/retry.ts"

const delays = (policy: Parameters<typeof retryDelay>[0], count: number): ReadonlyArray<number | undefined> =>
  Array.from({ length: count }, (_, i) => retryDelay(policy, i + 1, "run.1"))

describe("retry policies", () => {
  test("fixed: the same delay, as many attempts as were allowed", () => {
    expect(delays(retry.fixed({ every: "2 seconds", attempts: 3 }), 4)).toEqual([2_000, 2_000, undefined, undefined])
    expect(delays(retry.fixed({ every: 5 }), 3)).toEqual([5, 5, 5])
  })

  test("exponential: grows by its factor up to its cap", () => {
    expect(delays(retry.exponential({ first: 100, max: 1_000 }), 6)).toEqual([100, 200, 400, 800, 1_000, 1_000])
    expect(delays(retry.exponential({ first: 100, factor: 3, max: "1 minute", attempts: 4 }), 5)).toEqual([
      100,
      300,
      900,
      undefined,
      undefined,
    ])
  })

  test("except: errors that are named are not repeated", () => {
    const policy = retry.exponential({ first: 100, except: ["TypeError", "Gone"] })
    expect(retryDelay(policy, 1, "s", "Gone")).toBeUndefined()
    expect(retryDelay(policy, 1, "s", "Error")).toBe(100)
    expect(retryDelay(retry.fixed({ every: 5 }), 1, "s", "Gone")).toBe(5)
  })

  test("none: never again", () => {
    expect(retryDelay(retry.none, 1, "s")).toBeUndefined()
  })

  test("without a cap a delay is a day at most, also after a million failures", () => {
    expect(retryDelay(retry.exponential({ first: 1_000 }), 1_000_000, "s")).toBe(86_400_000)
  })

  test("jitter spreads a delay by 0.8 to 1.2, below the cap, the same for the same seed on every worker", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), fc.string(), (failures, seed) => {
        for (const policy of [jobRetry, activityRetry, retry.fixed({ every: 1_000, jitter: true })]) {
          const plain = retryDelay({ ...policy, jitter: false }, failures, seed)
          const spread = retryDelay(policy, failures, seed)
          expect(retryDelay(policy, failures, seed)).toBe(spread)
          if (plain === undefined || spread === undefined) {
            expect(spread).toBe(plain)
            continue
          }
          expect(spread).toBeGreaterThanOrEqual(Math.floor(plain * 0.8))
          expect(spread).toBeLessThanOrEqual(
            Math.min(Math.ceil(plain * 1.2), policy.max === undefined ? Number.POSITIVE_INFINITY : Number(policy.max)),
          )
        }
      }),
      { numRuns: 50 },
    )
  })

  test("different seeds spread: runs that failed together do not come back together", () => {
    const seen = new Set(Array.from({ length: 50 }, (_, i) => retryDelay(jobRetry, 3, `run-${i}.1`)))
    expect(seen.size).toBeGreaterThan(40)
  })
})
