/**
 * The audit of a shard: who claimed it, who released it, and which stale writes were refused. A claim or a release writes its entry in its own
 * script or transaction, so that the audit is as exact as the header. Accepted takes and commits write none: they cost nothing.
 */
import type { ShardHeader } from "./engine.ts"

/** When an owner's writes were accepted, in store time, and how many. */
export interface WriteInterval {
  readonly count: number
  readonly first: number
  readonly last: number
}

export interface OwnerName {
  /** "": nobody. */
  readonly session: string
  readonly epoch: number
}

interface Entry extends OwnerName {
  /** 1, 2, 3 … within a shard, without gaps; the oldest leave. */
  readonly number: number
  /** Store time. */
  readonly at: number
}

export type AuditEntry =
  | (Entry & {
      readonly type: "claim"
      /** The header before. A session in it that is another one did not release the shard: this claim was a rescue. */
      readonly from: OwnerName
      /** Highest epoch that the claimant knew: above `from.epoch` when the store was emptied or rolled back. */
      readonly known: number
    })
  | (Entry & {
      readonly type: "release"
      /** What the owner says of its writes; undefined when it says nothing. */
      readonly writes: WriteInterval | undefined
    })
  /** `session` and `epoch` are of the write that was refused, `at` is when the first such came. */
  | (Entry & {
      readonly type: "refused"
      readonly verb: RefusedVerb
      /** Who owned the shard. */
      readonly header: OwnerName
      /** How many of the same verb, session and epoch came since the last claim or release, and when the last one did. */
      readonly count: number
      readonly last: number
      /** How many of further sessions and epochs came after `refusalsKept` entries, which are not told apart. */
      readonly others: number
    })

export type RefusedVerb = "take" | "commit" | "trim" | "release" | "forward"

/** Refusals between two claims or releases that get an entry of their own: a confused worker must not push the claims out of the audit. */
export const refusalsKept = 16

export interface AuditPage {
  /** The header at the time of the reading. */
  readonly header: ShardHeader
  readonly entries: ReadonlyArray<AuditEntry>
  /** There are later entries. */
  readonly more: boolean
}

export interface AuditVerbs {
  /** One page of each shard's audit: at most `limit` (and 200) entries with numbers above `after`, in order. */
  audit(
    pool: string,
    items: ReadonlyArray<{ readonly shard: number; readonly after: number; readonly limit: number }>,
  ): Promise<ReadonlyArray<AuditPage>>
}
