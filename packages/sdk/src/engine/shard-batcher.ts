/**
 * Batches of items that belong to shards. Where one call spans shards all of them travel together (batcher.ts). On a cluster a call serves one
 * shard, and what one server does not answer holds up nobody else:
 *
 * - Each server has `maxInFlight` batches of its own.
 * - In a batch, each shard is sent and answered by itself.
 * - A batch that is late counts no more, and its unanswered shards (a slot that moves, a server that is lost) send nothing until they are answered:
 *   what is under way is bounded by one late call a shard and batch, and the other shards of that server go on.
 */
import { AsyncLocalStorage } from "node:async_hooks"
import { Batcher, callsMax, Refused } from "./batcher.ts"
import type { Engine } from "./engine.ts"

export interface ShardBatcherHost<Item, Reply> {
  /** Undefined while it is being opened. */
  readonly engine: () => Pick<Engine, "serverOf"> | undefined
  readonly pool: string
  readonly shardOf: (item: Item) => number
  readonly send: (items: ReadonlyArray<Item>) => Promise<ReadonlyArray<Reply | Refused>>
  readonly maxInFlight?: number
  /** More shards have late calls than before. */
  readonly onLate?: () => void
}

/** Of one shard. */
interface Part<Item, Reply> {
  readonly shard: number
  readonly items: Array<Item>
  readonly waiters: Array<{ readonly resolve: (reply: Reply) => void; readonly reject: (error: unknown) => void }>
}

/** Of one server. */
interface Lane<Item, Reply> {
  readonly waiting: Map<number, Part<Item, Reply>>
  inFlight: number
  scheduled: boolean
}

/** From when on an answer is late: far above what a call takes, also under load, and far below what a failover does. */
export const lateMs = 100

export class ShardBatcher<Item, Reply> {
  readonly #host: ShardBatcherHost<Item, Reply>
  readonly #maxInFlight: number
  readonly #together: Batcher<Item, Reply>
  /** The context of whoever made this, and not of the job that happens to add first. */
  readonly #outside = AsyncLocalStorage.snapshot()
  readonly #lanes = new Map<string, Lane<Item, Reply>>()
  /** Shards with late calls, and how many. */
  readonly #late = new Map<number, number>()

  constructor(host: ShardBatcherHost<Item, Reply>) {
    this.#host = host
    this.#maxInFlight = host.maxInFlight ?? callsMax
    this.#together = new Batcher(host.send, this.#maxInFlight)
  }

  /** Of items that name their shard. */
  static of<Item extends { readonly shard: number }, Reply>(
    engine: Pick<Engine, "serverOf">,
    pool: string,
    send: (items: ReadonlyArray<Item>) => Promise<ReadonlyArray<Reply>>,
  ): ShardBatcher<Item, Reply> {
    return new ShardBatcher({ engine: () => engine, pool, shardOf: (item) => item.shard, send })
  }

  add(item: Item): Promise<Reply> {
    const engine = this.#host.engine()
    if (engine?.serverOf === undefined) return this.#together.add(item)
    const shard = this.#host.shardOf(item)
    const lane = this.#laneOf(engine.serverOf(this.#host.pool, shard))
    return new Promise<Reply>((resolve, reject) => {
      const part = lane.waiting.get(shard)
      if (part === undefined) lane.waiting.set(shard, { shard, items: [item], waiters: [{ resolve, reject }] })
      else {
        part.items.push(item)
        part.waiters.push({ resolve, reject })
      }
      this.#schedule(lane)
    })
  }

  /** Shards that have not answered in time. */
  lateShards(): Iterable<number> {
    return this.#late.keys()
  }

  #laneOf(server: string): Lane<Item, Reply> {
    let lane = this.#lanes.get(server)
    if (lane === undefined) {
      lane = { waiting: new Map(), inFlight: 0, scheduled: false }
      this.#lanes.set(server, lane)
    }
    return lane
  }

  #schedule(lane: Lane<Item, Reply>): void {
    if (lane.scheduled || lane.inFlight >= this.#maxInFlight || lane.waiting.size === 0) return
    lane.scheduled = true
    this.#outside(setImmediate, () => this.#flush(lane))
  }

  #flush(lane: Lane<Item, Reply>): void {
    lane.scheduled = false
    const parts: Array<Part<Item, Reply>> = []
    for (const part of lane.waiting.values()) {
      if (this.#late.has(part.shard)) continue
      lane.waiting.delete(part.shard)
      parts.push(part)
    }
    if (parts.length === 0) return
    lane.inFlight++
    const unanswered = new Set(parts)
    let late = false
    const timer = setTimeout(() => {
      late = true
      for (const { shard } of unanswered) this.#late.set(shard, (this.#late.get(shard) ?? 0) + 1)
      lane.inFlight--
      this.#schedule(lane)
      this.#host.onLate?.()
    }, lateMs)
    for (const part of parts) {
      const answered = (): void => {
        unanswered.delete(part)
        if (late) this.#catchUp(part.shard)
        else if (unanswered.size === 0) {
          clearTimeout(timer)
          lane.inFlight--
          this.#schedule(lane)
        }
      }
      this.#host.send(part.items).then(
        (replies) => {
          answered()
          for (let i = 0; i < part.waiters.length; i++) {
            const reply = replies[i]
            if (reply instanceof Refused) part.waiters[i]?.reject(reply.error)
            else part.waiters[i]?.resolve(reply as Reply)
          }
        },
        (error: unknown) => {
          answered()
          for (const waiter of part.waiters) waiter.reject(error)
        },
      )
    }
  }

  #catchUp(shard: number): void {
    const left = (this.#late.get(shard) ?? 1) - 1
    if (left > 0) {
      this.#late.set(shard, left)
      return
    }
    this.#late.delete(shard)
    // Its slot may have moved to another server meanwhile.
    for (const lane of this.#lanes.values()) if (lane.waiting.has(shard)) this.#schedule(lane)
  }
}
