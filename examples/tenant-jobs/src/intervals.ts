/** When which worker ran whose handler: intervals from a worker's own records, and what can be read from them. Pure. */
import type { Handler, Timed, WorkerRecord } from "./records.ts"

export interface Interval {
  readonly worker: string
  readonly tenant: string
  readonly handler: Handler
  readonly begin: bigint
  /** `forever` when the end is not known. */
  readonly end: bigint
  readonly label: string | undefined
}

export interface Overlap {
  readonly tenant: string
  readonly first: Interval
  readonly second: Interval
  readonly ms: number
}

const forever = 1n << 62n

/** Intervals of one worker, in the order of their begin. One without an end ends at `death`: the process ran no more then. */
export const intervalsOf = (worker: string, records: ReadonlyArray<Timed<WorkerRecord>>, death: bigint = forever): Interval[] => {
  const ends = new Map<number, bigint>()
  for (const record of records) if (record.type === "end") ends.set(record.id, BigInt(record.t))
  return records.flatMap((record) =>
    record.type === "begin"
      ? [
          {
            worker,
            tenant: record.tenant,
            handler: record.handler,
            begin: BigInt(record.t),
            end: ends.get(record.id) ?? death,
            label: record.label,
          },
        ]
      : [],
  )
}

const byBegin = (a: Interval, b: Interval): number => (a.begin < b.begin ? -1 : a.begin > b.begin ? 1 : 0)

/** All pairs of intervals of one tenant on two workers that share a moment. */
export const overlapsOf = (intervals: ReadonlyArray<Interval>): Overlap[] => {
  const overlaps: Overlap[] = []
  for (const [tenant, own] of Map.groupBy(intervals, ({ tenant }) => tenant)) {
    let open: Interval[] = []
    for (const second of own.toSorted(byBegin)) {
      open = open.filter(({ end }) => end > second.begin)
      for (const first of open) {
        if (first.worker === second.worker) continue
        const end = first.end < second.end ? first.end : second.end
        overlaps.push({ tenant, first, second, ms: Number(end - second.begin) / 1e6 })
      }
      open.push(second)
    }
  }
  return overlaps
}

export interface Moved {
  readonly tenant: string
  /** The interval that ended last on the worker that was left. */
  readonly last: Interval
  /** The first `run` on another worker after `at`; undefined if there is none. */
  readonly next: Interval | undefined
}

/**
 * The tenants whose last `run` or `open` that began before `at` began on `worker`, with how they went on elsewhere; without those whose
 * job was stopped before it could.
 */
export const elsewhere = (worker: string, at: bigint, intervals: ReadonlyArray<Interval>, gone: ReadonlyMap<string, bigint>): Moved[] =>
  [...Map.groupBy(intervals, ({ tenant }) => tenant)].flatMap(([tenant, own]) => {
    const ordered = own.toSorted(byBegin)
    const before = ordered.findLast(({ handler, begin }) => begin < at && (handler === "run" || handler === "open"))
    if (before?.worker !== worker) return []
    const next = ordered.find((interval) => interval.worker !== worker && interval.handler === "run" && interval.begin > at)
    if (next === undefined && gone.has(tenant)) return []
    const there = ordered.filter((interval) => interval.worker === worker && (next === undefined || interval.begin < next.begin))
    return [{ tenant, last: there.reduce((a, b) => (b.end > a.end ? b : a)), next }]
  })
