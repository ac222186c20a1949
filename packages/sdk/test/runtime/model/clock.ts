/** The model's time: what is due happens when the test moves it, one thing after another, and everything comes to rest in between. */
export interface Timer {
  readonly due: number
  readonly fire: () => void
}

export class Clock {
  now = 0
  readonly #timers = new Set<Timer>()

  /** Gives a function that stops it. */
  at(due: number, fire: () => void): () => void {
    const timer = { due, fire }
    this.#timers.add(timer)
    return () => void this.#timers.delete(timer)
  }

  after(ms: number): Promise<void> {
    return new Promise((resolve) => this.at(this.now + ms, resolve))
  }

  get next(): number {
    return Math.min(...Array.from(this.#timers, ({ due }) => due))
  }

  /** Lets happen what is due at the next time. */
  async step(): Promise<void> {
    this.now = this.next
    for (const timer of this.#timers) {
      if (timer.due !== this.now || !this.#timers.delete(timer)) continue
      timer.fire()
      await this.rest()
    }
  }

  /** Everything here waits for promises only. */
  rest(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve))
  }

  clear(): void {
    this.#timers.clear()
  }
}
