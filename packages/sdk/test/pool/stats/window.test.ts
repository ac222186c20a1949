import { expect, test } from "vitest"
import { bucketOf, countOf, quantile } from "../../../src/telemetry/histogram.ts"
import { LoadWindow, slotCount } from "../../../src/pool/stats/window.ts"

const count = (window: LoadWindow, ms: number): void => {
  const bucket = bucketOf(ms)
  window.delays[bucket] = (window.delays[bucket] ?? 0) + 1
}

test("what is older than the window is not in it, and stays in the sum of the worker's life", () => {
  const window = new LoadWindow(12_000, 0)
  count(window, 500)
  window.sample(900, 1)
  window.sample(1_000, 0.5)
  count(window, 3)
  expect(window.recent().utilisation).toBe(0.75)
  expect(quantile(window.recent().delays, 1)).toBe(511)
  window.advance(11_999)
  expect(countOf(window.recent().delays)).toBe(2)
  window.advance(12_000)
  expect([countOf(window.recent().delays), quantile(window.recent().delays, 1), window.recent().utilisation]).toEqual([1, 3, 0.5])
  window.advance(13_000)
  expect([countOf(window.recent().delays), window.recent().utilisation]).toEqual([0, 0])
  expect(countOf(window.ever())).toBe(2)
})

test("after a long sleep of the process the window is empty, however long it was", () => {
  const window = new LoadWindow(1_200, 0)
  for (let n = 0; n < slotCount; n++) {
    window.advance(n * 100)
    count(window, 1)
    window.sample(n * 100, 1)
  }
  window.advance(1e12 + 37)
  expect([countOf(window.recent().delays), window.recent().utilisation, countOf(window.ever())]).toEqual([0, 0, slotCount])
  count(window, 1)
  window.advance(1e12 + 37 + 1_000)
  expect(countOf(window.recent().delays), "slots go on in step").toBe(1)
})
