/** A run held in memory by its owner: its resource, its inbox, and at most one attempt (W5). */
import type { OwnedShard } from "../pool/consumer.ts"
import type { Present } from "./answers.ts"
import type { Attempt } from "./attempt.ts"
import type { Inbox } from "./inbox.ts"
import type { JobKind } from "./kind.ts"
import type { LazyAbort } from "./lazy-abort.ts"
import type { Uses } from "./shares.ts"

export interface Pass {
  /** What its handler has made of the state so far: nothing is committed yet. */
  readonly present: Present
  /** Made where there is none yet: to tell its handler something. */
  attempt(): Attempt
  /** Its handler leaves memory, if it only waits. */
  park(): void
}

export interface Resident {
  readonly shard: OwnedShard
  readonly address: string
  readonly kind: JobKind
  readonly key: string
  readonly run: string
  /** Revision of the last write or read; what comes with another one was written by somebody else. */
  revision: string
  /** Ends with residency: the resource's life, and what step bodies get. */
  readonly life: LazyAbort
  /** `uses`: what `open` used, until it is closed. */
  resource: { readonly value: unknown; readonly uses: Uses | undefined } | undefined
  /** What the handler uses of what its tenant shares, until it settles. */
  uses: Uses | undefined
  /** Known messages of the attempt under way. */
  inbox: Inbox | undefined
  attempt: Attempt | undefined
  /** The pass under way, while its handler runs. */
  source: Pass | undefined
  /** `attempt.moves` at the last look of the slow cycle, and `performance.now()` of the first look that found it so. */
  moves: number
  since: number
  /** The handler runs; its attempt may not have been needed yet. */
  handling: boolean
  /** It ran at the last look of the slow cycle. */
  lasts: boolean
  /** Settles when the attempt's handler has settled and its end is written (or refused). */
  executing: Promise<void> | undefined
  /** A later load came for the slot while it was taken: this shard is asked for the address again when it is free. */
  next: OwnedShard | undefined
  /** The run is ended or replaced: close it when the handler settles. */
  evicted: boolean
  /** Called when the slot is free. */
  onFree: (() => void) | undefined
  /** `performance.now()` of the last use, for the least recently used (maxResident). */
  used: number
}
