/**
 * Commits of all owned shards, coalesced per event-loop turn into one call (B1), on a cluster into one for each shard. A call whose outcome is
 * unknown is repeated while trust lasts: the store then gives the first answer (O3).
 *
 * The hottest path of a worker: who writes is called back, and asked for its item when the call is made, so that a write costs neither a promise nor
 * a closure, and what came meanwhile travels with it.
 */
import { Gathering } from "../engine/batcher.ts"
import type { CommitGroup, CommitItem, CommitReply, Engine } from "../engine/engine.ts"
import { ShardBatcher } from "../engine/shard-batcher.ts"
import { StoreUnavailable } from "../errors.ts"
import type { CommitSource } from "./consumer.ts"
import type { ShardRunner } from "./shard-runner.ts"
import type { WorkerStats } from "./stats/worker-stats.ts"

export interface CommitsHost {
  readonly engine: Engine
  readonly pool: string
  readonly stats: WorkerStats
  /** An answer told the store's time, so many ms after its call. */
  readonly setStoreNow: (now: number, tookMs: number) => void
  readonly onStale: (runner: ShardRunner) => void
  /** A committed run is ready again. */
  readonly onReady: (runner: ShardRunner) => void
  /** A timer was set. */
  readonly onDue: (runner: ShardRunner) => void
  /** A source or a listener failed: a bug of ours, which must not keep others from their answers. */
  readonly onFault: (error: unknown) => void
  /** Commits of some shards are not answered in time. */
  readonly onLate: () => void
}

/** Items of one shard in one call, and who waits for their answers. */
export class CommitBatch {
  readonly runner: ShardRunner
  readonly items: Array<CommitItem> = []
  readonly sources: Array<CommitSource> = []
  /** Plain data: an engine may send it to a thread of its own. */
  readonly group: CommitGroup

  constructor(runner: ShardRunner) {
    const { shard, session, epoch } = runner
    this.runner = runner
    this.group = { shard, session, epoch, items: this.items }
  }
}

interface Waiting {
  readonly runner: ShardRunner
  readonly source: CommitSource
}

const retryMs = 50

/** Store time of a call, if it accepted anything. */
const timeOf = (replies: ReadonlyArray<ReadonlyArray<CommitReply>>): number | undefined => {
  for (const group of replies) for (const reply of group) if (reply.status === "ok") return reply.now
  return undefined
}

export class CommitSender {
  readonly #host: CommitsHost
  /** Where calls do not span shards. */
  readonly #apart: ShardBatcher<Waiting, undefined> | undefined
  readonly #together: Gathering<Waiting>

  constructor(host: CommitsHost) {
    this.#host = host
    const { engine, pool } = host
    this.#together = new Gathering((waiting) => this.#write(waiting).catch(host.onFault))
    if (engine.serverOf === undefined) return
    this.#apart = new ShardBatcher({
      engine: () => engine,
      pool,
      shardOf: ({ runner }) => runner.shard,
      send: async (waiting) => {
        await this.#write(waiting)
        return waiting.map(() => undefined)
      },
      onLate: host.onLate,
    })
  }

  /** Shards whose runs wait for a commit that is not answered in time. */
  lateShards(): Iterable<number> {
    return this.#apart?.lateShards() ?? []
  }

  send(runner: ShardRunner, source: CommitSource): void {
    if (!runner.trusted()) return queueMicrotask(() => source.refused(runner.deposed("trust in its lease is over")))
    runner.committing.push(source)
    if (this.#apart !== undefined) return void this.#apart.add({ runner, source }).catch(this.#host.onFault)
    this.#together.add({ runner, source })
  }

  async #write(waiting: ReadonlyArray<Waiting>): Promise<void> {
    const batches = this.#gather(waiting)
    if (batches.length > 0) await this.#call(batches)
  }

  #gather(waiting: ReadonlyArray<Waiting>): Array<CommitBatch> {
    const batches: Array<CommitBatch> = []
    for (let i = 0; i < waiting.length; i++) {
      const { runner, source } = waiting[i] as Waiting
      const item = this.#itemOf(source)
      if (item === undefined) {
        runner.forget(source)
        continue
      }
      // the runner knows its batch while one is put together: no table to look it up
      if (runner.batch === undefined) batches.push((runner.batch = new CommitBatch(runner)))
      runner.batch.items.push(item)
      runner.batch.sources.push(source)
    }
    for (const { runner } of batches) runner.batch = undefined
    return batches
  }

  #itemOf(source: CommitSource): CommitItem | undefined {
    try {
      return source.item()
    } catch (error) {
      source.refused(error)
      return undefined
    }
  }

  async #call(given: Array<CommitBatch>): Promise<void> {
    for (let batches = given; ;) {
      const trusted = batches.filter(({ runner }) => runner.trusted())
      if (trusted.length < batches.length) {
        for (const batch of batches) if (!trusted.includes(batch)) this.#refuse(batch, batch.runner.deposed("trust in its lease is over"))
      }
      batches = trusted
      if (batches.length === 0) return
      let replies: ReadonlyArray<ReadonlyArray<CommitReply>>
      try {
        const sentAt = performance.now()
        const groups = batches.map(({ group }) => group)
        replies = await this.#host.engine.commit(this.#host.pool, groups)
        const tookMs = performance.now() - sentAt
        this.#host.stats.wrote(replies, tookMs)
        const now = timeOf(replies)
        if (now !== undefined) this.#host.setStoreNow(now, tookMs)
      } catch (error) {
        if (!StoreUnavailable.is(error)) {
          for (const batch of batches) this.#refuse(batch, error)
          return
        }
        await new Promise((resolve) => setTimeout(resolve, retryMs))
        continue
      }
      for (let i = 0; i < batches.length; i++) this.#settle(batches[i] as CommitBatch, replies[i] as ReadonlyArray<CommitReply>)
      return
    }
  }

  #refuse({ runner, sources }: CommitBatch, error: unknown): void {
    for (const source of sources) {
      runner.forget(source)
      this.#tell(source, undefined, error)
    }
  }

  #settle({ runner, items, sources }: CommitBatch, replies: ReadonlyArray<CommitReply>): void {
    let stale = false
    let ready = false
    let due = false
    let accepted = 0
    let at = 0
    for (let k = 0; k < items.length; k++) {
      const reply = replies[k] as CommitReply
      runner.forget(sources[k] as CommitSource)
      if (reply.status === "stale") stale = true
      if (reply.status !== "ok") continue
      accepted++
      at = reply.now
      const { next } = items[k] as CommitItem
      // The owner gets no hint of its own writes.
      if (reply.phase === "ready") ready = true
      else if (next.phase === "parked" && next.due !== undefined) {
        runner.noteDue("at" in next.due ? next.due.at : reply.now + next.due.after)
        due = true
      }
    }
    if (accepted > 0) runner.noteWrites(accepted, at)
    if (stale) this.#host.onStale(runner)
    if (ready) this.#host.onReady(runner)
    if (due) this.#host.onDue(runner)
    const error = stale ? runner.deposed("another owner has a newer epoch") : undefined
    for (let k = 0; k < items.length; k++) {
      const reply = replies[k] as CommitReply
      this.#tell(sources[k] as CommitSource, reply.status === "stale" ? undefined : reply, error)
    }
  }

  #tell(source: CommitSource, reply: CommitReply | undefined, error?: unknown): void {
    try {
      if (reply === undefined) source.refused(error)
      else source.committed(reply)
    } catch (fault) {
      this.#host.onFault(fault)
    }
  }
}
