/** What tests use of the run's Redis: its address, a `describe` that is skipped without it, and names that no other test has. */
import { randomBytes } from "node:crypto"
import { describe, inject } from "vitest"
import type {} from "./test-redis.ts"

/** The address of the run's Redis. Throws when the run has none: call it inside of `describeRedis` only. */
export function redisUrl(): string {
  const url = inject("redisUrl")
  if (url === undefined) throw new Error("this run has no Redis (PONOS_TEST_REDIS=skip): put the test into describeRedis(…)")
  return url
}

/** As `describe`; skipped, with the reason in its name, when the run has no Redis. */
export function describeRedis(name: string, body: () => void): void {
  if (inject("redisUrl") === undefined) describe.skip(`${name} (PONOS_TEST_REDIS=skip)`, body)
  else describe(name, body)
}

/**
 * A name for a pool, a key prefix or a file that no other test, run or process has: the tests share one Redis. Letters, digits and
 * dashes only, starting with the label. It contains the run's id, by which all its keys are removed when the run ends.
 */
export function uniqueName(label: string): string {
  return `${label}-${inject("testRun")}-${randomBytes(5).toString("hex")}`
}
