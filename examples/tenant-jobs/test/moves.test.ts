import { describe, expect, test } from "vitest"
import { idealMoves } from "../src/moves.ts"

const loads = (...counts: number[]) => new Map(counts.map((count, index) => [`w${index + 1}`, count]))

describe("the smallest number of moves", () => {
  test("is what a lost worker held", () => {
    expect(idealMoves(loads(86, 85, 85), ["w1", "w3"])).toBe(85)
  })

  test("is the share of those who join", () => {
    expect(idealMoves(loads(128, 128), ["w1", "w2", "w3", "w4"])).toBe(128)
    expect(idealMoves(loads(86, 85, 85), ["w1", "w2", "w3", "w4"])).toBe(64)
    expect(idealMoves(loads(64, 64, 64, 64), ["w1", "w2", "w3", "w4", "w5"])).toBe(51)
  })

  test("is nothing when nothing changes, and the rest when one joins as another leaves", () => {
    expect(idealMoves(loads(86, 85, 85), ["w1", "w2", "w3"])).toBe(0)
    expect(idealMoves(loads(86, 85, 85), ["w1", "w2", "w4"])).toBe(85)
  })
})
