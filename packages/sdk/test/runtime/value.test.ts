/** A step's value comes back from its journal as it was, or is refused. */
import { isDeepStrictEqual } from "node:util"
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { decodeValue, encodeValue } from "../../src/runtime/value.ts"

const roundTrip = (value: unknown): unknown => decodeValue(JSON.parse(JSON.stringify(encodeValue(value, "the value"))))

const leaf = fc.oneof(
  fc.string({ unit: "binary", maxLength: 8 }),
  fc.double(),
  fc.integer(),
  fc.bigInt(),
  fc.boolean(),
  fc.constantFrom(null, undefined, Number.NaN, -0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY),
  fc.date({ noInvalidDate: true }),
  fc.uint8Array({ maxLength: 6 }),
  fc.uint8Array({ maxLength: 6 }).map((bytes) => Buffer.from(bytes)),
)
const name = fc.oneof(fc.string({ maxLength: 6 }), fc.constantFrom("$ponos", "v", "__proto__", "constructor", "toJSON"))
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    leaf,
    fc.array(tie("value"), { maxLength: 4 }),
    fc.array(fc.tuple(name, tie("value")), { maxLength: 4 }).map((pairs) => Object.fromEntries(pairs)),
    fc.array(fc.tuple(tie("value"), tie("value")), { maxLength: 3 }).map((pairs) => new Map(pairs)),
    fc.array(tie("value"), { maxLength: 3 }).map((items) => new Set(items)),
  ),
}))

describe("values of steps", () => {
  test("come back as they were", () => {
    fc.assert(
      // vitest's own comparison stumbles over a member called `constructor`
      fc.property(value, (given) => isDeepStrictEqual(roundTrip(given), given)),
      { numRuns: 500 },
    )
  })

  test("also where JSON would lose something without a word", () => {
    const given = { a: undefined, b: [undefined, Number.NaN, -0], c: new Date(Number.NaN), d: 10n ** 30n, e: { $ponos: "undefined" } }
    expect(roundTrip(given)).toStrictEqual(given)
    expect(roundTrip(JSON.parse('{"__proto__":{"x":1}}'))).toStrictEqual(JSON.parse('{"__proto__":{"x":1}}'))
    expect(roundTrip([1, , 3])).toStrictEqual([1, undefined, 3]) // oxlint-disable-line no-sparse-arrays -- that is the case
    expect(Buffer.isBuffer(roundTrip(Buffer.from("x")))).toBe(true)
  })

  class Point {
    readonly x = 1
  }
  const cycle: Record<string, unknown> = {}
  cycle["self"] = cycle
  test.each([
    ["a function", { f: () => 1 }, "a function at f"],
    ["a symbol", Symbol("s"), "a symbol at the top"],
    ["an instance", { list: [new Point()] }, "an instance of Point at list.0"],
    ["an error", new Error("x"), "an instance of Error at the top"],
    ["a cycle", cycle, "a cycle, or more than 100 levels"],
  ])("%s is refused, with its path", (_, given, message) => {
    expect(() => encodeValue(given, 'the result of step "s"')).toThrow(
      expect.objectContaining({ _tag: "NotAllowed", message: expect.stringContaining(message) as string }),
    )
  })
})
