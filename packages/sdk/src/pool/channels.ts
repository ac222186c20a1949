/** The bus channels of the shards that this session holds or shall hold: hints, and requests to the owner. */
import type { Engine, Hint, Unsubscribe } from "../engine/engine.ts"

export interface ChannelsHost {
  readonly engine: Engine
  readonly pool: string
  readonly onHint: (hint: Hint) => void
  readonly onRequest: (shard: number, text: string) => void
}

/** Volatile requests to whoever owns the shard: queries and the like. */
export const requestChannel = (shard: number): string => `requests:${shard}`

export class Channels {
  readonly #host: ChannelsHost
  readonly #open = new Map<number, Promise<ReadonlyArray<Unsubscribe>>>()

  constructor(host: ChannelsHost) {
    this.#host = host
  }

  /** Resolves when all these shards are listened to; what was published before is found by reading after it. */
  async listen(shards: Iterable<number>): Promise<void> {
    const opening: Array<Promise<unknown>> = []
    for (const shard of shards) {
      let subscriptions = this.#open.get(shard)
      if (subscriptions === undefined) {
        const begun = (subscriptions = this.#subscribe(shard))
        begun.catch(() => {
          if (this.#open.get(shard) === begun) this.#open.delete(shard)
        })
        this.#open.set(shard, begun)
      }
      opening.push(subscriptions)
    }
    await Promise.all(opening)
  }

  /** Both or none: what is left of a failed one would hear everything beside the next one, for ever. */
  async #subscribe(shard: number): Promise<ReadonlyArray<Unsubscribe>> {
    const { engine, pool } = this.#host
    const asked = await Promise.allSettled([
      engine.onHint(pool, shard, (hint) => this.#host.onHint(hint)),
      engine.subscribe(pool, requestChannel(shard), (text) => this.#host.onRequest(shard, text)),
    ])
    const ends = asked.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []))
    const failed = asked.find((one) => one.status === "rejected")
    if (failed === undefined) return ends
    await Promise.allSettled(ends.map((end) => end()))
    throw failed.reason
  }

  /** Drops all but these. */
  async keepOnly(keep: (shard: number) => boolean): Promise<void> {
    const closing: Array<Promise<void>> = []
    for (const [shard, subscriptions] of this.#open) {
      if (keep(shard)) continue
      this.#open.delete(shard)
      closing.push(subscriptions.then(async (all) => void (await Promise.all(all.map((unsubscribe) => unsubscribe())))))
    }
    await Promise.allSettled(closing)
  }
}
