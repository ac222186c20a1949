import fc from "fast-check"
import { expect, test } from "vitest"
import {
  addPacked,
  bucketCount,
  bucketOf,
  countOf,
  emptyHistogram,
  packHistogram,
  quantile,
  topOf,
  type Histogram,
} from "../../src/telemetry/histogram.ts"

const of = (values: ReadonlyArray<number>): Histogram => {
  const histogram = emptyHistogram()
  for (const value of values) histogram[bucketOf(value)] = (histogram[bucketOf(value)] ?? 0) + 1
  return histogram
}
const values = fc.array(fc.oneof(fc.nat(50), fc.nat(10_000), fc.nat(2 ** 31 - 1)), { minLength: 1, maxLength: 200 })

test("buckets follow each other without a gap, and none is wider than an eighth of its values (H1)", () => {
  for (let bucket = 1; bucket < bucketCount; bucket++) {
    const first = topOf(bucket - 1) + 1
    expect([bucketOf(first), bucketOf(topOf(bucket))]).toEqual([bucket, bucket])
    expect(topOf(bucket) - first + 1).toBeLessThanOrEqual(Math.max(1, first / 8))
  }
})

test("a power of two begins a bucket (H2)", () => {
  for (let power = 0; power < 31; power++) expect(bucketOf(2 ** power)).toBe(bucketOf(2 ** power - 1) + 1)
})

test("a quantile is never less than the true one, and at most an eighth more (H3)", () => {
  fc.assert(
    fc.property(values, fc.double({ min: 0, max: 1, noNaN: true }), (all, share) => {
      const truth = all.toSorted((a, b) => a - b)[Math.max(1, Math.ceil(all.length * share)) - 1] ?? 0
      const found = quantile(of(all), share)
      expect(found).toBeGreaterThanOrEqual(truth)
      expect(found).toBeLessThanOrEqual(truth * 1.125)
    }),
  )
})

test("values that are no times are counted somewhere, and change nothing else", () => {
  expect([Number.NaN, -5, 0.9].map(bucketOf)).toEqual([0, 0, 0])
  expect([1e300, Number.POSITIVE_INFINITY, 2 ** 31].map(bucketOf)).toEqual([bucketCount - 1, bucketCount - 1, bucketCount - 1])
  expect(quantile(emptyHistogram(), 0.99)).toBe(0)
})

test("what travels is added up as if it had been counted in one place", () => {
  fc.assert(
    fc.property(values, values, (left, right) => {
      const sum = of(left)
      addPacked(sum, JSON.parse(JSON.stringify(packHistogram(of(right)))) as number[])
      expect(sum).toEqual(of([...left, ...right]))
    }),
  )
  const sum = emptyHistogram()
  addPacked(sum, [bucketCount, 3, 7])
  expect(countOf(sum), "of another version").toBe(0)
})
