/**
 * Back-off per tenant: an action that failed, and a job that ended by itself and is started again, wait longer each time. Pure but for the
 * schedule, which Effect steps once. Counts are durable (state of the controller's job), so that a new controller goes on where the last
 * one was; the table is bounded, and forgets a tenant that kept quiet for as long as its longest delay.
 */
import { Duration, Effect, Pull, Schedule } from "effect"

export interface Failure {
  readonly address: string
  readonly attempts: number
  /** Store time before which nothing is tried again. */
  readonly until: number
  readonly error: string
}

/** Longest delay, ms. */
export const maxDelayMs = 300_000
/** Beyond it the oldest failures are forgotten: they are tried again at once, at worst. */
export const maxFailures = 2_000

const schedule = Schedule.min([Schedule.exponential("1 second", 2), Schedule.spaced(Duration.millis(maxDelayMs))])
/** After so many attempts the delay has reached its maximum. */
const steps = 12

/** A schedule keeps its place in a closure, which cannot be stored: its delays are read once, and attempts are an index into them. */
const delays: ReadonlyArray<number> = Effect.runSync(
  Effect.gen(function* () {
    const step = yield* Schedule.toStep(schedule)
    const found: Array<number> = []
    for (let now = 0; found.length < steps; now += found.at(-1) ?? 0) {
      const delay = yield* Pull.matchEffect(step(now, undefined), {
        onSuccess: ([, delay]) => Effect.succeed(Duration.toMillis(delay)),
        onDone: () => Effect.succeed(maxDelayMs),
        onFailure: (cause) => Effect.failCause(cause),
      })
      found.push(Math.round(delay))
    }
    return found
  }),
)

/** Delay after the given number of failed attempts (1, 2, 3 …). */
export const delayMs = (attempts: number): number => delays[Math.min(attempts, delays.length) - 1] ?? maxDelayMs

export class Backoff {
  readonly #failures: Map<string, Failure>
  readonly #now: number

  constructor(failures: ReadonlyArray<Failure>, now: number) {
    this.#failures = new Map(failures.filter(({ until }) => until + maxDelayMs > now).map((failure) => [failure.address, failure]))
    this.#now = now
  }

  /** Must this tenant still wait? */
  waits(address: string): boolean {
    return (this.#failures.get(address)?.until ?? 0) > this.#now
  }

  failed(address: string, error: string): void {
    const attempts = Math.min((this.#failures.get(address)?.attempts ?? 0) + 1, 1_000)
    // newest last, so that the bound drops the oldest
    this.#failures.delete(address)
    this.#failures.set(address, { address, attempts, until: this.#now + delayMs(attempts), error: error.slice(0, 300) })
  }

  succeeded(address: string): void {
    this.#failures.delete(address)
  }

  /** What the next pass needs. */
  table(): ReadonlyArray<Failure> {
    return [...this.#failures.values()].slice(-maxFailures)
  }
}
