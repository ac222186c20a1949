/**
 * Values of steps have no schema: JSON, extended by what JSON loses silently (`undefined`, bigint, Date, Map, Set, bytes, NaN and infinities).
 * Anything else (functions, class instances, cycles) is refused, since a replay would give something else than the first run.
 */
import { NotAllowed } from "../errors.ts"

const mark = "$ponos"

const refuse = (what: string, path: string, found: string): never => {
  throw new NotAllowed(
    `expected ${what} to be plain data (JSON, undefined, bigint, Date, Map, Set, Uint8Array), got ${found} at ${path === "" ? "the top" : path}. ` +
      `Return plain data, or journal what is needed to make it again.`,
    { path, found },
  )
}

const encode = (value: unknown, what: string, path: string, depth: number): unknown => {
  if (depth > 100) return refuse(what, path, "a cycle, or more than 100 levels")
  switch (typeof value) {
    case "string":
    case "boolean":
      return value
    case "number":
      return Number.isFinite(value) && !Object.is(value, -0) ? value : { [mark]: "number", v: Object.is(value, -0) ? "-0" : String(value) }
    case "undefined":
      return { [mark]: "undefined" }
    case "bigint":
      return { [mark]: "bigint", v: value.toString() }
    case "object":
      return value === null ? null : encodeObject(value, what, path, depth + 1)
    default:
      return refuse(what, path, `a ${typeof value}`)
  }
}

const encodeObject = (value: object, what: string, path: string, depth: number): unknown => {
  const inner = (item: unknown, name: string | number): unknown => encode(item, what, path === "" ? String(name) : `${path}.${name}`, depth)
  // not `map`, which skips holes
  if (Array.isArray(value)) return Array.from(value, inner)
  // JSON has no NaN: an invalid date is null
  if (value instanceof Date) return { [mark]: "date", v: value.getTime() }
  if (value instanceof Map) return { [mark]: "map", v: [...value].map(([key, item], i) => [inner(key, i), inner(item, i)]) }
  if (value instanceof Set) return { [mark]: "set", v: [...value].map(inner) }
  if (value instanceof Uint8Array)
    return {
      [mark]: Buffer.isBuffer(value) ? "buffer" : "bytes",
      v: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64"),
    }
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null)
    return refuse(what, path, `an instance of ${value.constructor.name || "a class"}`)
  // not by assignment, which would make a member `__proto__` the prototype
  const result = Object.fromEntries(Object.entries(value).map(([name, item]) => [name, inner(item, name)]))
  // a user's own object that looks like a mark is wrapped, so that it comes back as it was
  return mark in value ? { [mark]: "object", v: result } : result
}

const numbers: Readonly<Record<string, number>> = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  "-Infinity": Number.NEGATIVE_INFINITY,
  "-0": -0,
}

const members = (value: object): Record<string, unknown> =>
  Object.fromEntries(Object.entries(value).map(([name, item]) => [name, decodeValue(item)]))

export const encodeValue = (value: unknown, what: string): unknown => encode(value, what, "", 0)

export const decodeValue = (value: unknown): unknown => {
  if (typeof value !== "object" || value === null) return value
  if (Array.isArray(value)) return value.map(decodeValue)
  const marked = value as { readonly [mark]?: string; readonly v?: any }
  switch (marked[mark]) {
    case undefined:
      return members(value)
    case "undefined":
      return undefined
    case "number":
      return numbers[marked.v as string]
    case "bigint":
      return BigInt(marked.v as string)
    case "date":
      return new Date((marked.v as number | null) ?? Number.NaN)
    case "map":
      return new Map((marked.v as ReadonlyArray<readonly [unknown, unknown]>).map(([key, item]) => [decodeValue(key), decodeValue(item)]))
    case "set":
      return new Set((marked.v as ReadonlyArray<unknown>).map(decodeValue))
    case "buffer":
      return Buffer.from(marked.v as string, "base64")
    case "bytes":
      return new Uint8Array(Buffer.from(marked.v as string, "base64"))
    default:
      return members(marked.v as object)
  }
}
