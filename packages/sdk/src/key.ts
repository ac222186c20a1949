/**
 * Keys, addresses and shards. The hash is a wire format: it must never change (known-answer vectors in the tests).
 */
import { BadKey, BadOption } from "./errors.ts"
import { optionTable } from "./options.ts"

const encoder = new TextEncoder()

/** Checks one key as users give it: 1 to 512 bytes of UTF-8, no control characters. */
export const checkKey = (key: unknown, what = "the key"): string => {
  if (typeof key !== "string") throw new BadKey(`expected ${what} to be a string, got: ${key === null ? "null" : typeof key}`, { key })
  if (key === "") throw new BadKey(`expected ${what} to have 1 to ${optionTable.keyBytes.max} bytes, got an empty string`, { key })
  // oxlint-disable-next-line no-control-regex -- control characters are what is refused: drivers use them as separators
  if (/[\u0000-\u001f\u007f]/.test(key))
    throw new BadKey(`expected ${what} to have no control characters, got: ${JSON.stringify(key)}`, { key })
  const bytes = key.length * 3 <= optionTable.keyBytes.max ? 0 : encoder.encode(key).length
  if (bytes > optionTable.keyBytes.max)
    throw new BadKey(`expected ${what} to have at most ${optionTable.keyBytes.max} bytes, got ${bytes}: use a shorter id`, { bytes })
  if (!key.isWellFormed()) throw new BadKey(`expected ${what} to be well-formed Unicode, got a lone surrogate`, { key })
  return key
}

/** A part of a composite key inside an address: `%` and `/` are escaped, so that the parts can be told apart. */
const escapePart = (part: string): string => part.replaceAll("%", "%25").replaceAll("/", "%2F")

/** The key of an address: one field as it is, several joined by `/` (api rule 11). */
export const joinKey = (parts: ReadonlyArray<string>): string =>
  parts.length === 1 ? (parts[0] ?? "") : checkKey(parts.map(escapePart).join("/"), "the composite key")

/** The first field of a key: the tenant, which decides the shard. `fields`: how many the key has. */
export const firstField = (key: string, fields: number): string => {
  if (fields === 1) return key
  const [first = ""] = key.split("/", 1)
  return first.replaceAll("%2F", "/").replaceAll("%25", "%")
}

export const addressOf = (kind: string, key: string): string => `${kind}/${key}`

export const splitAddress = (address: string): { readonly kind: string; readonly key: string } => {
  const slash = address.indexOf("/")
  return { kind: address.slice(0, slash), key: address.slice(slash + 1) }
}

/** FNV-1a, 32 bits, over UTF-8, with the murmur3 finalizer (FNV alone leaves short keys unevenly in the low bits). */
export const hash32 = (text: string): number => {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) {
    let code = text.charCodeAt(i)
    if (code < 0x80) {
      hash = Math.imul(hash ^ code, 0x01000193)
      continue
    }
    if (code < 0x800) {
      hash = Math.imul(hash ^ (0xc0 | (code >> 6)), 0x01000193)
    } else {
      if (code >= 0xd800 && code < 0xdc00) {
        code = 0x10000 + ((code - 0xd800) << 10) + (text.charCodeAt(++i) - 0xdc00)
        hash = Math.imul(hash ^ (0xf0 | (code >> 18)), 0x01000193)
        hash = Math.imul(hash ^ (0x80 | ((code >> 12) & 63)), 0x01000193)
      } else {
        hash = Math.imul(hash ^ (0xe0 | (code >> 12)), 0x01000193)
      }
      hash = Math.imul(hash ^ (0x80 | ((code >> 6) & 63)), 0x01000193)
    }
    hash = Math.imul(hash ^ (0x80 | (code & 63)), 0x01000193)
  }
  hash ^= hash >>> 16
  hash = Math.imul(hash, 0x85ebca6b)
  hash ^= hash >>> 13
  hash = Math.imul(hash, 0xc2b2ae35)
  hash ^= hash >>> 16
  return hash >>> 0
}

/** Shard of a key (of its first field, if composite), so that all jobs of one tenant meet on one worker. */
export const shardOf = (firstField: string, shards: number): number => hash32(firstField) % shards

/** Checks the name of a pool: it is part of every key and channel. */
export const checkPoolName = (pool: unknown): string => {
  if (typeof pool !== "string" || !/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,99}$/.test(pool))
    throw new BadOption(
      `expected pool to be a name of 1 to 100 letters, digits, "-", "_" or ".", got: ${JSON.stringify(pool) ?? "undefined"}`,
      { option: "pool" },
    )
  return pool
}
