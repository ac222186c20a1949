/**
 * What a worker knows of the store's clock, between answers that tell it: two bounds.
 *
 * - C1 `now` is not ahead of the store's clock: what is due by it is due in the store.
 * - C2 `latest` is not behind it: what is counted from it has passed in full when `now` says so, however late an answer was heard before or after.
 * - C3 A clock that was set, or another server's, or a machine that was suspended, is believed as soon as an answer contradicts the bounds.
 *
 * An answer tells a time between the sending of its call and its arrival, in whole milliseconds, rounded down. The narrowest bounds of the last five to
 * ten seconds count: a loop that was busy hears late, and the two clocks drift apart.
 */
const windowMs = 5_000

interface Bounds {
  /** Store's clock less the local one, ms. */
  readonly lower: number
  readonly upper: number
}
const unknown: Bounds = { lower: Number.NEGATIVE_INFINITY, upper: Number.POSITIVE_INFINITY }
const narrower = (a: Bounds, b: Bounds): Bounds => ({ lower: Math.max(a.lower, b.lower), upper: Math.min(a.upper, b.upper) })

export class StoreClock {
  /** Until an answer is heard. */
  readonly #guess: number
  #now: Bounds = unknown
  #before: Bounds = unknown
  #known: Bounds = unknown
  #since = Number.NEGATIVE_INFINITY

  /** `guess`: store's clock less the local one, about. */
  constructor(guess: number) {
    this.#guess = guess
  }

  /** An answer that came `at` said that it was `time`. Without `sentAt` it tells nothing of how old that was. All in ms, the latter two on the local clock. */
  heard(time: number, at: number, sentAt = Number.NEGATIVE_INFINITY): void {
    const bounds = { lower: time - at, upper: time + 1 - sentAt }
    if (bounds.lower > this.#known.upper || bounds.upper < this.#known.lower) {
      this.#before = unknown
      this.#now = unknown
    }
    if (at - this.#since >= windowMs) {
      this.#before = this.#now
      this.#now = unknown
      this.#since = at
    }
    this.#now = narrower(this.#now, bounds)
    this.#known = narrower(this.#now, this.#before)
  }

  /** C1. `at`: on the local clock. */
  now(at: number): number {
    const { lower } = this.#known
    return at + (lower === unknown.lower ? this.#guess : lower)
  }

  /** C2. */
  latest(at: number): number {
    const { upper } = this.#known
    return upper === unknown.upper ? this.now(at) : at + upper
  }
}
