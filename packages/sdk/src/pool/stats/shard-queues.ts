/**
 * What waits in all shards of a pool. Where one call spans them it is one call. On a cluster each shard is asked by itself, and who does not answer
 * is left out and named: one server that is down must not hide what the others say.
 *
 * - Q1 All shards that answer within `patienceMs` are in the reading; when none has by then, as soon as one does. When all fail, it throws.
 * - Q2 A shard that has not answered is asked again only when that call has ended: what is under way is bounded, however often somebody asks.
 */
import type { Engine, ShardQueue } from "../../engine/engine.ts"
import { StoreUnavailable } from "../../errors.ts"

export interface QueueReading {
  readonly queues: ReadonlyArray<ShardQueue>
  /** Shards that did not answer, in order. */
  readonly unknown: ReadonlyArray<number>
}

/** Far above what a server takes that is there, also under load. */
const patienceMs = 1_000

export class QueueReader {
  /** Asked by an earlier reading, which did not wait for them. */
  readonly #late = new Set<number>()
  readonly #patienceMs: number

  constructor(patience = patienceMs) {
    this.#patienceMs = patience
  }

  async read(engine: Engine, pool: string, shards: number): Promise<QueueReading> {
    const all = Array.from({ length: shards }, (_, shard) => shard)
    if (engine.spansShards) return { queues: await engine.queues(pool, all), unknown: [] }
    const free = all.filter((shard) => !this.#late.has(shard))
    // nobody is left to ask: then to wait for those that were
    const asked = free.length === 0 ? all : free
    const answers = new Map<number, ShardQueue>()
    const waiting = new Set(asked)
    let failure: unknown
    const { promise: enough, resolve } = Promise.withResolvers<void>()
    let impatient = false
    const ask = async (shard: number): Promise<void> => {
      try {
        const [queue] = await engine.queues(pool, [shard])
        if (queue !== undefined) answers.set(shard, queue)
      } catch (error) {
        // what is no outage is told, whatever the others say
        if (failure === undefined || !StoreUnavailable.is(error)) failure = error
      }
      waiting.delete(shard)
      this.#late.delete(shard)
      if (waiting.size === 0 || (impatient && answers.size > 0)) resolve()
    }
    const timer = setTimeout(() => {
      impatient = true
      if (answers.size > 0) resolve()
    }, this.#patienceMs)
    for (const shard of asked) void ask(shard)
    await enough
    clearTimeout(timer)
    if (failure !== undefined && (answers.size === 0 || !StoreUnavailable.is(failure))) throw failure
    for (const shard of waiting) this.#late.add(shard)
    return {
      queues: all.flatMap((shard) => answers.get(shard) ?? []),
      unknown: all.filter((shard) => !answers.has(shard)),
    }
  }
}
