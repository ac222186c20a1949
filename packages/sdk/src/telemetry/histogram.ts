/**
 * A histogram of milliseconds in buckets that grow with the value: bounded in size, quick to count into, and exact enough for quantiles.
 *
 * - H1 A value of less than 16 ms has a bucket of its own; above, each power of two has eight, so that no bucket is wider than an eighth of
 *   its values.
 * - H2 Powers of two are bounds of buckets: counts of what is less than one of them are exact.
 * - H3 A quantile is the largest value of its bucket: never less than the true one, and at most an eighth more. Nothing counted: 0.
 */

/** Up to 2^31 ms, 24 days; what waited longer counts as that. */
export const bucketCount = 232
const exactBelow = 16
const maxMs = 2 ** 31 - 1

export type Histogram = Uint32Array

export const emptyHistogram = (): Histogram => new Uint32Array(bucketCount)

export const bucketOf = (ms: number): number => {
  // whole and positive; NaN too becomes 0
  const value = ms < maxMs ? (ms > 0 ? ms | 0 : 0) : ms >= maxMs ? maxMs : 0
  if (value < exactBelow) return value
  const power = 31 - Math.clz32(value)
  return exactBelow + (power - 4) * 8 + ((value >>> (power - 3)) & 7)
}

/** Largest whole value of a bucket. */
export const topOf = (bucket: number): number => {
  if (bucket < exactBelow) return bucket
  const power = 4 + ((bucket - exactBelow) >> 3)
  return (9 + ((bucket - exactBelow) & 7)) * 2 ** (power - 3) - 1
}

export const addTo = (sum: Histogram, more: Histogram): void => {
  for (let bucket = 0; bucket < bucketCount; bucket++) sum[bucket] = (sum[bucket] ?? 0) + (more[bucket] ?? 0)
}

export const countOf = (histogram: Histogram): number => histogram.reduce((sum, count) => sum + count, 0)

/** The value that the given share (0 … 1) of all values does not exceed. */
export const quantile = (histogram: Histogram, share: number): number => {
  const wanted = Math.max(1, Math.ceil(countOf(histogram) * share))
  let seen = 0
  for (let bucket = 0; bucket < bucketCount; bucket++) {
    seen += histogram[bucket] ?? 0
    if (seen >= wanted) return topOf(bucket)
  }
  return 0
}

/** Bucket, count, bucket, count …: what is empty does not travel. */
export const packHistogram = (histogram: Histogram): number[] => {
  const packed: number[] = []
  histogram.forEach((count, bucket) => {
    if (count > 0) packed.push(bucket, count)
  })
  return packed
}

/** Adds what `packHistogram` made; buckets that do not exist are left out. */
export const addPacked = (sum: Histogram, packed: ReadonlyArray<number>): void => {
  for (let n = 0; n + 1 < packed.length; n += 2) {
    const bucket = packed[n] ?? 0
    if (bucket < bucketCount) sum[bucket] = (sum[bucket] ?? 0) + (packed[n + 1] ?? 0)
  }
}
