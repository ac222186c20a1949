/**
 * One shard while this session owns it: gives fences, revisions and commits to the consumer, and remembers what is to be taken.
 *
 * Its life: claimed → `closing` (abortSignal has fired, nothing is taken; commits still count) → `closed` (released or deposed; nothing counts).
 */
import type { WriteInterval } from "../engine/audit.ts"
import type { Address, CommitItem, CommitReply } from "../engine/engine.ts"
import { ShortLivedSet } from "../engine/short-lived.ts"
import { Deposed } from "../errors.ts"
import type { CommitBatch } from "./commits.ts"
import type { CommitSource, GiveUpReason, OwnedShard } from "./consumer.ts"

export interface RunnerHost {
  readonly session: string
  readonly trusted: () => boolean
  readonly confirmed: () => Promise<void> | undefined
  readonly storeNow: () => number
  readonly storeLatest: () => number
  readonly write: (runner: ShardRunner, source: CommitSource) => void
  /** The runner has something to take. */
  readonly need: (runner: ShardRunner) => void
  /** Its fences run out: the session claims the shard again, for a new epoch (O2). */
  readonly exhausted: (runner: ShardRunner) => void
}

/** O2: a fence is epoch × 2^22 + count. */
const fenceBits = 22n
const fencesMax = 2 ** 22
/** Claimed again early enough that the attempts until then have fences. */
const fencesSoft = fencesMax * 0.75

const reasons: Readonly<Record<GiveUpReason, string>> = {
  drain: "this worker drains",
  moved: "the shard was assigned to another worker",
  deposed: "this worker lost the shard: its lease ended, or the store refused its epoch",
}

export class ShardRunner implements OwnedShard {
  readonly shard: number
  readonly session: string
  readonly epoch: number
  readonly #host: RunnerHost
  readonly #base: bigint
  readonly #revisions: string
  readonly #controller = new AbortController()
  #fences = 0
  #count = 0
  #closed = false

  // --- what the taker and the sweep keep here ---
  /** Ready runs are expected. */
  ready = false
  /** Due runs are expected, or the next due time is unknown. */
  timers = true
  /** The last take left ready or due runs behind. */
  backlog = false
  readonly addresses = new ShortLivedSet<Address>()
  taking = false
  /** Takes so far: the sweep trusts a comparison only when none ran in between. */
  takes = 0
  /** Store time of the earliest timer known. */
  dueAt = Number.POSITIVE_INFINITY
  /** The same, of what was committed since the last take was sent: its answer does not know of these. */
  dueSince = Number.POSITIVE_INFINITY
  /** Who waits for the answer of a write: until that is here, the store may be ahead of the consumer. */
  readonly committing: Array<CommitSource> = []
  /** While a call is put together: its items of this shard. */
  batch: CommitBatch | undefined
  /** What its release tells the audit: accepted commits, in store time. */
  writes: WriteInterval | undefined
  /** Addresses that the last sweep found active but not executing, and executing but not active. */
  suspects: ReadonlySet<Address> = new Set()

  constructor(host: RunnerHost, shard: number, epoch: number) {
    this.#host = host
    this.shard = shard
    this.session = host.session
    this.epoch = epoch
    this.#base = BigInt(epoch) << fenceBits
    this.#revisions = `${epoch.toString(36)}.`
  }

  get abortSignal(): AbortSignal {
    return this.#controller.signal
  }

  get closing(): boolean {
    return this.#controller.signal.aborted
  }

  trusted(): boolean {
    return !this.#closed && this.#host.trusted()
  }

  confirmed(): Promise<void> | undefined {
    return this.#host.confirmed()
  }

  nextFence(): bigint {
    if (this.#fences >= fencesMax) throw this.deposed("all fences of its epoch are given")
    if (this.#fences === fencesSoft) this.#host.exhausted(this)
    return this.#base + BigInt(this.#fences++)
  }

  nextRevision(): string {
    return this.#revisions + (this.#count++).toString(36)
  }

  commit(item: CommitItem): Promise<CommitReply> {
    return new Promise((resolve, reject) => this.write({ address: item.address, item: () => item, committed: resolve, refused: reject }))
  }

  write(source: CommitSource): void {
    this.#host.write(this, source)
  }

  isCommitting(address: Address): boolean {
    return this.committing.some((source) => source.address === address)
  }

  /** It has its answer, or wants none. */
  forget(source: CommitSource): void {
    const { committing } = this
    const at = committing.indexOf(source)
    if (at === -1) return
    const last = committing.pop() as CommitSource
    if (at < committing.length) committing[at] = last
  }

  reload(addresses: ReadonlyArray<Address>): void {
    for (const address of addresses) this.addresses.add(address)
    this.#host.need(this)
  }

  now(): number {
    return this.#host.storeNow()
  }

  timeAfter(ms: number): number {
    return Math.ceil(this.#host.storeLatest() + ms)
  }

  deposed(why: string): Error {
    return new Deposed(
      `worker ${this.session} may not write to shard ${this.shard} with epoch ${this.epoch}: ${why}. The run goes on elsewhere, and this attempt ` +
        "ends here. If you see this often, look for event-loop stalls or an unreachable store.",
      { shard: this.shard, session: this.session, epoch: this.epoch },
    )
  }

  /** Fires the abortSignal: the shard is being given up. */
  abort(reason: GiveUpReason): void {
    if (!this.closing) this.#controller.abort(this.deposed(reasons[reason]))
  }

  /** Nothing counts any more. */
  close(): void {
    this.#closed = true
  }

  /** So many commits were accepted at this store time. Answers of calls that ran side by side may come in any order. */
  noteWrites(count: number, at: number): void {
    const { writes } = this
    this.writes =
      writes === undefined
        ? { count, first: at, last: at }
        : { count: writes.count + count, first: Math.min(writes.first, at), last: Math.max(writes.last, at) }
  }

  noteDue(at: number): void {
    if (at < this.dueAt) this.dueAt = at
    if (at < this.dueSince) this.dueSince = at
  }
}
