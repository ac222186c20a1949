import { describe, expect, test } from "vitest"
import { defaults, optionTable, readOptions, refuseUnknown, toMillis } from "../src/options.ts"
import { readPoolOptions } from "../src/pool/options.ts"

const refused = (message: string): unknown =>
  expect.objectContaining({ _tag: "BadOption", message: expect.stringContaining(message) as string })

describe("the option table", () => {
  test("has every default within its bounds, and says why it is there", () => {
    for (const [name, spec] of Object.entries(optionTable)) {
      expect(spec.default, name).toBeGreaterThanOrEqual(spec.min)
      expect(spec.default, name).toBeLessThanOrEqual(spec.max)
      expect(spec.why.length, name).toBeGreaterThan(10)
    }
  })

  test("fills in defaults, and keeps what was given", () => {
    expect(readOptions({}, ["leaseMs", "shards"])).toEqual({ leaseMs: defaults.leaseMs, shards: 256 })
    expect(readOptions({ leaseMs: 500 }, ["leaseMs"])).toEqual({ leaseMs: 500 })
  })

  test.each([
    ["leaseMs", "6s", 'expected leaseMs to be an integer from 500 to 60000 (ms), got: "6s" (did you mean 6000?)'],
    ["leaseMs", "6 seconds", "(did you mean 6000?)"],
    ["leaseMs", 499, "got: 499"],
    ["leaseMs", 60_001, "got: 60001"],
    ["leaseMs", 1.5e3 + 0.5, "got: 1500.5"],
    ["leaseMs", Number.NaN, "got: null"],
    ["leaseMs", null, "got: null"],
    ["shards", 0, "expected shards to be an integer from 1 to 4096 (count), got: 0"],
  ] as const)("refuses %s = %j", (name, value, message) => {
    expect(() => readOptions({ [name]: value }, [name])).toThrow(refused(message))
  })

  test("an unknown name is refused, with the nearest known one", () => {
    const known = ["leaseMs", "sweepMs", "pool"]
    expect(() => refuseUnknown({ leasMs: 1 }, known, "createWorker")).toThrow(refused("got: `leasMs` (did you mean leaseMs?)"))
    expect(() => refuseUnknown({ LEASEMS: 1 }, known, "createWorker")).toThrow(refused("(did you mean leaseMs?)"))
    expect(() => refuseUnknown({ entirelyOther: 1 }, known, "createWorker")).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining("did you mean") as string }),
    )
    refuseUnknown({ pool: "a" }, known, "createWorker")
  })
})

describe("options of a pool that belong together", () => {
  test("renewals and grace follow the lease", () => {
    expect(readPoolOptions({ leaseMs: 900 })).toMatchObject({ renewMs: 300, abortGraceMs: 225, maxStallMs: 450 })
    expect(readPoolOptions({ leaseMs: 900, maxStallMs: 5_000 })).toMatchObject({ maxStallMs: 5_000 })
  })
  test("what cannot work together is refused", () => {
    expect(() => readPoolOptions({ leaseMs: 900, renewMs: 301 })).toThrow(refused("at most a third of leaseMs (300), got: 301"))
    expect(() => readPoolOptions({ leaseMs: 900, abortGraceMs: 451 })).toThrow(refused("at most half of leaseMs (450), got: 451"))
  })
})

describe("durations", () => {
  test.each([
    [0, 0],
    [1.5, 1.5],
    ["1 second", 1_000],
    ["30 seconds", 30_000],
    ["1.5 minutes", 90_000],
    ["2 hours", 7_200_000],
    ["1 day", 86_400_000],
    ["2 weeks", 1_209_600_000],
    ["250 millis", 250],
  ] as const)("%j is %i ms", (given, ms) => {
    expect(toMillis(given, "after")).toBe(ms)
  })
  test.each([-1, Number.NaN, Number.POSITIVE_INFINITY, "soon", "5 parsecs", "-1 second", "", undefined, null, {}])(
    "refuses %j",
    (given) => {
      expect(() => toMillis(given as never, "after")).toThrow(refused('expected after to be a duration such as 500 or "30 seconds"'))
    },
  )
})
