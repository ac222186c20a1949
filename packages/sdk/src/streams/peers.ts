/**
 * Who of a sink's consumers is dead: whose counter stood still for a lease on this process's own monotonic clock. No two clocks are compared
 * (as S3 of sessions), and the store removes a consumer only if its counter still is the one that was judged.
 */
export class Peers {
  readonly #leaseMs: number
  readonly #seen = new Map<string, { readonly counter: number; readonly since: number }>()

  constructor(leaseMs: number) {
    this.#leaseMs = leaseMs
  }

  /** Takes a look at all counters, and says who is dead, with the counter by which it is so. */
  look(counters: ReadonlyMap<string, number>, now: number): ReadonlyArray<{ readonly consumer: string; readonly counter: number }> {
    for (const consumer of this.#seen.keys()) if (!counters.has(consumer)) this.#seen.delete(consumer)
    const dead: Array<{ readonly consumer: string; readonly counter: number }> = []
    for (const [consumer, counter] of counters) {
      const known = this.#seen.get(consumer)
      if (known?.counter !== counter) this.#seen.set(consumer, { counter, since: now })
      else if (now - known.since >= this.#leaseMs) dead.push({ consumer, counter })
    }
    return dead
  }
}
