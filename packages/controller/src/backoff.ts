/**
 * Back-off per tenant: an action that failed, and a job that ended by itself and is started again, wait longer each time. Pure. Counts are durable (state of the controller's job), so that a new controller goes on where the last
 * one was; the table is bounded, and forgets a tenant that kept quiet for as long as its longest delay.
 */
import { retryDelay } from "@ponos/sdk/internal"

export interface Failure {
  readonly address: string
  /** What waits: a job that keeps ending still gets its new settings at once. */
  readonly action: "create" | "update" | "stop"
  readonly attempts: number
  /** Store time before which nothing is tried again. */
  readonly until: number
  readonly error: string
}

/** Longest delay, ms. */
export const maxDelayMs = 300_000
/** Beyond it the oldest failures are forgotten: they are tried again at once, at worst. */
export const maxFailures = 2_000

/** After so many attempts the delay has reached its maximum. */
const steps = 12
/** The Effect schedule of the job's own retries, stepped once: a pass asks for thousands of delays. */
const delays = Array.from({ length: steps }, (_, n) =>
  retryDelay({ kind: "exponential", first: 1_000, factor: 2, max: maxDelayMs }, n + 1, ""),
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
  waits(address: string, action: Failure["action"]): boolean {
    const failure = this.#failures.get(address)
    return failure !== undefined && failure.action === action && failure.until > this.#now
  }

  failed(address: string, action: Failure["action"], error: string): void {
    const attempts = Math.min((this.#failures.get(address)?.attempts ?? 0) + 1, 1_000)
    // newest last, so that the bound drops the oldest
    this.#failures.delete(address)
    this.#failures.set(address, { address, action, attempts, until: this.#now + delayMs(attempts), error: error.slice(0, 300) })
  }

  succeeded(address: string, action: Failure["action"]): void {
    if (this.#failures.get(address)?.action === action) this.#failures.delete(address)
  }

  /** What the next pass needs. */
  table(): ReadonlyArray<Failure> {
    return [...this.#failures.values()].slice(-maxFailures)
  }
}
