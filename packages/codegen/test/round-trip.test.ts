/** What generated schemas do to values, by way of the JSON codec that the runtime makes of them. */
import { Schema } from "effect"
import { describe, expect, test } from "vitest"
import type { Json, Tree } from "./fixtures/recursion/jobs.def.ts"
import { everything } from "./fixtures/all-types/ponos.gen/contracts.ts"
import * as all from "./fixtures/all-types/ponos.gen/schemas.ts"
import type { Numbers, Others, Slug, Strings } from "./fixtures/all-types/jobs.def.ts"
import { oneFeed } from "./fixtures/composite/ponos.gen/contracts.ts"
import { Account, SyncState } from "./fixtures/imports/ponos.gen/schemas.ts"
import * as recursion from "./fixtures/recursion/ponos.gen/schemas.ts"

const throughJson = <A>(schema: Schema.Codec<A>, value: A): A => {
  const codec = Schema.toCodecJson(schema)
  const text = JSON.stringify(Schema.encodeUnknownSync(codec)(value))
  return Schema.decodeUnknownSync(codec)(JSON.parse(text))
}
/** Paths of the wrong fields. */
const refused = (schema: Schema.Codec<any>, json: unknown): ReadonlyArray<string> => {
  try {
    Schema.decodeUnknownSync(Schema.toCodecJson(schema), { errors: "all" })(json)
    return []
  } catch (error) {
    return String(error)
      .split("\n")
      .flatMap((line) => /at (\[.*\])/.exec(line)?.[1] ?? [])
  }
}

const slug = "ab-c@d" as Slug
const strings: Strings = {
  id: "1",
  uuid: "8b2c9a52-6a1e-4d0c-9a55-0d8a1a2b3c4d",
  short: "abc",
  slug,
  slugs: [slug],
  level: "high",
  only: "only",
  duration: "1.5 seconds",
  quoted: 'a"b\n',
  address: null,
}
const numbers: Numbers = {
  any: -1.5,
  whole: 3,
  port: 443,
  ports: [1, 65_535],
  portOrNot: null,
  byName: { http: 80 },
  share: 0.5,
  half: 1.5,
  big: 12_345_678_901_234_567_890n,
  bit: -1,
}
const others: Others = {
  yes: false,
  always: true,
  nothing: null,
  anything: { any: ["json", 1, null, { deep: true }] },
  at: new Date("2026-01-31T12:00:00.123Z"),
  link: new URL("https://example.org/a?b=c#d"),
  bytes: new Uint8Array([0, 1, 255]),
  table: new Map([["a", new Date(0)]]),
  frozen: new Map([[1, { at: new Date(1) }]]),
  tags: new Set(["x", "y"]),
  bigs: new Set([1n, -2n]),
  pair: ["a", new Date(2)],
  options: ["a", 5n],
  rest: ["a", new Date(3), new Date(4)],
  few: ["a", "b"],
  either: null,
  record: { a: 1n },
  known: { a: 1, b: 2 },
  open: { a: "1", more: "2" },
  part: {},
  picked: { port: 1, any: 2 },
  both: { kind: "circle", radius: 1, color: "red" },
  "odd-name": 1,
  shape: { kind: "polygon", points: [[1, 2]] },
  shapes: [{ kind: "square", side: 1 }],
  mixed: "off",
  deep: { deeper: { deepest: new Date(5) } },
}

describe("a value comes back from JSON as it was", () => {
  test("strings", () => expect(throughJson(all.Strings, strings)).toEqual(strings))
  test("numbers", () => expect(throughJson(all.Numbers, numbers)).toEqual(numbers))
  test("everything else", () => {
    const back = throughJson(all.Others, others)
    expect(back).toEqual(others)
    expect(back.link.href).toBe(others.link.href)
    expect(back.at).toBeInstanceOf(Date)
  })
  test("payloads without a name", () => {
    const { signals, updates } = everything.schemas
    expect(throughJson(signals["at"] ?? all.Circle, new Date(7))).toEqual(new Date(7))
    expect(throughJson(updates["set"]?.out ?? all.Circle, null)).toBe(null)
    expect(updates["nothing"]).toEqual({ in: null, out: null, errors: {} })
  })
  test("recursive types", () => {
    const tree: Tree = { id: "a", at: new Date(0), children: [{ id: "b", at: new Date(1), children: [] }] }
    expect(throughJson(recursion.Tree, tree)).toEqual(tree)
    const json: Json = { a: [1, "x", null, { b: true }] }
    const state = {
      json,
      expression: {
        op: "call" as const,
        args: [{ op: "add" as const, left: { op: "literal" as const, value: 1 }, right: { op: "call" as const, args: [] } }],
      },
      list: { head: 1n, tail: { head: 2n, tail: null } },
    }
    expect(throughJson(recursion.WalkState, state)).toEqual(state)
  })
  test("types of other files", () => {
    const account = { id: "a", owner: { name: "n", since: new Date(0) } }
    expect(throughJson(Account, account)).toEqual(account)
    expect(throughJson(SyncState, { accounts: [account] })).toEqual({ accounts: [account] })
  })
  test("declared errors", () => {
    const busy = { _tag: "Busy", message: "later", until: new Date(1) }
    expect(throughJson(oneFeed.schemas.errors["Busy"] ?? all.Circle, busy)).toEqual(busy)
  })
})

describe("a value that does not fit is refused with the path of the wrong field", () => {
  const encoded = (): Record<string, unknown> =>
    JSON.parse(JSON.stringify(Schema.encodeUnknownSync(Schema.toCodecJson(all.Numbers))(numbers)))
  test.each<readonly [change: Record<string, unknown>, path: string]>([
    [{ any: "1" }, `["any"]`],
    [{ whole: 1.5 }, `["whole"]`],
    [{ port: 0 }, `["port"]`],
    [{ ports: [1, 70_000] }, `["ports"][1]`],
    [{ portOrNot: 0 }, `["portOrNot"]`],
    [{ byName: { http: 0 } }, `["byName"]["http"]`],
    [{ share: 1 }, `["share"]`],
    [{ half: 0.3 }, `["half"]`],
    [{ big: "9" }, `["big"]`],
    [{ bit: 2 }, `["bit"]`],
  ])("%j", (change, path) => {
    expect(refused(all.Numbers, { ...encoded(), ...change })).toEqual([path])
  })
  test("all wrong fields at once", () => {
    expect(
      refused(all.Strings, { ...strings, uuid: "x", email: "x", short: "x", slug: "X", level: "?", quoted: "?", address: "1.2.3" }),
    ).toEqual([`["uuid"]`, `["email"]`, `["short"]`, `["slug"]`, `["level"]`, `["quoted"]`, `["address"]`])
  })
  test("excess keys are dropped", () => {
    expect(Schema.decodeUnknownSync(Schema.toCodecJson(all.Circle))({ kind: "circle", radius: 1, more: 1 })).toEqual({
      kind: "circle",
      radius: 1,
    })
  })
  test("what JSON cannot hold", () => {
    const encode = Schema.encodeUnknownSync(Schema.toCodecJson(all.Numbers))
    expect(() => encode({ ...numbers, any: Number.NaN })).toThrow(/finite/)
    expect(() => Schema.encodeUnknownSync(Schema.toCodecJson(all.Others))({ ...others, anything: { at: new Date() } })).toThrow(/anything/)
  })
})
