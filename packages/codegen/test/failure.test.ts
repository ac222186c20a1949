/** Generated error classes, at run time. */
import { expect, test } from "vitest"
import { Busy, Empty, NotFound } from "./fixtures/composite/ponos.gen/errors.ts"
import { oneFeed } from "./fixtures/composite/ponos.gen/contracts.ts"

test("an error has its fields, its tag and a message that shows them", () => {
  const error = new NotFound({ path: "/a" })
  expect(error).toBeInstanceOf(Error)
  expect({ tag: error._tag, name: error.name, path: error.path }).toEqual({ tag: "NotFound", name: "NotFound", path: "/a" })
  expect(error.message).toContain("/a")
  expect(Object.keys(error)).toContain("path")
})

test("a declared message is the error's message, and absent fields are absent", () => {
  const error = new Busy({ message: "later" })
  expect(error.message).toBe("later")
  expect("until" in error).toBe(false)
  expect(new Empty()._tag).toBe("Empty")
})

test("errors are told apart by tag, so also data and those of a second copy of the code", () => {
  expect(NotFound.is(new NotFound({ path: "" }))).toBe(true)
  expect(NotFound.is({ _tag: "NotFound", path: "" })).toBe(true)
  expect([Busy.is(new NotFound({ path: "" })), Busy.is(null), Busy.is("Busy"), Busy.is(new Error("Busy"))]).toEqual([
    false,
    false,
    false,
    false,
  ])
})

test("a contract has the classes of all its errors", () => {
  expect(oneFeed.failures).toEqual({ Busy, Empty, NotFound })
  expect(Object.keys(oneFeed.schemas.errors)).toEqual(["Busy", "NotFound"])
  expect(Object.keys(oneFeed.schemas.activities["flush"]?.errors ?? {})).toEqual(["Busy", "Empty", "NotFound"])
})
