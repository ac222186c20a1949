/**
 * How many workers a group should have, as a pure function of (what it said before, what is measured now). No clock, no I/O.
 *
 * - R1 The answer is from `minWorkers` to `maxWorkers`, whatever is measured.
 * - R2 It is at least 1 while anything waits or runs, unless `maxWorkers` is 0. With `minWorkers` 0, a group that does nothing needs none.
 * - R3 Up at once: a queueing delay above its target, or a utilisation clearly above its own, asks for more than there are, at most twice as
 *   many. A queue that empties within the target delay at the pace at which it shrinks asks for nothing: age alone tells of a burst until
 *   the last of it is taken.
 * - R4 Down slowly: fewer only when all readings of `scaleDownMs`, with the same number of workers, asked for fewer; then as many as the most
 *   that one of them asked for, and at least half of what there is, rounded down.
 * - R5 Stable: while the delay is within its target, and the utilisation within a tenth of its own, the answer is the present number.
 * - R6 More delay, or more utilisation, never makes it less.
 * - R7 At rest: fewer workers with the same work are not above the target utilisation, so that what was taken away is not asked for again.
 * - R8 What is not known is no sign of rest: while some shards did not answer it is not fewer than there are, and such a reading counts as one
 *   that asked for no fewer.
 */

export interface GroupLoad {
  /** Store time, ms. */
  readonly at: number
  readonly workers: number
  /** Runs that wait. */
  readonly ready: number
  readonly running: number
  /** Age of the run that waits longest, ms. */
  readonly delayMs: number
  /** 0 … 1. */
  readonly utilisation: number
  /** Some shards did not answer: what waits and runs there is not in it. */
  readonly partial?: boolean
}

export interface Targets {
  readonly targetDelayMs: number
  readonly targetUtilisation: number
  readonly minWorkers: number
  readonly maxWorkers: number
  readonly scaleDownMs: number
}

/** What is remembered between two readings. */
export interface Advice {
  readonly recommended: number
  readonly at: number
  readonly ready: number
  readonly workers: number
  /** Since when all readings ask for fewer; undefined: the last one did not. */
  readonly lowSince: number | undefined
  /** The most that one of these asked for. */
  readonly peak: number
}

const tolerance = 0.1
/** Ceilings of products that are whole but for rounding. */
const epsilon = 1e-9
const stepMax = 2

export const recommend = (before: Advice | undefined, load: GroupLoad, targets: Targets): Advice => {
  const { at, workers, ready } = load
  const floor = Math.max(targets.minWorkers, ready > 0 || load.running > 0 ? 1 : 0)
  const bounded = (count: number): number => Math.min(targets.maxWorkers, Math.max(floor, count))
  const asked = want(before, load, targets)
  const wanted = load.partial === true ? Math.max(asked, workers) : asked
  const answer = (count: number, lowSince: number | undefined, peak: number): Advice => {
    return { recommended: bounded(count), at, ready, workers, lowSince, peak }
  }
  if (wanted >= workers) return answer(wanted, undefined, 0)
  const goesOn = before?.lowSince !== undefined && before.workers === workers
  const lowSince = goesOn ? (before.lowSince ?? at) : at
  const peak = goesOn ? Math.max(before.peak, wanted) : wanted
  if (at - lowSince < targets.scaleDownMs) return answer(workers, lowSince, peak)
  return answer(Math.max(peak, Math.floor(workers / stepMax)), lowSince, peak)
}

/** What this reading alone asks for. */
const want = (before: Advice | undefined, load: GroupLoad, targets: Targets): number => {
  const { workers, ready, running, delayMs, utilisation } = load
  if (workers === 0) return 0
  const use = utilisation / targets.targetUtilisation
  if (ready === 0 && running === 0 && use < tolerance) return 0
  const byUse = Math.abs(use - 1) <= tolerance + epsilon ? workers : Math.ceil(workers * Math.min(use, stepMax) - epsilon)
  if (delayMs <= targets.targetDelayMs) return byUse
  if (clears(before, load, targets)) return Math.max(byUse, workers)
  const byDelay = Math.ceil(workers * Math.min(delayMs / targets.targetDelayMs, stepMax) - epsilon)
  return Math.max(byUse, byDelay, workers + 1)
}

/** R3: at this pace, or that of fewer workers, the queue is empty within the target delay. */
const clears = (before: Advice | undefined, { at, workers, ready, partial }: GroupLoad, { targetDelayMs }: Targets): boolean => {
  if (before === undefined || partial === true || workers < before.workers || at <= before.at) return false
  const shrunk = before.ready - ready
  return shrunk > 0 && (ready / shrunk) * (at - before.at) <= targetDelayMs
}
