/** What is in objects of plain data: remembered, compared, put back, without the objects becoming other ones. */

/** A list, or an object with members. */
export type DataObject = { [name: string]: unknown } | Array<unknown>
/** The items of a list; the members of an object, on one without a prototype, so that a member may have any name. */
export type Contents = ReadonlyArray<unknown> | Readonly<{ [name: string]: unknown }>

const isOther = (value: object): boolean =>
  value instanceof Map || value instanceof Set || value instanceof Date || value instanceof Uint8Array || value instanceof URL

export const isDataObject = (value: unknown): value is DataObject => typeof value === "object" && value !== null && !isOther(value)

export const contentsOf = (record: DataObject): Contents =>
  Array.isArray(record) ? record.slice() : (Object.assign(Object.create(null), record) as Contents)

/** Names of members, or places, that have something else in them than they had. */
export const changedMembers = (record: DataObject, contents: Contents): ReadonlyArray<string> => {
  const now = contentsOf(record) as Readonly<{ [name: string]: unknown }>
  const then = contents as Readonly<{ [name: string]: unknown }>
  const names = new Set([...Object.keys(then), ...Object.keys(now)])
  return [...names].filter((name) => !Object.is(now[name], then[name]) || Object.hasOwn(now, name) !== Object.hasOwn(then, name))
}

const fill = (record: DataObject, contents: Contents): void => {
  if (Array.isArray(record)) {
    record.length = 0
    for (const item of contents as ReadonlyArray<unknown>) record.push(item)
    return
  }
  for (const name of Object.keys(record)) if (!Object.hasOwn(contents, name)) delete record[name]
  for (const [name, value] of Object.entries(contents))
    // not by assignment, which would make a member `__proto__` the prototype
    if (!Object.is(record[name], value))
      Object.defineProperty(record, name, { value, writable: true, enumerable: true, configurable: true })
}

/** What puts back the contents of one object; `undefined`: they cannot be changed. What is in it comes through `inner`. */
const rememberOne = (value: object, inner: (value: unknown) => void): (() => void) | undefined => {
  if (value instanceof Map) {
    const entries = [...(value as Map<unknown, unknown>)]
    for (const [key, item] of entries) {
      inner(key)
      inner(item)
    }
    return () => {
      value.clear()
      for (const [key, item] of entries) value.set(key, item)
    }
  }
  if (value instanceof Set) {
    const items = [...(value as Set<unknown>)]
    for (const item of items) inner(item)
    return () => {
      value.clear()
      for (const item of items) value.add(item)
    }
  }
  if (value instanceof Date) {
    const time = value.getTime()
    return () => void value.setTime(time)
  }
  if (value instanceof Uint8Array) {
    const bytes = value.slice()
    return () => value.set(bytes)
  }
  if (value instanceof URL) {
    const { href } = value
    return () => void (value.href = href)
  }
  if (!Object.isExtensible(value)) return undefined
  const record = value as DataObject
  const contents = contentsOf(record)
  for (const item of Object.values(contents)) inner(item)
  return () => fill(record, contents)
}

/** All objects of a value, each once, until `look` gives false. */
const walk = (value: unknown, look: (node: object, inner: (value: unknown) => void) => boolean): boolean => {
  const seen = new Set<object>()
  const left: Array<object> = []
  const inner = (item: unknown): void => {
    if (typeof item !== "object" || item === null || seen.has(item)) return
    seen.add(item)
    left.push(item)
  }
  inner(value)
  for (let node = left.pop(); node !== undefined; node = left.pop()) if (!look(node, inner)) return false
  return true
}

/** Gives what puts back all that is in a value now; `undefined`: a part of it is frozen. */
export const remember = (value: unknown): (() => void) | undefined => {
  const undo: Array<() => void> = []
  const whole = walk(value, (node, inner) => {
    const one = rememberOne(node, inner)
    if (one !== undefined) undo.push(one)
    return one !== undefined
  })
  return whole ? () => undo.forEach((one) => one()) : undefined
}

const isIn = (wanted: object, value: unknown): boolean => {
  const valuesOf = (node: object): Iterable<unknown> =>
    node instanceof Map ? [...node].flat() : node instanceof Set ? node : Object.values(node)
  return !walk(value, (node, inner) => {
    for (const item of isDataObject(node) || node instanceof Map || node instanceof Set ? valuesOf(node) : []) inner(item)
    return node !== wanted
  })
}

/** Puts what is in `next` into `record`. False: it is of another shape, or is built around the record itself. */
export const overwrite = (record: unknown, next: unknown): boolean => {
  if (!isDataObject(record) || !isDataObject(next) || Array.isArray(record) !== Array.isArray(next) || isIn(record, next)) return false
  fill(record, contentsOf(next))
  return true
}
