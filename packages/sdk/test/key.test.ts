/** The hash is a wire format: a change would send the jobs of existing pools to other shards. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { addressOf, checkKey, firstField, hash32, joinKey, shardOf, splitAddress } from "../src/key.ts"

/** FNV-1a with the murmur3 finalizer, straight from their definitions, over the bytes that TextEncoder gives. */
const reference = (text: string): number => {
  let hash = 0x811c9dc5
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

const vectors: ReadonlyArray<readonly [string, number, number]> = [
  ["", 0xab3e7c0b, 11],
  ["a", 0x1a80b1b3, 179],
  ["acme", 0x7860b3c2, 194],
  ["tenant-1", 0x44a3410f, 15],
  ["tenant-2", 0x362533d4, 212],
  ["kunde/ä", 0x0eebb076, 118],
  ["日本語", 0xea653092, 146],
  ["😀", 0x3303a80a, 10],
  ["0123456789012345678901234567890123456789", 0x21519ec5, 197],
]

describe("hash32", () => {
  test.each(vectors)("%j is %i, shard %i of 256", (text, hash, shard) => {
    expect(hash32(text)).toBe(hash)
    expect(shardOf(text, 256)).toBe(shard)
  })

  test("hashes the UTF-8 bytes of any well-formed text", () => {
    fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 40 }), (text) => hash32(text) === reference(text)))
    fc.assert(fc.property(fc.string({ unit: "grapheme", maxLength: 40 }), (text) => hash32(text) === reference(text)))
  })

  test("spreads short keys evenly: no shard of 64 has more than twice its share of 64,000", () => {
    const counts = Array.from({ length: 64 }, () => 0)
    for (let i = 0; i < 64_000; i++) {
      const shard = shardOf(`t${i}`, 64)
      counts[shard] = (counts[shard] ?? 0) + 1
    }
    expect(Math.max(...counts)).toBeLessThan(1_200)
    expect(Math.min(...counts)).toBeGreaterThan(800)
  })
})

describe("checkKey", () => {
  test("takes 1 to 512 bytes of text", () => {
    for (const key of ["a", "k".repeat(512), "ä".repeat(256), "日".repeat(170), "a/b%c d"]) expect(checkKey(key)).toBe(key)
  })

  test.each([
    [undefined, "expected the key to be a string, got: undefined"],
    [null, "got: null"],
    [7, "got: number"],
    ["", "1 to 512 bytes, got an empty string"],
    ["k".repeat(513), "at most 512 bytes, got 513"],
    ["ä".repeat(257), "at most 512 bytes, got 514"],
    ["a\nb", 'no control characters, got: "a\\nb"'],
    ["a\u0000", "no control characters"],
    ["a\u007f", "no control characters"],
    ["a\ud800", "well-formed Unicode, got a lone surrogate"],
  ])("refuses %j", (key, message) => {
    expect(() => checkKey(key)).toThrow(expect.objectContaining({ _tag: "BadKey", message: expect.stringContaining(message) as string }))
  })
})

describe("addresses", () => {
  const part = fc.string({ minLength: 1, maxLength: 20 }).filter((text) => !/[\u0000-\u001f\u007f]/.test(text)) // oxlint-disable-line no-control-regex -- keys have none

  test("different composite keys have different addresses", () => {
    const keys = fc.array(part, { minLength: 2, maxLength: 3 })
    fc.assert(fc.property(keys, keys, (a, b) => (joinKey(a) === joinKey(b)) === (JSON.stringify(a) === JSON.stringify(b))))
  })

  test("the first field comes back from the key: jobs of one tenant meet there", () => {
    fc.assert(fc.property(fc.array(part, { minLength: 1, maxLength: 3 }), (parts) => firstField(joinKey(parts), parts.length) === parts[0]))
  })

  test("a key comes back from its address, slashes included", () => {
    fc.assert(
      fc.property(part, (key) => {
        expect(splitAddress(addressOf("kind", key))).toEqual({ kind: "kind", key })
      }),
    )
  })
})
