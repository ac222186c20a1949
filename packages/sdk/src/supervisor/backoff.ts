/** Delays before the first, second … restart in a row: an Effect schedule, stepped once up to its cap. Pure. */
import { Duration, Effect, Pull, Schedule } from "effect"

/** Doubling from the least first delay reaches the greatest cap before that. */
const maxSteps = 32

export const restartDelays = (firstMs: number, maxMs: number): ReadonlyArray<number> => {
  const cap = Duration.millis(maxMs)
  const schedule = Schedule.min([Schedule.exponential(Duration.millis(firstMs), 2), Schedule.spaced(cap)])
  const steps = Effect.gen(function* () {
    const step = yield* Schedule.toStep(schedule)
    const delays: Array<number> = []
    while (delays.length < maxSteps && delays.at(-1) !== maxMs) {
      const next = yield* Pull.matchEffect(step(0, undefined), {
        onSuccess: ([, delay]) => Effect.succeed(Duration.toMillis(delay)),
        onDone: () => Effect.succeed(maxMs),
        onFailure: () => Effect.succeed(maxMs),
      })
      delays.push(Math.round(next))
    }
    return delays
  })
  return Effect.runSync(steps)
}
