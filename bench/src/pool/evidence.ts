/**
 * The records of all processes of a pool, and what follows from them. Pure.
 *
 * - V1 A killed process ran until it was killed, whatever it could not tell any more.
 * - V2 A frozen process runs nothing, nor does one that the machine gave no time (its own notes tell).
 * - V4 A handler runs until its last line. But code of a process that stood still, and was aborted before it did any work again, ran until then:
 *   to hear of the abort and to settle is all it did since (`thawSettleMs` tells how long).
 * - V5 What a process was frozen in the middle of, it goes on with: nobody can abort a piece of code that has begun. It counts apart, as
 *   `frozenPieceMs`, where it began before the freeze. Any other work after the thaw is overlap, and everything behind it.
 * - V3 Of two accepted writes of a job, the one with the lower fence was not sent after the other was acknowledged.
 */
import { noRecords, type Interval, type Records, type Still, type Write } from "./records.ts"

export interface Told extends Records {
  readonly worker: string
  readonly diedAt: number
  /** What was done to it, and when. */
  readonly fates: ReadonlyArray<{ readonly what: "killed" | "frozen" | "drained"; readonly at: number }>
  /** Also those that its own notes tell. */
  readonly stills: ReadonlyArray<Still>
  readonly thawedAt: ReadonlyArray<number>
}

/** Two workers that ran user code of one job at the same time. */
export interface Overlap {
  readonly ms: number
  readonly text: string
}

interface Owned extends Interval {
  readonly worker: Told
}

export class Evidence {
  readonly #told = new Map<string, Told>()

  /** Adds what a worker told since it was last asked; what runs is replaced. */
  add(worker: string, news: Records): void {
    const before = this.#of(worker)
    this.#told.set(worker, {
      ...before,
      intervals: [...before.intervals.filter(({ to }) => to !== null), ...news.intervals],
      writes: [...before.writes, ...news.writes],
      closings: [...before.closings, ...news.closings],
      refused: before.refused + news.refused,
      stills: [...before.stills, ...news.stalls],
      troubles: [...before.troubles, ...news.troubles],
    })
  }

  died(worker: string, diedAt: number): void {
    this.#change(worker, { diedAt })
    this.#fate(worker, "killed", diedAt)
  }

  drained(worker: string, at: number): void {
    this.#fate(worker, "drained", at)
  }

  frozen(worker: string, freeze: Still): void {
    const { stills, thawedAt } = this.#of(worker)
    this.#change(worker, { stills: [...stills, freeze], thawedAt: [...thawedAt, freeze.to] })
    this.#fate(worker, "frozen", freeze.from)
  }

  #fate(worker: string, what: Told["fates"][number]["what"], at: number): void {
    this.#change(worker, { fates: [...this.#of(worker).fates, { what, at }] })
  }

  #change(worker: string, change: Partial<Told>): void {
    this.#told.set(worker, { ...this.#of(worker), ...change })
  }

  get all(): ReadonlyArray<Told> {
    return [...this.#told.values()]
  }

  #of(worker: string): Told {
    return this.#told.get(worker) ?? { ...noRecords, worker, diedAt: Number.POSITIVE_INFINITY, fates: [], stills: [], thawedAt: [] }
  }

  /** Keys whose handler runs there, as far as was told. */
  running(worker: string): ReadonlySet<string> {
    return new Set(
      this.#of(worker)
        .intervals.filter(({ to }) => to === null)
        .map(({ key }) => key),
    )
  }

  /** From `at` until the handlers of all these keys had begun on another worker. */
  takeoverMs(worker: string, keys: ReadonlySet<string>, at: number): number {
    const begun = this.#nextBegins(worker, at)
    let last = at
    for (const key of keys) last = Math.max(last, begun.get(key) ?? Number.POSITIVE_INFINITY)
    return last - at
  }

  /** Of each key whose resource the worker closed since `at`: from that end to the beginning of its handler elsewhere. */
  gapsMs(worker: string, at: number): ReadonlyArray<number> {
    const begun = this.#nextBegins(worker, at)
    return this.#of(worker)
      .closings.filter((closing) => closing.at >= at)
      .map((closing) => (begun.get(closing.key) ?? Number.POSITIVE_INFINITY) - closing.at)
  }

  #nextBegins(worker: string, at: number): ReadonlyMap<string, number> {
    const begun = new Map<string, number>()
    for (const told of this.#told.values()) {
      if (told.worker === worker) continue
      for (const { key, from } of told.intervals)
        if (from >= at && from < (begun.get(key) ?? Number.POSITIVE_INFINITY)) begun.set(key, from)
    }
    return begun
  }

  get #owned(): ReadonlyArray<Owned> {
    return this.all.flatMap((worker) => worker.intervals.map((interval): Owned => ({ ...interval, worker })))
  }

  /** The longest time for which user code of one job ran on two workers. */
  overlap(): Overlap {
    let longest: Overlap = { ms: 0, text: "none" }
    for (const own of Map.groupBy(this.#owned, ({ key }) => key).values()) {
      own.sort((a, b) => a.from - b.from)
      let earlier: Array<Owned> = []
      for (const next of own) {
        earlier = earlier.filter((one) => endOf(one) > next.from)
        for (const one of earlier) {
          const ms = one.worker === next.worker ? 0 : sharedMs(one, next)
          if (ms > longest.ms) longest = { ms, text: describe(one, next) }
        }
        earlier.push(next)
      }
    }
    return longest
  }

  /** From each thaw until the last handler that it found has settled: the longest. */
  thawSettleMs(): number {
    const waits = this.#owned.flatMap((one) =>
      one.worker.thawedAt.filter((at) => one.from < at && at < endOf(one) && one.to !== null).map((at) => endOf(one) - at),
    )
    return Math.max(0, ...waits)
  }

  /** V5: for how long the longest of them went on after the thaw. */
  frozenPieceMs(): number {
    const pieces = this.#owned.flatMap((one) => {
      const still = lastStill(one)
      return still !== undefined && isPiece(one, still) ? [one.worked - still.to] : []
    })
    return Math.max(0, ...pieces)
  }

  /** Accepted writes that contradict V3. */
  overlapWrites(): number {
    const writes = this.all.flatMap((told) => told.writes)
    let count = 0
    for (const own of Map.groupBy(writes, ({ key }) => key).values()) count += disordered(own)
    return count
  }
}

const endOf = ({ to, worker }: Owned): number => to ?? worker.diedAt

/** The last time that its process stood still while it ran. */
const lastStill = (one: Owned): Still | undefined => {
  let last: Still | undefined
  for (const still of one.worker.stills)
    if (still.from > one.from && still.from < endOf(one) && (last === undefined || still.to > last.to)) last = still
  return last
}

/** V5. */
const isPiece = ({ begun, worked }: Owned, still: Still): boolean => begun <= still.from && worked >= still.to

/** When its user code ended (V4, V5). */
const stopOf = (one: Owned): number => {
  const still = lastStill(one)
  if (still === undefined || (one.worked >= still.to && !isPiece(one, still))) return endOf(one)
  return still.from
}

/** How long both ran: without the time for which the earlier process stood still meanwhile. */
const sharedMs = (one: Owned, next: Owned): number => {
  const until = Math.min(stopOf(one), endOf(next))
  // a freeze and what the process itself notes of it are the same time: it counts once
  let [ran, at] = [0, next.from]
  for (const { from, to } of one.worker.stills.toSorted((a, b) => a.from - b.from)) {
    ran += Math.max(0, Math.min(from, until) - at)
    at = Math.max(at, to)
  }
  return ran + Math.max(0, until - at)
}

const describe = (one: Owned, next: Owned): string => {
  const fate = one.worker.fates.findLast(({ at }) => at <= next.from)
  const after = fate === undefined ? "" : `, ${fate.what} ${(next.from - fate.at).toFixed(0)} ms before the other began`
  return `${one.key} on ${one.worker.worker}${after}, beside ${next.worker.worker}`
}

const disordered = (writes: ReadonlyArray<Write>): number => {
  const bySent = writes.toSorted((a, b) => a.sent - b.sent)
  const byAcknowledged = writes.toSorted((a, b) => a.acknowledged - b.acknowledged)
  let [highest, next, count] = ["", 0, 0]
  for (const write of bySent) {
    for (let done = byAcknowledged[next]; done !== undefined && done.acknowledged <= write.sent; done = byAcknowledged[++next])
      if (done.fence > highest) highest = done.fence
    if (write.fence < highest) count++
  }
  return count
}
