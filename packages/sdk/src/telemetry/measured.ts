/** What a worker counts, as the metrics read it. */
import { bucketOf, emptyHistogram, type Histogram } from "./histogram.ts"

/** How much of a consumer is in use. */
export interface Use {
  /** Runs that execute here. */
  readonly running: number
  /** How many may at the same time. */
  readonly capacity: number
}

/** What waits for a worker. */
export interface Waiting {
  readonly ready: number
  /** Age of the run that waits longest. */
  readonly delayMs: number
  /** Shards of which that is old: the store did not answer for them. */
  readonly unanswered: number
}

/** Durations, ms. */
export interface Sum {
  readonly counts: Histogram
  readonly sum: number
}

/** A worker, as far as it is measured. */
export interface Measured {
  readonly tally: Tally
  readonly storeCalls: Sum
  readonly handOvers: Sum
  delays(): Sum
  waiting(): Waiting
  use(): Use & { readonly utilisation: number }
}

/** What grows for ever. */
export class Tally {
  /** Runs whose handler began, after they were started, woken or due. */
  begun = 0
  /** Runs that this worker ended. */
  ended = 0
  /** Attempts that failed. */
  failed = 0
  takes = 0
  commits = 0
  /** Runs that were written by a commit. */
  committed = 0
  /** Writes and takes that the store refused, because the shard, or the run, was another's by then. */
  refused = 0
  /** Shards claimed, from whomever. */
  claims = 0
  /** Of these, from a session that died. */
  rescues = 0
  releases = 0
  deposed = 0
}

export const tallyNames = Object.keys(new Tally()) as ReadonlyArray<keyof Tally>

/** Milliseconds, counted since the worker began. */
export class Durations implements Sum {
  readonly counts: Histogram = emptyHistogram()
  sum = 0

  add(ms: number): void {
    this.sum += ms
    const bucket = bucketOf(ms)
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1
  }
}
