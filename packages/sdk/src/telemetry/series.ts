/** Series of Effect's registry whose numbers are read when somebody collects. */
import type { Metric } from "effect"
import { topOf } from "./histogram.ts"
import type { Sum } from "./measured.ts"

/** Upper bounds, ms. Counts below a power of two are exact (H2). */
export const bounds: ReadonlyArray<number> = Array.from({ length: 18 }, (_, power) => 2 ** power)

/** What cannot be changed from outside. */
export const readOnly = <State>(
  get: () => State,
): { readonly get: () => State; readonly update: () => undefined; readonly modify: () => undefined } => ({
  get,
  update: () => undefined,
  modify: () => undefined,
})

export const histogramOf = ({ counts, sum }: Sum): Metric.HistogramState => {
  const used = [...counts].map((count, bucket) => ({ count, top: topOf(bucket) })).filter(({ count }) => count > 0)
  const below = (bound: number): number => used.reduce((all, { count, top }) => (top < bound ? all + count : all), 0)
  return {
    buckets: bounds.map((bound): [number, number] => [bound, below(bound)]),
    count: below(Number.POSITIVE_INFINITY),
    min: used[0]?.top ?? 0,
    max: used.at(-1)?.top ?? 0,
    sum,
  }
}
