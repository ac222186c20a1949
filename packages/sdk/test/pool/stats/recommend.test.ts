import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { recommend, type Advice, type GroupLoad, type Targets } from "../../../src/pool/stats/recommend.ts"

const targets: Targets = { targetDelayMs: 1_000, targetUtilisation: 0.7, minWorkers: 1, maxWorkers: 20, scaleDownMs: 30_000 }
const idle: GroupLoad = { at: 0, workers: 1, ready: 0, running: 0, delayMs: 0, utilisation: 0 }

/** A line a reading: what was measured, and what is recommended. `follow`: the workers are as many as the line before recommended. */
const transcript = (readings: ReadonlyArray<Partial<GroupLoad>>, aims = targets): string => {
  let advice: Advice | undefined
  const lines = readings.map((reading) => {
    const load = { ...idle, ...(advice === undefined ? {} : { workers: advice.recommended }), ...reading }
    advice = recommend(advice, load, aims)
    const { at, workers, ready, running, delayMs, utilisation } = load
    const parts = [`${at / 1_000} s`, `${workers} workers`, `${ready} ready`, `${running} running`, `${delayMs} ms`, `used ${utilisation}`]
    return `${parts.join(", ")} → ${advice.recommended}`
  })
  return `\n${lines.join("\n")}\n`
}

describe("transcripts", () => {
  test("a burst: up at once, hold while the queue empties, down when it was quiet for long enough", () => {
    expect(
      transcript([
        { at: 0, utilisation: 0.1 },
        { at: 1_000, ready: 900, running: 50, delayMs: 900, utilisation: 0.6 },
        { at: 2_000, ready: 1_700, running: 50, delayMs: 1_800, utilisation: 1 },
        { at: 3_000, ready: 1_900, running: 100, delayMs: 2_700, utilisation: 1 },
        { at: 4_000, ready: 1_500, running: 200, delayMs: 3_500, utilisation: 0.7 },
        { at: 5_000, ready: 700, running: 200, delayMs: 4_200, utilisation: 0.7 },
        { at: 6_000, ready: 0, running: 20, delayMs: 0, utilisation: 0.3 },
        { at: 20_000, running: 5, utilisation: 0.1 },
        { at: 35_999, running: 5, utilisation: 0.1 },
        { at: 36_000, running: 5, utilisation: 0.1 },
        { at: 37_000, running: 5, utilisation: 0.2 },
        { at: 66_999, utilisation: 0.02 },
        { at: 67_000, utilisation: 0.02 },
        { at: 97_000, utilisation: 0.02 },
        { at: 127_000, utilisation: 0.02 },
      ]),
    ).toMatchInlineSnapshot(`
      "
      0 s, 1 workers, 0 ready, 0 running, 0 ms, used 0.1 → 1
      1 s, 1 workers, 900 ready, 50 running, 900 ms, used 0.6 → 1
      2 s, 1 workers, 1700 ready, 50 running, 1800 ms, used 1 → 2
      3 s, 2 workers, 1900 ready, 100 running, 2700 ms, used 1 → 4
      4 s, 4 workers, 1500 ready, 200 running, 3500 ms, used 0.7 → 8
      5 s, 8 workers, 700 ready, 200 running, 4200 ms, used 0.7 → 8
      6 s, 8 workers, 0 ready, 20 running, 0 ms, used 0.3 → 8
      20 s, 8 workers, 0 ready, 5 running, 0 ms, used 0.1 → 8
      35.999 s, 8 workers, 0 ready, 5 running, 0 ms, used 0.1 → 8
      36 s, 8 workers, 0 ready, 5 running, 0 ms, used 0.1 → 4
      37 s, 4 workers, 0 ready, 5 running, 0 ms, used 0.2 → 4
      66.999 s, 4 workers, 0 ready, 0 running, 0 ms, used 0.02 → 4
      67 s, 4 workers, 0 ready, 0 running, 0 ms, used 0.02 → 2
      97 s, 2 workers, 0 ready, 0 running, 0 ms, used 0.02 → 2
      127 s, 2 workers, 0 ready, 0 running, 0 ms, used 0.02 → 1
      "
    `)
  })

  test("no worker: one is needed as soon as something waits, and none before", () => {
    const aims = { ...targets, minWorkers: 0 }
    expect(
      transcript(
        [
          { at: 0, workers: 0 },
          { at: 1_000, workers: 0, ready: 1, delayMs: 3 },
          { at: 2_000, workers: 0, ready: 0, running: 1 },
          { at: 3_000, workers: 1, running: 1, utilisation: 0.01 },
          { at: 33_000, workers: 1, running: 1, utilisation: 0.01 },
          { at: 34_000, workers: 1, utilisation: 0.001 },
          { at: 64_000, workers: 1, utilisation: 0.001 },
          { at: 65_000, workers: 1, utilisation: 0 },
        ],
        aims,
      ),
    ).toMatchInlineSnapshot(`
      "
      0 s, 0 workers, 0 ready, 0 running, 0 ms, used 0 → 0
      1 s, 0 workers, 1 ready, 0 running, 3 ms, used 0 → 1
      2 s, 0 workers, 0 ready, 1 running, 0 ms, used 0 → 1
      3 s, 1 workers, 0 ready, 1 running, 0 ms, used 0.01 → 1
      33 s, 1 workers, 0 ready, 1 running, 0 ms, used 0.01 → 1
      34 s, 1 workers, 0 ready, 0 running, 0 ms, used 0.001 → 1
      64 s, 1 workers, 0 ready, 0 running, 0 ms, used 0.001 → 0
      65 s, 1 workers, 0 ready, 0 running, 0 ms, used 0 → 0
      "
    `)
  })
})

const load = fc.record({
  at: fc.nat(100_000),
  workers: fc.nat(30),
  ready: fc.nat(1_000),
  running: fc.nat(1_000),
  delayMs: fc.oneof(fc.nat(900), fc.nat(100_000)),
  utilisation: fc.double({ min: 0, max: 1, noNaN: true }),
  partial: fc.boolean(),
})
const aims = fc
  .record({
    targetDelayMs: fc.integer({ min: 1, max: 10_000 }),
    targetUtilisation: fc.double({ min: 0.05, max: 1, noNaN: true }),
    minWorkers: fc.nat(5),
    maxWorkers: fc.integer({ min: 5, max: 40 }),
    scaleDownMs: fc.nat(20_000),
  })
  .map((given): Targets => given)
/** Readings in the order of their times, with the same number of workers or another. */
const history = fc.array(load, { minLength: 1, maxLength: 12 }).map((loads) => loads.toSorted((a, b) => a.at - b.at))
const follow = (loads: ReadonlyArray<GroupLoad>, to: Targets): Advice | undefined =>
  loads.reduce<Advice | undefined>((advice, one) => recommend(advice, one, to), undefined)

describe("properties", () => {
  test("R1, R2: within its bounds, and never none while something waits or runs", () => {
    fc.assert(
      fc.property(history, aims, (loads, to) => {
        const { recommended } = follow(loads, to) as Advice
        const last = loads.at(-1) as GroupLoad
        expect(recommended).toBeGreaterThanOrEqual(to.minWorkers)
        expect(recommended).toBeLessThanOrEqual(to.maxWorkers)
        expect(Number.isInteger(recommended)).toBe(true)
        if (last.ready + last.running > 0) expect(recommended).toBeGreaterThan(0)
      }),
    )
  })

  test("R3: up at once, at most doubled", () => {
    fc.assert(
      fc.property(load, aims, (one, to) => {
        const { recommended } = recommend(undefined, one, to)
        const { workers } = one
        const late = one.delayMs > to.targetDelayMs || one.utilisation > to.targetUtilisation * 1.11
        if (late && workers > 0) expect(recommended).toBeGreaterThan(Math.min(workers, to.maxWorkers - 1))
        if (workers > 0) expect(recommended).toBeLessThanOrEqual(Math.max(2 * workers, to.minWorkers))
      }),
    )
  })

  test("R4: fewer only when all readings of scaleDownMs agreed, and at least half", () => {
    fc.assert(
      fc.property(history, aims, (loads, to) => {
        const same = loads.map((one) => ({ ...one, workers: 10, partial: false }))
        const { recommended } = follow(same, { ...to, maxWorkers: 40 }) as Advice
        if (recommended >= 10) return
        const last = same.at(-1) as GroupLoad
        expect(recommended).toBeGreaterThanOrEqual(5)
        const recent = same.filter(({ at }) => at > last.at - to.scaleDownMs)
        for (const one of recent) expect(one.delayMs <= to.targetDelayMs && one.utilisation < to.targetUtilisation).toBe(true)
        expect(last.at - (same[0]?.at ?? 0)).toBeGreaterThanOrEqual(to.scaleDownMs)
      }),
    )
  })

  test("R5: noise around the target changes nothing", () => {
    const noise = fc.array(fc.tuple(fc.double({ min: 0.64, max: 0.76, noNaN: true }), fc.nat(1_000)), { minLength: 1, maxLength: 50 })
    fc.assert(
      fc.property(noise, fc.integer({ min: 1, max: 20 }), (samples, workers) => {
        let advice: Advice | undefined
        for (const [n, [utilisation, delayMs]] of samples.entries()) {
          advice = recommend(advice, { at: n * 5_000, workers, ready: 3, running: 9, delayMs, utilisation }, targets)
          expect(advice.recommended).toBe(workers)
        }
      }),
    )
  })

  test("R6: more delay or more use never asks for fewer", () => {
    fc.assert(
      fc.property(history, load, fc.nat(50_000), fc.double({ min: 0, max: 1, noNaN: true }), aims, (loads, one, more, use, to) => {
        const before = follow(loads, to)
        const last = { ...one, at: one.at + 100_000 }
        const worse = { ...last, delayMs: last.delayMs + more, utilisation: Math.max(last.utilisation, use) }
        expect(recommend(before, worse, to).recommended).toBeGreaterThanOrEqual(recommend(before, last, to).recommended)
      }),
    )
  })

  test("R7: a constant load comes to rest, with a utilisation that is not above its target", () => {
    fc.assert(
      fc.property(fc.double({ min: 0.01, max: 12, noNaN: true }), fc.integer({ min: 1, max: 20 }), (work, first) => {
        let workers = first
        let advice: Advice | undefined
        let changes = 0
        for (let n = 0; n < 60; n++) {
          const utilisation = Math.min(1, work / workers)
          advice = recommend(advice, { at: n * 10_000, workers, ready: 1, running: 1, delayMs: 0, utilisation }, targets)
          if (advice.recommended !== workers) changes++
          workers = advice.recommended
        }
        const resting = workers
        const utilisation = Math.min(1, work / workers)
        const after = recommend(advice, { at: 1e7, workers, ready: 1, running: 1, delayMs: 0, utilisation }, targets)
        expect(after.recommended).toBe(resting)
        expect(changes).toBeLessThan(10)
        if (workers < targets.maxWorkers) expect(utilisation).toBeLessThanOrEqual(0.7 * 1.1 + 1e-6)
      }),
    )
  })

  test("R8: while some shards did not answer never fewer than there are, and the time of calm begins anew after it", () => {
    fc.assert(
      fc.property(history, load, aims, (loads, one, to) => {
        const before = follow(loads, to)
        const at = one.at + 100_000
        const blind = { ...one, at, partial: true }
        const { workers } = one
        const advice = recommend(before, blind, to)
        expect(advice.recommended).toBeGreaterThanOrEqual(Math.min(workers, to.maxWorkers))
        const calm = { at: at + to.scaleDownMs - 1, workers, ready: 0, running: 0, delayMs: 0, utilisation: 0 }
        if (to.scaleDownMs > 1) expect(recommend(advice, calm, to).recommended).toBeGreaterThanOrEqual(Math.min(workers, to.maxWorkers))
      }),
    )
  })

  test("R8: a queue that seems to shrink because a part of it is not seen is no queue that clears", () => {
    const before = recommend(undefined, { at: 0, workers: 4, ready: 1_000, running: 4, delayMs: 5_000, utilisation: 1 }, targets)
    const seen = { at: 1_000, workers: 4, ready: 10, running: 4, delayMs: 5_000, utilisation: 0.5 }
    expect(recommend(before, seen, targets).recommended).toBe(4)
    expect(recommend(before, { ...seen, partial: true }, targets).recommended).toBe(8)
  })
})
