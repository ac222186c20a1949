import { expect, test } from "vitest"
import { median, quantile, toJson, toTable } from "../src/figure.ts"

const figure = {
  name: "startsPerSecond",
  label: "starts/s",
  unit: "1/s",
  better: "more",
  own: [60_000.4, 50_000, 90_000],
  peer: [20_000, 10_000, 40_000],
} as const

test("the JSON line has the form that all benches share: medians, ratio, and the own range", () => {
  expect(JSON.parse(toJson("start", "redis", [figure]))).toEqual({
    bench: "start",
    store: "redis",
    figures: { startsPerSecond: { value: 60_000, unit: "1/s", peer: 20_000, ratio: 3, min: 50_000, max: 90_000, runs: 3 } },
  })
})

test("a figure without a peer has neither peer nor ratio", () => {
  const json = JSON.parse(toJson("start", "redis", [{ ...figure, peer: [] }])) as { figures: Record<string, object> }
  expect(json.figures["startsPerSecond"]).toMatchObject({ peer: null, ratio: null })
})

test("the table shows both, their ranges and the ratio", () => {
  expect(toTable([figure], "BullMQ")).toMatch(/starts\/s +60,000 +50,000 - 90,000 +20,000 +10,000 - 40,000 +3 × +more/)
})

test("medians and quantiles", () => {
  expect(median([4, 1, 3, 2])).toBe(2.5)
  expect(quantile([5, 1, 4, 2, 3], 0.5)).toBe(3)
  expect(quantile([5, 1, 4, 2, 3], 0.99)).toBe(5)
})

test("the table shows goals where there are some, and nothing for a missing peer", () => {
  const own = { ...figure, better: "less", own: [5, 6, 7], peer: [] } as const
  const table = toTable([{ ...own, goal: 6 }, { ...own, goal: 5 }, own], "BullMQ")
    .split("\n")
    .slice(2)
  expect(table[0]).toMatch(/6 +5 - 7 +- +- +- +≤ 6$/)
  expect(table[1]).toMatch(/≤ 5 missed$/)
  expect(table[2]).toMatch(/ -$/)
})

test("a goal of the ratio is a lower bound, and nothing where there is no peer", () => {
  const table = toTable(
    [
      { ...figure, goalRatio: 3 },
      { ...figure, goalRatio: 4 },
      { ...figure, goalRatio: 4, peer: [] },
    ],
    "BullMQ",
  )
    .split("\n")
    .slice(2)
  expect(table[0]).toMatch(/3 × +≥ 3 ×$/)
  expect(table[1]).toMatch(/≥ 4 × missed$/)
  expect(table[2]).toMatch(/ -$/)
})
