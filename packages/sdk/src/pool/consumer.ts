/**
 * The seam between the pool and what runs on it. The durable runtime and the low-level `Pool` are both consumers: the pool decides which
 * shards this session owns and brings their runs; the consumer runs them and commits.
 */
import type { Address, CommitItem, CommitReply, LoadedRun, Message } from "../engine/engine.ts"
import type { Use } from "../telemetry/measured.ts"

/** Who writes. */
export interface CommitSource {
  readonly address: Address
  /** What to write now; `undefined`: nothing any more, and nothing will be answered. */
  item(): CommitItem | undefined
  /** As `commit` resolves. */
  committed(reply: CommitReply): void
  /** As `commit` rejects. */
  refused(error: unknown): void
}

/** One shard while this session owns it; a new object for each epoch. */
export interface OwnedShard {
  readonly shard: number
  readonly session: string
  readonly epoch: number
  /** Fires when the shard must be given up (drain, move, end of trust); its reason is a tagged error (`Deposed` …). */
  readonly abortSignal: AbortSignal
  /** False once trust ended or the store refused this epoch: nothing may be written, no user code may begin (S5). */
  trusted(): boolean
  /**
   * Asked before user code begins or goes on: `undefined`, or what it waits for, because this machine was suspended and nobody knows for how long
   * (S6). Then it goes on if `trusted`.
   */
  confirmed(): Promise<void> | undefined
  /** `epoch × 2^22 + n`: a new one for each attempt (O2). */
  nextFence(): bigint
  /** A revision never used before: `epoch.n` in base 36. */
  nextRevision(): string
  /**
   * Commits one item. Items of one event-loop turn, over all shards, travel in one call. Rejects with `Deposed` when the shard is stale;
   * `conflict` and `poisoned` are answers: the consumer drops the run, then asks for it with `reload`.
   */
  commit(item: CommitItem): Promise<CommitReply>
  /** The same for who is called back, and gives its item when the call is made. It waits for one answer at a time. */
  write(source: CommitSource): void
  /** Asks for active runs again (a gap in message numbers, a conflict): they come through `onRuns`. */
  reload(addresses: ReadonlyArray<Address>): void
  /** The store's clock, or a little less: for judging why a run woke, and for waits in this process; what is due in the store, the store decides. */
  now(): number
  /** A whole store time that is so many ms from now, or a little more: when `now` says so, no less has passed. */
  timeAfter(ms: number): number
}

export type GiveUpReason = "drain" | "moved" | "deposed"

export interface ShardConsumer {
  /** Runs brought by a take, a claim or a reload. The same run may come again: compare run and revision with what is resident (W1, W5). */
  onRuns(shard: OwnedShard, runs: ReadonlyArray<LoadedRun>): void
  /** A message for an active run, from a hint: apply it only if its number is the next, else `reload` (W4). */
  onMessage(shard: OwnedShard, address: Address, run: string, message: Message): void
  /** A run was ended by a client. */
  onTerminated(shard: OwnedShard, address: Address, run: string): void
  /** Runs that have links ended, and the shard's outbox holds what that means to others (X1). */
  onOutbox?(shard: OwnedShard): void
  /** A query or another volatile request sent to the owner of the shard. */
  onRequest(shard: OwnedShard, text: string): void
  /** Addresses of the shard that are executing here now (taken and not yet committed away). The sweep reloads what is active and not among them. */
  executing(shard: OwnedShard): ReadonlySet<Address>
  /** How many more runs the consumer wants now; 0 stops takes until `wantMore` is called on the member. */
  capacity(): number
  /** How much of it is in use: for statistics. */
  use(): Use
  /**
   * The shard is given up: `abortSignal` has fired. Resolves when all its handlers have settled and its resources are closed; the pool releases
   * the shard then (A5). At the deadline the pool goes on without it and reports what did not settle.
   */
  giveUp(shard: OwnedShard, reason: GiveUpReason): Promise<void>
}
