/**
 * A distributed ticker: of all who iterate one name, one gets each tick. The time of the last tick stands in a replicated map (`~tickers`), and
 * whoever moves it on by compare-and-set has the next tick. A map rather than a job on a shard: who wants ticks need not be a worker, the work
 * of a tick runs where the loop is, and a tick costs one write, however many wait for it.
 *
 * - K1 Slots are multiples of `every` of the store's clock. No slot ticks twice: the swap is from a slot to a later one.
 * - K2 What nobody took in time is one tick, of the latest slot, which says how many were missed before it.
 * - K3 A tick that was taken is not given again, should its taker die: the next slot is anybody's. Who asks for a tick has done with the last.
 * - K4 A name that never ticked ticks at once.
 */
import type { Engine } from "../engine/engine.ts"
import { StoreUnavailable } from "../errors.ts"
import type { JoinedMap } from "../rmap/joined-map.ts"

export interface Tick {
  readonly name: string
  /** Begin of its slot, in epoch ms of the store's clock; grows from tick to tick. */
  readonly at: number
  /** Slots before it in which nobody ticked. */
  readonly missed: number
}

export interface TickerHost {
  readonly engine: Engine
  readonly pool: string
  readonly map: () => Promise<JoinedMap>
}

/** Longest local wait: `setTimeout` overflows at 24.8 days, and two clocks drift. */
const waitMaxMs = 60_000
/** They come a little apart, so that one takes the tick and the others hear of it. */
const spreadMs = 10
const retryMs = 250

export const slotOf = (now: number, everyMs: number): number => Math.floor(now / everyMs) * everyMs

/** K2. `last`: undefined when it never ticked. */
export const missedBetween = (last: number | undefined, slot: number, everyMs: number): number =>
  last === undefined ? 0 : Math.max(0, Math.round((slot - slotOf(last, everyMs)) / everyMs) - 1)

/** Resolves after `ms`, when the signal fires, or when the ticker's entry changed. */
const wait = async (map: JoinedMap, name: string, ms: number, signal: AbortSignal | undefined): Promise<void> => {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, Math.min(ms, waitMaxMs))
  const ignore = map.onChange((changes) => {
    if (changes.some(({ key }) => key === name)) resolve()
  })
  const stop = (): void => resolve()
  signal?.addEventListener("abort", stop)
  try {
    if (signal?.aborted !== true) await promise
  } finally {
    clearTimeout(timer)
    ignore()
    signal?.removeEventListener("abort", stop)
  }
}

export async function* ticks(
  host: TickerHost,
  name: string,
  everyMs: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<Tick, void, undefined> {
  const map = await host.map()
  while (signal?.aborted !== true) {
    try {
      const now = (await host.engine.poolInfo(host.pool))?.now ?? 0
      const text = map.get(name)
      const last = text === undefined ? undefined : Number(text)
      const slot = slotOf(now, everyMs)
      if (last !== undefined && slot <= last) {
        await wait(map, name, slotOf(last, everyMs) + everyMs - now + Math.random() * spreadMs, signal)
        continue
      }
      const { swapped } = await map.compareAndSet(name, text, String(slot))
      if (swapped) yield { name, at: slot, missed: missedBetween(last, slot, everyMs) }
    } catch (error) {
      // The store comes back, or its owner ends the loop.
      if (!StoreUnavailable.is(error)) throw error
      await wait(map, name, retryMs, signal)
    }
  }
}
