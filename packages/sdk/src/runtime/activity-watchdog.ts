/**
 * Finds a consumer that takes nothing while its queue waits (T2): a library's connection may hang in a blocking call after a failover, and say
 * nothing. Looks are compared, so that nothing is concluded from one moment.
 *
 * - G1 It is stuck when a task that was next in line at one look is so at the next one, and the consumer, which had room at both, took nothing between.
 * - G2 What a rate limit holds back, or nobody may take (a paused queue has no next one), is no sign.
 */
export interface Look {
  /** Tasks that the consumer took so far, and those that run. */
  readonly taken: number
  readonly running: number
  /** Ids of those that come next, of each order in which the queue keeps them. */
  readonly next: ReadonlyArray<string>
  /** A rate limit holds them back. */
  readonly held: boolean
}

export const isStuck = (before: Look | undefined, now: Look, concurrency: number): boolean =>
  before !== undefined &&
  !before.held &&
  !now.held &&
  before.running < concurrency &&
  now.running < concurrency &&
  before.taken === now.taken &&
  now.next.some((id) => before.next.includes(id))

export interface Watched {
  readonly concurrency: number
  /** Rejects, or does not answer, where the store is away: then nothing is known. */
  look(): Promise<Look>
  /** Another consumer takes its place. */
  replace(): void
}

export class Watchdog {
  readonly #watched: Watched
  readonly #timer: ReturnType<typeof setInterval>
  #before: Look | undefined
  #looking = false
  #stopped = false

  constructor(watched: Watched, everyMs: number) {
    this.#watched = watched
    this.#timer = setInterval(() => void this.#look(), everyMs)
    this.#timer.unref()
  }

  async #look(): Promise<void> {
    if (this.#looking) return
    this.#looking = true
    const now = await this.#watched.look().catch(() => undefined)
    this.#looking = false
    const stuck = now !== undefined && isStuck(this.#before, now, this.#watched.concurrency)
    this.#before = stuck ? undefined : now
    if (stuck && !this.#stopped) this.#watched.replace()
  }

  stop(): void {
    this.#stopped = true
    clearInterval(this.#timer)
  }
}
