import { describe, expect, test } from "vitest"
import { Evidence } from "../src/pool/evidence.ts"
import { noRecords, type Interval, type Still, type Write } from "../src/pool/records.ts"

const interval = (key: string, from: number, to: number | null, worked = to ?? from, begun = worked): Interval => ({
  key,
  from,
  to,
  begun,
  worked,
})
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
    expect(all.overlap().ms).toBe(3)
  })

  test("of a killed process ends with it", () => {
    const all = evidence({ one: { intervals: [interval("a", 0, null)] }, two: { intervals: [interval("a", 50, null)] } })
    expect(all.overlap().ms).toBe(Number.POSITIVE_INFINITY)
    all.died("one", 40)
    expect(all.overlap().ms).toBe(0)
  })

  describe("of a process that is frozen from 100 to 200, when another runs from 150 on,", () => {
    const frozen = (own: Interval, stalls: ReadonlyArray<Still> = []): Evidence => {
      const all = evidence({ two: { intervals: [interval("a", 150, null)] } })
      all.add("one", { ...noRecords, intervals: [own], stalls })
      all.frozen("one", { from: 100, to: 200 })
      return all
    }

    test("is none, if the first thing that its code heard was the abort: settling is told apart", () => {
      const all = frozen(interval("a", 0, 205, 99), [{ from: 99, to: 204 }])
      expect([all.overlap().ms, all.thawSettleMs(), all.frozenPieceMs()]).toEqual([0, 5, 0])
    })

    test("is all of the time since its thaw, if it did any work then", () => {
      const all = frozen(interval("a", 0, 209, 204), [{ from: 99, to: 203 }])
      expect([all.overlap().ms, all.frozenPieceMs()]).toEqual([6, 0])
      expect(all.overlap().text).toBe("a on one, frozen 50 ms before the other began, beside two")
    })

    test("is none also for a run that the other began after the thaw", () => {
      const all = frozen(interval("a", 0, 230, 99))
      all.add("two", { ...noRecords, intervals: [interval("a", 150, 210), interval("a", 210, null)] })
      expect(all.overlap().ms).toBe(0)
    })

    test("is what it works beside that later run", () => {
      const all = frozen(interval("a", 0, 230, 215))
      all.add("two", { ...noRecords, intervals: [interval("a", 150, 151), interval("a", 210, null)] })
      expect(all.overlap().ms).toBe(20)
    })

    test("leaves out the piece of code that the freeze met in the middle, which is told apart, but not a later one", () => {
      const piece = frozen(interval("a", 0, 209, 204, 98))
      expect([piece.overlap().ms, piece.frozenPieceMs(), piece.thawSettleMs()]).toEqual([0, 4, 9])
      const later = frozen(interval("a", 0, 209, 204, 201))
      expect([later.overlap().ms, later.frozenPieceMs()]).toEqual([9, 0])
    })

    test("is none where it was killed before it could go on", () => {
      const all = frozen(interval("a", 0, null, 99))
      all.died("one", 201)
      expect([all.overlap().ms, all.thawSettleMs()]).toEqual([0, 0])
    })

    test("is all of it where the thawed process begins a handler", () => {
      expect(frozen(interval("a", 202, 212)).overlap().ms).toBe(10)
    })
  })

  test("of a process that was frozen when another ran already is not forgiven", () => {
    const all = evidence({ one: { intervals: [interval("a", 0, 205, 99)] }, two: { intervals: [interval("a", 70, null)] } })
    all.frozen("one", { from: 100, to: 200 })
    expect(all.overlap().ms).toBe(30)
  })

  test("of a process that once was frozen, and has worked since, is whole", () => {
    const all = evidence({ one: { intervals: [interval("a", 0, 500, 450)] }, two: { intervals: [interval("a", 480, null)] } })
    all.frozen("one", { from: 100, to: 200 })
    expect(all.overlap().ms).toBe(20)
  })

  test("of a process that got no time is what its user code did when it got some again", () => {
    const starved = (worked: number): number => {
      const all = evidence({ two: { intervals: [interval("a", 150, null)] } })
      const stalls = [
        { from: 100, to: 180 },
        { from: 185, to: 300 },
      ]
      all.add("one", { ...noRecords, intervals: [interval("a", 0, 310, worked)], stalls })
      return all.overlap().ms
    }
    expect(starved(99)).toBe(5)
    expect(starved(304)).toBe(15)
  })

  test("counts a freeze and what the process noted of it once", () => {
    const all = evidence({ two: { intervals: [interval("a", 70, null)] } })
    all.add("one", { ...noRecords, intervals: [interval("a", 0, 210, 207)], stalls: [{ from: 90, to: 205 }] })
    all.frozen("one", { from: 100, to: 200 })
    expect(all.overlap().ms).toBe(25)
  })

  test("what is told twice, running and then ended, is one interval", () => {
    const all = evidence({ one: { intervals: [interval("a", 0, null)] }, two: { intervals: [interval("a", 60, null)] } })
    all.add("one", { ...noRecords, intervals: [interval("a", 0, 50)] })
    expect(all.overlap().ms).toBe(0)
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
