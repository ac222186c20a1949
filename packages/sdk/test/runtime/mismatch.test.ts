import { Schema } from "effect"
import { describe, expect, test } from "vitest"
import type { AnySchema, Codec } from "../../src/runtime/contract.ts"
import { codecOf } from "../../src/runtime/contract.ts"

const input = Schema.Struct({
  id: Schema.String,
  limit: Schema.optionalKey(Schema.Int),
  login: Schema.optionalKey(Schema.Struct({ user: Schema.String, password: Schema.String })),
  parts: Schema.optionalKey(Schema.Array(Schema.Struct({ at: Schema.Date }))),
  byName: Schema.optionalKey(Schema.ReadonlyMap(Schema.String, Schema.Struct({ n: Schema.Finite }))),
  shape: Schema.optionalKey(
    Schema.Union([
      Schema.Struct({ kind: Schema.Literal("dot"), x: Schema.Finite }),
      Schema.Struct({ kind: Schema.Literal("line"), y: Schema.Finite }),
    ]),
  ),
  free: Schema.optionalKey(Schema.Unknown),
  names: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
})
const codec = codecOf(input as unknown as AnySchema)

const told = (call: () => unknown): { message: string; details: any } => {
  try {
    call()
  } catch (error) {
    expect(error).toMatchObject({ _tag: "BadInput" })
    return error as { message: string; details: any }
  }
  throw new Error("it was accepted")
}

describe("a value that does not match its type is refused", () => {
  test.each<readonly [name: string, value: unknown, path: string, expected: string, got: string]>([
    ["another type", { id: 7 }, "id", "string", "7"],
    ["a missing field", {}, "id", "a value", "nothing"],
    ["a limit", { id: "a", limit: 1.5 }, "limit", "an integer", "1.5"],
    ["in a list", { id: "a", parts: [{ at: new Date(0) }, { at: "today" }] }, "parts.1.at", "a valid Date", '"today"'],
    ["in a map", { id: "a", byName: new Map([["x", { n: "1" }]]) }, "byName.entries.0.1.n", "number", '"1"'],
    ["the value itself", "text", "", "object", '"text"'],
  ])("%s: path, what was expected and what came", (_, value, path, expected, got) => {
    const { message, details } = told(() => codec.encode(value, "the input of feed"))
    expect(details).toMatchObject({ what: "the input of feed", path, got, issues: [{ path, got }] })
    expect(details.expected).toContain(expected)
    expect(message).toContain(`expected ${details.expected}, got ${got}`)
    expect(message).toContain(path === "" ? "the value" : `\`${path}\``)
  })

  test("all wrong fields are named", () => {
    expect(told(() => codec.encode({ id: 1, limit: "x" }, "it")).details.issues.map(({ path }: any) => path)).toEqual(["id", "limit"])
    expect(told(() => codec.decode({ id: 1, limit: "x" }, "it")).details.issues.map(({ path }: any) => path)).toEqual(["id", "limit"])
  })

  test("of what came 100 characters are shown, and nothing of what is called a secret", () => {
    const long = told(() => codec.encode({ id: "a", limit: "y".repeat(5_000_000) }, "it"))
    expect(long.message.length).toBeLessThan(400)
    expect(JSON.stringify(long.details).length).toBeLessThan(600)
    const many = told(() => codec.encode({ id: "a", parts: Array.from({ length: 1_000 }, () => ({ at: 1 })) }, "it"))
    expect(many.message).toContain("and 990 more")
    expect(many.message.length).toBeLessThan(1_000)
    const secret = told(() => codec.encode({ id: 1, login: { user: 1, password: ["hunter2"] } }, "it"))
    expect(JSON.stringify(secret) + secret.message).not.toContain("hunter2")
    const whole = told(() => codec.encode([{ password: "hunter2", more: "x" }], "it"))
    expect(JSON.stringify(whole) + whole.message).not.toContain("hunter2")
  })

  test("also where it cannot be shown", () => {
    const circle: Record<string, unknown> = {}
    circle["self"] = circle
    expect(told(() => codec.encode({ id: "a", free: circle }, "it")).details.got).toBe("a cycle, or more levels")
    expect(told(() => codec.encode({ id: 10n }, "it")).details.got).toBe('"10n"')
    expect(told(() => codec.encode({ id: () => 1 }, "it")).details.path).toBe("id")
  })
})

describe("a field that the type does not have", () => {
  const both = (value: unknown): { exact: ReturnType<typeof told>; plain: ReturnType<Codec["encode"]> } => ({
    exact: told(() => codec.encodeExact(value, "the input of feed")),
    plain: codec.encode(value, "it"),
  })

  test.each<readonly [name: string, value: Record<string, unknown>, path: string]>([
    ["at the top", { id: "a", limt: 3 }, "limt"],
    ["in an object", { id: "a", login: { user: "u", password: "p", otp: 1 } }, "login.otp"],
    ["in a list", { id: "a", parts: [{ at: new Date(0), off: 1 }] }, "parts.0.off"],
    ["in a map", { id: "a", byName: new Map([["x", { n: 1, m: 2 }]]) }, "byName.entries.0.1.m"],
    ["in a member of a union", { id: "a", shape: { kind: "dot", x: 1, y: 2 } }, "shape.y"],
  ])("%s is refused by name where it comes from outside, else left out", (_, value, path) => {
    const { exact, plain } = both(value)
    expect(exact.details).toMatchObject({ path })
    expect(exact.message).toContain("expected no such field")
    expect(codec.decode(JSON.parse(JSON.stringify(plain)), "it")).not.toEqual(value)
  })

  test("what the type knows is accepted, whatever it holds", () => {
    const whole = {
      id: "a",
      limit: undefined,
      login: { user: "u", password: "p" },
      parts: [{ at: new Date(5) }],
      byName: new Map([["x", { n: 1 }]]),
      shape: { kind: "line", y: 1 },
      free: { any: { thing: [1, { x: null }] } },
      names: { a: "1", b: "2" },
    }
    expect(codec.encodeExact(whole, "it")).toEqual(codec.encode(whole, "it"))
    expect(codec.encodeExact({ id: "a", limt: undefined }, "it")).toEqual({ id: "a" })
  })

  test("something for a void is refused", () => {
    expect(codecOf(null).encodeExact(undefined, "it")).toBeNull()
    expect(told(() => codecOf(null).encodeExact({ by: "me" }, "signal stop"))).toMatchObject({ details: { got: '{"by":"me"}' } })
  })
})
