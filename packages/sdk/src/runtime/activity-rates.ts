/**
 * Rate limits of a file's queues, kept in its store: over all workers, and beyond the life of each. A window and what has begun in it are one entry of
 * a map of the pool, changed by compare-and-set; a worker asks for as many starts as it can make at once.
 *
 * - N1 In one window there are at most `max` starts: what is granted is written before anything starts, and is void when its window has ended on the
 *   clock of whoever got it. What a worker that died was granted and did not use is lost with it.
 * - N2 Windows are fixed, as in BullMQ: one begins with the first grant after the last one's end, by the store's clock.
 */
import type { Engine } from "../engine/engine.ts"
import { joinOwnMap } from "../pool/pool-config.ts"
import type { JoinedMap } from "../rmap/joined-map.ts"
import type { QueueLimits } from "./activity-limits.ts"

type Rate = NonNullable<QueueLimits["rate"]>

export interface Grant {
  readonly starts: number
  /** Until the window ends, ms; since before it was asked for. */
  readonly leftMs: number
}

export interface Rates {
  take(queue: string, rate: Rate, wanted: number): Promise<Grant>
  close(): Promise<void>
}

interface Window {
  readonly end: number
  readonly begun: number
}

/** Pure. A window that is longer than the rate says is of another rate, or of a clock that was set back: it counts no more. */
export const grantIn = (
  text: string | undefined,
  now: number,
  { max, perMs }: Rate,
  wanted: number,
): Window & { readonly starts: number } => {
  const [end = 0, begun = 0] = (text ?? "").split(" ").map(Number)
  const open = end > now && end - now <= perMs
  const used = open ? begun : 0
  const starts = Math.max(0, Math.min(wanted, max - used))
  return { starts, end: open ? end : now + perMs, begun: used + starts }
}

/** As many who race for one entry as anybody has workers on one file. */
const triesMax = 100

export class StoredRates implements Rates {
  readonly #engine: Engine
  readonly #pool: string
  #map: Promise<JoinedMap> | undefined

  constructor(engine: Engine, pool: string) {
    this.#engine = engine
    this.#pool = pool
  }

  async take(queue: string, rate: Rate, wanted: number): Promise<Grant> {
    const map = await this.#joined()
    const now = (await this.#engine.poolInfo(this.#pool))?.now ?? Date.now()
    let text = map.get(queue)
    for (let tries = 0; tries < triesMax; tries++) {
      const { starts, end, begun } = grantIn(text, now, rate, wanted)
      if (starts === 0) return { starts, leftMs: end - now }
      const { swapped, value } = await map.compareAndSet(queue, text, `${end} ${begun}`)
      if (swapped) return { starts, leftMs: end - now }
      text = value
    }
    return { starts: 0, leftMs: 0 }
  }

  async close(): Promise<void> {
    await this.#map?.then((map) => map.close()).catch(() => undefined)
  }

  #joined(): Promise<JoinedMap> {
    this.#map ??= joinOwnMap(this.#engine, this.#pool, "~rates").catch((error: unknown) => {
      this.#map = undefined
      throw error
    })
    return this.#map
  }
}
