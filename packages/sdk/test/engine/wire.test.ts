import { expect, test } from "vitest"
import { encodeCall } from "../../src/engine/redis/wire.ts"

/** What RESP says of these texts. */
const expected = (texts: ReadonlyArray<string>): string =>
  `*${texts.length}\r\n${texts.map((text) => `$${Buffer.byteLength(text)}\r\n${text}\r\n`).join("")}`

const texts = [
  "",
  "a",
  "nine char",
  "ten chars.",
  "é",
  "short, with ü in it, and more",
  "日本語のキー",
  "😀 beyond the basic plane",
  "x".repeat(47),
  "x".repeat(48),
  "x".repeat(49),
  "x".repeat(99),
  "x".repeat(100),
  "x".repeat(999),
  "x".repeat(1_000),
  `${"x".repeat(990)}ü`,
  `${"ü".repeat(600)}`,
  "y".repeat(1_700),
  "tab\tand\nline",
]

test("a call is written as RESP says, whatever the lengths of its texts in characters and in bytes", () => {
  const both = ["evalsha", ...texts, "1", ...texts.toReversed()]
  expect(encodeCall(["evalsha"], texts, ["1"], texts.toReversed()).equals(Buffer.from(expected(both)))).toBe(true)
  for (const text of texts) expect(encodeCall(["x", text], [], [text]).toString()).toBe(expected(["x", text, text]))
})

test("a half of a surrogate pair becomes what UTF-8 has for it, and its length is right", () => {
  expect(encodeCall(["x", "a\ud800b", `${"z".repeat(60)}\udc00`]).toString()).toBe(
    expected(["x", "a\ud800b", `${"z".repeat(60)}\udc00`])
      .replaceAll("\ud800", "\ufffd")
      .replaceAll("\udc00", "\ufffd"),
  )
})
