/** The list of outstanding calls is a map with growing keys: the same calls are in it, in the same order, whatever is added and settled. */
import fc from "fast-check"
import { expect, test } from "vitest"
import { type Outstanding, OutstandingCalls } from "../../src/runtime/outstanding.ts"

const call = (): Outstanding => ({ settle: () => {}, reject: () => {}, cancellable: false })

test("it has what a map has", () => {
  /** A number: how much the next key is over the last one. A fraction: which of all keys so far is settled, some of them again. */
  const doing = fc.oneof(
    fc.record({ add: fc.integer({ min: 1, max: 3 }) }),
    fc.record({ settle: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }) }),
  )
  fc.assert(
    fc.property(fc.array(doing, { maxLength: 60 }), (doings) => {
      const calls = new OutstandingCalls()
      const map = new Map<number, Outstanding>()
      let last = -1
      for (const one of doings) {
        if ("add" in one) {
          last += one.add
          const added = call()
          calls.add(last, added)
          map.set(last, added)
        } else {
          const index = Math.floor(one.settle * (last + 2))
          calls.delete(index)
          map.delete(index)
        }
        expect(calls.size).toBe(map.size)
        for (let index = 0; index <= last + 1; index++) expect(calls.get(index)).toBe(map.get(index))
        expect(calls.entries()).toEqual([...map])
      }
      const all = [...map.values()]
      expect(calls.all()).toEqual(all)
      expect(calls.clear()).toEqual(all)
      expect([calls.size, calls.get(0)]).toEqual([0, undefined])
    }),
  )
})
