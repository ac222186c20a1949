import { expect, test } from "vitest"
import * as errors from "../src/errors.ts"

const classes = Object.entries(errors).filter(([, value]) => typeof value === "function" && "tag" in value) as Array<
  [string, errors.PonosErrorClass<errors.ErrorTag>]
>

test("every class has the tag of its name, a code of its own and a fate", () => {
  expect(classes.length).toBeGreaterThan(25)
  const codes = new Set<string>()
  for (const [name, Class] of classes) {
    const error = new Class("what was expected", { field: 1 }, "cause")
    expect(Class.tag).toBe(name)
    expect(error).toMatchObject({ _tag: name, name, code: Class.code, details: { field: 1 }, cause: "cause" })
    expect(error.message).toBe(`${name} [${Class.code}] what was expected`)
    expect(["terminal", "retryable", "blocked"]).toContain(error.fate)
    expect(Class.code).toMatch(/^ponos:[a-z_]+$/)
    codes.add(Class.code)
  }
  expect(codes.size).toBe(classes.length)
})

test("errors compare by tag, also from another copy of this module", () => {
  const foreign = { _tag: "Deposed", message: "from a second install" }
  expect(errors.Deposed.is(foreign)).toBe(true)
  expect(errors.Deposed.is(new errors.RunEnded("x"))).toBe(false)
  for (const other of [undefined, null, "Deposed", 1, new Error("x")]) expect(errors.Deposed.is(other)).toBe(false)
})
