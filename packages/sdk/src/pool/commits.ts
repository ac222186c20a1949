/**
 * Commits of all owned shards, coalesced per event-loop turn into one call (B1). A call whose outcome is unknown is repeated while trust
 * lasts: the store then gives the first answer (O3).
 */
import { Batcher, Refused } from "../engine/batcher.ts"
import type { CommitGroup, CommitItem, CommitReply, Engine } from "../engine/engine.ts"
import { StoreUnavailable } from "../errors.ts"
import type { ShardRunner } from "./shard-runner.ts"
import type { WorkerStats } from "./stats/worker-stats.ts"

export interface CommitsHost {
  readonly engine: Engine
  readonly pool: string
  readonly stats: WorkerStats
  readonly setStoreNow: (now: number) => void
  readonly onStale: (runner: ShardRunner) => void
  /** A committed run is ready again. */
  readonly onReady: (runner: ShardRunner) => void
  /** A timer was set. */
  readonly onDue: (runner: ShardRunner) => void
}

interface Entry {
  readonly runner: ShardRunner
  readonly item: CommitItem
}
type Outcome = CommitReply | Refused

/** Calls under way at once: the next batch gathers and travels while the store works on the last one. */
const callsMax = 4
const retryMs = 50

export class CommitSender {
  readonly #host: CommitsHost
  readonly #batcher: Batcher<Entry, CommitReply>

  constructor(host: CommitsHost) {
    this.#host = host
    this.#batcher = new Batcher((entries) => this.#flush(entries), callsMax)
  }

  send(runner: ShardRunner, item: CommitItem): Promise<CommitReply> {
    if (!runner.trusted()) return Promise.reject(runner.deposed("trust in its lease is over"))
    runner.committing.add(item.address)
    return this.#batcher.add({ runner, item })
  }

  async #flush(entries: ReadonlyArray<Entry>): Promise<ReadonlyArray<CommitReply | Refused>> {
    const outcomes = await this.#call(entries)
    for (let i = 0; i < entries.length; i++) {
      const { runner, item } = entries[i] as Entry
      runner.committing.delete(item.address)
      if (isStale(outcomes[i])) outcomes[i] = new Refused(runner.deposed("another owner has a newer epoch"))
    }
    return outcomes
  }

  async #call(entries: ReadonlyArray<Entry>): Promise<Array<Outcome>> {
    const outcomes: Array<Outcome> = []
    const byRunner = new Map<ShardRunner, Array<number>>()
    for (let i = 0; i < entries.length; i++) {
      const runner = entries[i]?.runner
      if (runner === undefined) continue
      const indices = byRunner.get(runner)
      if (indices === undefined) byRunner.set(runner, [i])
      else indices.push(i)
    }
    while (byRunner.size > 0) {
      const groups: Array<CommitGroup> = []
      for (const [runner, indices] of byRunner) {
        if (runner.trusted()) {
          const { shard, session, epoch } = runner
          groups.push({ shard, session, epoch, items: indices.map((i) => (entries[i] as Entry).item) })
          continue
        }
        const error = runner.deposed("trust in its lease is over")
        for (const i of indices) outcomes[i] = new Refused(error)
        byRunner.delete(runner)
      }
      if (groups.length === 0) break
      try {
        const sentAt = performance.now()
        const replies = await this.#host.engine.commit(this.#host.pool, groups)
        this.#host.stats.wrote(replies, performance.now() - sentAt)
        let g = 0
        for (const [runner, indices] of byRunner) this.#settle(runner, indices, entries, replies[g++] ?? [], outcomes)
        break
      } catch (error) {
        if (StoreUnavailable.is(error)) await new Promise((resolve) => setTimeout(resolve, retryMs))
        else {
          for (const indices of byRunner.values()) for (const i of indices) outcomes[i] = new Refused(error)
          break
        }
      }
    }
    return outcomes
  }

  #settle(
    runner: ShardRunner,
    indices: ReadonlyArray<number>,
    entries: ReadonlyArray<Entry>,
    replies: ReadonlyArray<CommitReply>,
    outcomes: Array<Outcome>,
  ): void {
    let stale = false
    let ready = false
    let due = false
    let accepted = 0
    let at = 0
    for (let k = 0; k < indices.length; k++) {
      const i = indices[k] as number
      const reply = replies[k] as CommitReply
      outcomes[i] = reply
      if (reply.status === "stale") stale = true
      if (reply.status !== "ok") continue
      if (k === 0) this.#host.setStoreNow(reply.now)
      accepted++
      at = reply.now
      const { next } = (entries[i] as Entry).item
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
  }
}

const isStale = (outcome: Outcome | undefined): boolean => !(outcome instanceof Refused) && outcome?.status === "stale"
