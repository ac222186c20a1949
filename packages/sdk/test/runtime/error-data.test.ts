import { Schema } from "effect"
import { expect, test } from "vitest"
import { encodeError } from "../../src/runtime/body.ts"

const errors = { Gone: Schema.TaggedStruct("Gone", { status: Schema.Number }) }
const thrown = (fields: object): Error => Object.assign(new Error("gone"), { _tag: "Gone", ...fields })

test("a declared error keeps its fields, and one that does not fit its type is kept as any other", () => {
  expect(encodeError(thrown({ status: 410 }), errors)).toMatchObject({ tag: "Gone", fields: { status: 410 } })
  expect(encodeError(thrown({ status: "410" }), errors)).toEqual({ tag: "Gone", message: "gone" })
})
