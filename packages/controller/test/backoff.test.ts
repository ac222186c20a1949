import { describe, expect, test } from "vitest"
import { Backoff, delayMs, maxDelayMs, maxFailures } from "../src/backoff.ts"

describe("back-off per tenant", () => {
  test("doubles from one second up to five minutes", () => {
    expect([1, 2, 3, 4].map(delayMs)).toEqual([1_000, 2_000, 4_000, 8_000])
    expect([9, 10, 12, 500].map(delayMs)).toEqual([256_000, maxDelayMs, maxDelayMs, maxDelayMs])
  })

  test("goes on where the last pass was, and other tenants do not wait", () => {
    const first = new Backoff([], 10_000)
    first.failed("feed/a", "create", "full")
    expect(first.table()).toEqual([{ address: "feed/a", action: "create", attempts: 1, until: 11_000, error: "full" }])
    const second = new Backoff(first.table(), 10_500)
    expect([second.waits("feed/a", "create"), second.waits("feed/b", "create")]).toEqual([true, false])
    const third = new Backoff(first.table(), 11_000)
    expect(third.waits("feed/a", "create")).toBe(false)
    third.failed("feed/a", "create", "full")
    expect(third.table()[0]).toMatchObject({ attempts: 2, until: 13_000 })
  })

  test("only what failed waits: a job that cannot start still stops", () => {
    const backoff = new Backoff([{ address: "feed/a", action: "create", attempts: 1, until: 5_000, error: "ended" }], 1_000)
    expect([backoff.waits("feed/a", "create"), backoff.waits("feed/a", "update")]).toEqual([true, false])
    backoff.succeeded("feed/a", "update")
    expect(backoff.table()).toHaveLength(1)
  })

  test("a success forgets, and so does a quiet time as long as the longest delay", () => {
    const failures = [{ address: "feed/a", action: "create" as const, attempts: 9, until: 1_000, error: "full" }]
    const backoff = new Backoff(failures, 2_000)
    backoff.succeeded("feed/a", "create")
    expect(backoff.table()).toEqual([])
    expect(new Backoff(failures, 1_000 + maxDelayMs).table()).toEqual([])
  })

  test("is bounded: the oldest are forgotten first", () => {
    const backoff = new Backoff([], 0)
    for (let n = 0; n <= maxFailures; n++) backoff.failed(`feed/${n}`, "create", "full")
    expect(backoff.table()).toHaveLength(maxFailures)
    expect(backoff.table()[0]?.address).toBe("feed/1")
  })
})
