import { expect, test } from "vitest"
import { Found } from "../src/found.ts"

const kinds = {
  stepsPerSecond: { label: "steps/s", unit: "1/s", better: "more", goalRatio: 2 },
  stepMs: { label: "a step", unit: "ms", goal: 0.25 },
  bytes: { label: "bytes", unit: "bytes" },
} as const

test("what was found is shown in the order of its kinds, and what was not is left out", () => {
  const found = new Found(kinds)
  expect(found.add("bytes", 500)).toBe(500)
  found.add("stepsPerSecond", 20_000)
  found.addPeer("stepsPerSecond", 10_000)
  found.add("stepsPerSecond", 22_000)
  expect(found.figures).toEqual([
    { name: "stepsPerSecond", label: "steps/s", unit: "1/s", better: "more", goalRatio: 2, own: [20_000, 22_000], peer: [10_000] },
    { name: "bytes", label: "bytes", unit: "bytes", better: "less", own: [500], peer: [] },
  ])
})
