import { expect, test } from "vitest"
import { contradictionsOf } from "../src/pool/stored.ts"

test.each([
  ["a job that never wrote", { iteration: 1, state: undefined }, 0],
  ["fences that rise or stay", { iteration: 4, state: { writes: 3, fences: ["01", "01", "02"] } }, 0],
  ["a fence below an earlier one", { iteration: 4, state: { writes: 3, fences: ["01", "02", "01"] } }, 1],
  ["a write that another one undid", { iteration: 4, state: { writes: 2, fences: ["01", "02"] } }, 1],
])("%s", (_, stored, expected) => {
  expect(contradictionsOf(stored)).toBe(expected)
})
