import { describe, expect, it } from "vitest"
import { count, summary } from "../lib/run-tests.mjs"

describe("the last line of npm test", () => {
  it("counts a file that fails to load as a failure", () => {
    const counts = count([{ status: "failed", assertionResults: [] }])
    expect(summary(counts)).toBe("0 passed, 1 failed")
  })

  it("counts a file with a failed test once, and names skipped tests only where there are any", () => {
    const tests = ["passed", "failed", "pending", "todo"].map((status) => ({ status, fullName: `a ${status} test` }))
    expect(summary(count([{ status: "failed", assertionResults: tests }]))).toBe("1 passed, 1 failed, 2 skipped")
    expect(summary(count([{ status: "passed", assertionResults: tests.slice(0, 1) }]))).toBe("1 passed, 0 failed")
  })

  it("tells how many tests the missing Redis cost", () => {
    const tests = [{ status: "skipped", fullName: "engine on redis (PONOS_TEST_REDIS=skip) starts a run" }]
    expect(count([{ status: "passed", assertionResults: tests }])).toEqual({ passed: 0, failed: 0, skipped: 1, skippedByRedis: 1 })
  })
})
