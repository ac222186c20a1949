/** Waits for appends: the bus tells of most (E6), a slow look finds the rest. */
import type { Engine, Unsubscribe } from "../engine/engine.ts"

export class Waker {
  readonly #pollMs: number
  readonly #signal: AbortSignal | undefined
  #subscriptions: Unsubscribe[] = []
  #rung = false
  #ring: (() => void) | undefined

  private constructor(pollMs: number, signal: AbortSignal | undefined) {
    this.#pollMs = pollMs
    this.#signal = signal
  }

  static async open(engine: Engine, pool: string, streams: ReadonlyArray<string>, pollMs: number, signal?: AbortSignal): Promise<Waker> {
    const waker = new Waker(pollMs, signal)
    signal?.addEventListener("abort", waker.ring)
    try {
      for (const stream of streams) waker.#subscriptions.push(await engine.onAppend(pool, stream, waker.ring))
    } catch (error) {
      await waker.close()
      throw error
    }
    return waker
  }

  readonly ring = (): void => {
    this.#rung = true
    this.#ring?.()
  }

  /** From now on a ring counts for the next `wait`: call it before looking. */
  arm(): void {
    this.#rung = false
  }

  /** Until a ring since `arm`, an abort, or `ms` (at most the time between two slow looks). */
  async wait(ms = this.#pollMs): Promise<void> {
    if (this.#rung || this.#signal?.aborted === true) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => this.#ring?.(), Math.max(1, Math.min(ms, this.#pollMs)))
      this.#ring = () => {
        clearTimeout(timer)
        this.#ring = undefined
        resolve()
      }
    })
  }

  async close(): Promise<void> {
    this.#signal?.removeEventListener("abort", this.ring)
    await Promise.allSettled(this.#subscriptions.splice(0).map((end) => end()))
  }
}
