/**
 * What the end of a run means to others (X1).
 *
 * - A link is added to a live run by anybody, and counts once. The end of the run, by its owner or by a client, moves its links with the outcome
 *   to the outbox of its shard, in the same write.
 * - The shard's owner reads the outbox, does what the links say, in other shards too, and takes out what is done. Doing it twice must change
 *   nothing: the owner may die in between.
 * - Links are opaque text without control characters; two links of a run are the same if their texts are.
 * - A start that remembers its run id (`StartItem.remember`) counts once as long as that is kept, whatever became of the run and its address; `forbid`
 *   takes the id first, so that a start which is still on its way is refused.
 */
import type { Address, ShardOwner } from "./engine.ts"

export interface LinkItem {
  readonly shard: number
  readonly address: Address
  /** If given, the link is for this run only. */
  readonly run?: string
  readonly link: string
  /** Links that are not needed any more, and leave first. */
  readonly drop?: ReadonlyArray<string>
  /** Refused as `full` when the run has this many links. */
  readonly limit: number
  /** Refused as `full` when so many entries wait in the shard's outbox. */
  readonly outboxLimit: number
}
/** Judged in this order: `absent`, `replaced` (another run than `run`), `ended`, `linked` (also when it was before), `full`. */
export interface LinkReply {
  readonly status: "linked" | "absent" | "replaced" | "ended" | "full"
  /** The run that has the address, "" when absent. */
  readonly run: string
  /** Of an ended run. */
  readonly outcome: string | undefined
  /** Of a run that is refused because it has too many, all of them; else empty. */
  readonly links: ReadonlyArray<string>
}

export interface ForbidItem {
  readonly shard: number
  readonly run: string
  /** How long starts with this run id are refused, ms. */
  readonly retention: number
}

/** What is to be done because a run has ended. */
export interface OutboxEntry {
  readonly address: Address
  readonly run: string
  readonly link: string
  readonly outcome: string
}
export interface ForwardGroup extends ShardOwner {
  /** Entries that are done: they leave the outbox. */
  readonly sent: ReadonlyArray<Pick<OutboxEntry, "address" | "run" | "link">>
  /** At most so many of the rest are given. */
  readonly limit: number
}
export type ForwardReply =
  /** Some of what waits, drawn at random: an entry that cannot be sent never stands in the way of the others. */
  { readonly status: "forwarded"; readonly entries: ReadonlyArray<OutboxEntry> } | { readonly status: "stale" }

export interface LinkVerbs {
  /** Client verb. */
  link(pool: string, items: ReadonlyArray<LinkItem>): Promise<ReadonlyArray<LinkReply>>
  /** Client verb: `known` when a start with this run id came first. */
  forbid(pool: string, items: ReadonlyArray<ForbidItem>): Promise<ReadonlyArray<"forbidden" | "known">>
  /** Worker verb. */
  forward(pool: string, groups: ReadonlyArray<ForwardGroup>): Promise<ReadonlyArray<ForwardReply>>
}
