/**
 * The records of all processes of a pool, and what follows from them. Pure.
 *
 * - V1 A killed process ran until it was killed, whatever it could not tell any more.
 * - V2 A frozen process runs nothing, nor does one that the machine gave no time (its ticks tell). After it was thawed, user code counts that worked again before it was aborted; the abort itself does not.
 * - V3 Of two accepted writes of a job, the one with the lower fence was not sent after the other was acknowledged.
 */
import { noRecords, type Interval, type Records, type Still, type Write } from "./records.ts"

export interface Told extends Records {
  readonly worker: string
  readonly diedAt: number
  readonly freezes: ReadonlyArray<Still>
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
      freezes: [...before.freezes, ...news.stalls],
      troubles: [...before.troubles, ...news.troubles],
    })
  }

  died(worker: string, diedAt: number): void {
    this.#told.set(worker, { ...this.#of(worker), diedAt })
  }

  frozen(worker: string, freeze: Still): void {
    const before = this.#of(worker)
    this.#told.set(worker, { ...before, freezes: [...before.freezes, freeze] })
  }

  get all(): ReadonlyArray<Told> {
    return [...this.#told.values()]
  }

  #of(worker: string): Told {
    return this.#told.get(worker) ?? { ...noRecords, worker, diedAt: Number.POSITIVE_INFINITY, freezes: [] }
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

  /** The longest time for which user code of one job ran on two workers. */
  overlapMs(): number {
    const intervals = this.all.flatMap((worker) => worker.intervals.map((interval): Owned => ({ ...interval, worker })))
    let longest = 0
    for (const own of Map.groupBy(intervals, ({ key }) => key).values()) {
      own.sort((a, b) => a.from - b.from)
      let earlier: Array<Owned> = []
      for (const next of own) {
        earlier = earlier.filter((one) => endOf(one) > next.from)
        for (const one of earlier) if (one.worker !== next.worker) longest = Math.max(longest, sharedMs(one, next))
        earlier.push(next)
      }
    }
    return longest
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

/** How long both ran; where the earlier process stood still meanwhile, without that time, and then only until its user code last worked (V2). */
const sharedMs = (one: Owned, next: Owned): number => {
  const end = Math.min(endOf(one), endOf(next))
  const still = one.worker.freezes.filter(({ from, to }) => from < end && to > next.from)
  if (still.length === 0) return end - next.from
  const last = Math.max(...still.map(({ to }) => to))
  const until = Math.min(end, Math.max(one.worked, last))
  // a freeze and the late tick after it are the same time: it counts once
  let [ran, at] = [0, next.from]
  for (const { from, to } of still.toSorted((a, b) => a.from - b.from)) {
    ran += Math.max(0, Math.min(from, until) - at)
    at = Math.max(at, to)
  }
  return ran + Math.max(0, until - at)
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
