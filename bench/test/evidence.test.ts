import { describe, expect, test } from "vitest"
import { Evidence } from "../src/pool/evidence.ts"
import { noRecords, type Interval, type Write } from "../src/pool/records.ts"

const interval = (key: string, from: number, to: number | null, worked = to ?? from): Interval => ({ key, from, to, worked })
const write = (fence: string, sent: number, acknowledged: number, key = "a"): Write => ({ key, fence, iteration: 1, sent, acknowledged })

const evidence = (
  workers: Readonly<Record<string, { intervals?: Array<Interval>; writes?: Array<Write>; closings?: Array<{ key: string; at: number }> }>>,
): Evidence => {
  const all = new Evidence()
  for (const [worker, records] of Object.entries(workers)) all.add(worker, { ...noRecords, ...records })
  return all
}

describe("a takeover", () => {
  const all = evidence({
    dead: { intervals: [interval("a", 0, null), interval("b", 0, null), interval("c", 0, 5)] },
    heir: { intervals: [interval("a", 130, null), interval("b", 180, 250), interval("b", 250, null), interval("d", 500, null)] },
  })

  test("lasts until the last job of the dead worker ran elsewhere, whatever else began there", () => {
    expect([...all.running("dead")]).toEqual(["a", "b"])
    expect(all.takeoverMs("dead", all.running("dead"), 100)).toBe(80)
  })

  test("that lacks a job is no takeover", () => {
    expect(all.takeoverMs("dead", new Set(["a", "c"]), 100)).toBe(Number.POSITIVE_INFINITY)
  })
})

test("a handover is measured from the close of each job to its next handler elsewhere", () => {
  const all = evidence({
    old: {
      intervals: [interval("a", 0, 100)],
      closings: [
        { key: "z", at: 50 },
        { key: "a", at: 101 },
        { key: "b", at: 102 },
      ],
    },
    new: { intervals: [interval("a", 111, null), interval("b", 107, null)] },
  })
  expect(all.gapsMs("old", 99)).toEqual([10, 5])
})

describe("overlap of user code", () => {
  test("is the longest time that two workers ran one job; runs on one worker are none", () => {
    const all = evidence({
      one: { intervals: [interval("a", 0, 100), interval("a", 90, 95), interval("b", 0, 10)] },
      two: { intervals: [interval("a", 97, 200), interval("b", 10, 20)] },
    })
    expect(all.overlapMs()).toBe(3)
  })

  test("of a killed process ends with it", () => {
    const all = evidence({ one: { intervals: [interval("a", 0, null)] }, two: { intervals: [interval("a", 50, null)] } })
    expect(all.overlapMs()).toBe(Number.POSITIVE_INFINITY)
    all.died("one", 40)
    expect(all.overlapMs()).toBe(0)
  })

  test("of a frozen process is what its user code did after it was thawed", () => {
    const frozen = (worked: number): number => {
      const all = evidence({ one: { intervals: [interval("a", 0, 205, worked)] }, two: { intervals: [interval("a", 150, null)] } })
      all.frozen("one", { from: 100, to: 200 })
      return all.overlapMs()
    }
    expect(frozen(99)).toBe(0)
    expect(frozen(203)).toBe(3)
  })

  test("of a process that was frozen when another ran already is not forgiven", () => {
    const all = evidence({ one: { intervals: [interval("a", 0, 205, 99)] }, two: { intervals: [interval("a", 70, null)] } })
    all.frozen("one", { from: 100, to: 200 })
    expect(all.overlapMs()).toBe(30)
  })

  test("of a process that got no time is what its user code did when it got some again", () => {
    const starved = (worked: number): number => {
      const all = evidence({ two: { intervals: [interval("a", 150, null)] } })
      const stalls = [
        { from: 100, to: 180 },
        { from: 185, to: 300 },
      ]
      all.add("one", { ...noRecords, intervals: [interval("a", 0, 310, worked)], stalls })
      return all.overlapMs()
    }
    expect(starved(99)).toBe(5)
    expect(starved(304)).toBe(9)
  })

  test("counts a freeze and the late tick after it once", () => {
    const all = evidence({ two: { intervals: [interval("a", 70, null)] } })
    all.add("one", { ...noRecords, intervals: [interval("a", 0, 210, 207)], stalls: [{ from: 90, to: 205 }] })
    all.frozen("one", { from: 100, to: 200 })
    expect(all.overlapMs()).toBe(22)
  })

  test("what is told twice, running and then ended, is one interval", () => {
    const all = evidence({ one: { intervals: [interval("a", 0, null)] }, two: { intervals: [interval("a", 60, null)] } })
    all.add("one", { ...noRecords, intervals: [interval("a", 0, 50)] })
    expect(all.overlapMs()).toBe(0)
  })
})

describe("accepted writes by two owners", () => {
  test("are those with a lower fence that were sent after a higher one was acknowledged", () => {
    expect(
      evidence({ one: { writes: [write("01", 0, 10), write("01", 30, 40)] }, two: { writes: [write("02", 15, 20)] } }).overlapWrites(),
    ).toBe(1)
  })

  test("are not those that were under way together, in order, or of other jobs", () => {
    const one = { writes: [write("01", 0, 10), write("01", 14, 21), write("01", 50, 60, "b")] }
    expect(evidence({ one, two: { writes: [write("02", 15, 20), write("03", 25, 30)] } }).overlapWrites()).toBe(0)
  })
})
