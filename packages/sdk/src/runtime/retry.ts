/**
 * Retry policies are Effect schedules, stepped durably: only the number of failures is stored, and the schedule is replayed up to it, with
 * seeded randomness, so that every worker computes the same delay.
 */
import { Duration, Effect, Pull, Random, Schedule } from "effect"
import type { RetryPolicy } from "../define/index.ts"
import { toMillis } from "../options.ts"

/** Steps after which every policy has reached its cap: replaying more changes nothing but the cost. */
const maxReplay = 64
/** Cap of a policy that has none: a delay beyond a day is a mistake, and 2^64 is no time. */
const uncapped = 86_400_000

export const jobRetry: RetryPolicy = { kind: "exponential", first: 1_000, factor: 2, max: 300_000, jitter: true }
export const activityRetry: RetryPolicy = { kind: "exponential", first: 1_000, factor: 2, max: 60_000, attempts: 10, jitter: true }

const toSchedule = (policy: RetryPolicy): Schedule.Schedule<unknown> => {
  const first = Duration.millis(toMillis(policy.first, "retry.first"))
  return policy.kind === "exponential" ? Schedule.exponential(first, policy.factor) : Schedule.spaced(first)
}

/**
 * Delay in ms before the next attempt after `failures` (1, 2 …) failed ones, the last one with the error `tag`; `undefined`: give up. The same
 * for the same `seed`.
 */
export const retryDelay = (policy: RetryPolicy, failures: number, seed: string, tag?: string): number | undefined => {
  if (tag !== undefined && policy.except?.includes(tag) === true) return undefined
  if (policy.kind === "none" || (policy.attempts !== undefined && failures >= policy.attempts)) return undefined
  const max = policy.max === undefined ? uncapped : toMillis(policy.max, "retry.max")
  const delay = Effect.gen(function* () {
    const step = yield* Schedule.toStep(toSchedule(policy))
    let last = 0
    for (let i = 0; i < Math.min(failures, maxReplay); i++) {
      last = yield* Pull.matchEffect(step(0, undefined), {
        onSuccess: ([, next]) => Effect.succeed(Duration.toMillis(next)),
        onDone: () => Effect.succeed(last),
        onFailure: () => Effect.succeed(last),
      })
      if (last >= max) break
    }
    const factor = policy.jitter === true ? 0.8 + 0.4 * (yield* Random.next) : 1
    return Math.round(Math.min(Math.min(last, max) * factor, max))
  })
  return Effect.runSync(delay.pipe(Random.withSeed(`${seed}#${failures}`)))
}
