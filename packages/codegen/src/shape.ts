/** Pure questions about shapes: order of union members, wire forms, and the declared errors of a payload. */
import type { Constraint, Definition, Job, LiteralValue, NamedShape, Payload, Place, Shape } from "./domain.ts"

type Named = ReadonlyMap<string, NamedShape>

const literalText = (value: LiteralValue): string => (typeof value === "bigint" ? `${value}n` : JSON.stringify(value))
const constraintsText = (constraints: ReadonlyArray<Constraint>): string =>
  constraints.map(({ name, value }) => `${name}=${value}`).join(",")

/**
 * A text that is the same for the same shape, whatever order the compiler gave its parts. Refs count by name, so it terminates for
 * recursive types; the contract's hash replaces names by numbers itself.
 */
export const keyOf = (shape: Shape): string => {
  switch (shape.kind) {
    case "string":
    case "number":
    case "bigint":
      return `${shape.kind}(${constraintsText(shape.constraints)})`
    case "literal":
      return `literal ${typeof shape.value} ${literalText(shape.value)}`
    case "template":
      return `template ${shape.parts.map((part) => ("text" in part ? JSON.stringify(part.text) : part.kind)).join(" ")}`
    case "array":
    case "set":
      return `${shape.kind}(${constraintsText(shape.constraints)}) ${keyOf(shape.item)}`
    case "map":
      return `map(${constraintsText(shape.constraints)}) ${keyOf(shape.key)} ${keyOf(shape.value)}`
    case "tuple":
      return `tuple [${shape.items.map((item) => keyOf(item.shape) + (item.optional ? "?" : "")).join(", ")}] ${shape.rest === undefined ? "" : keyOf(shape.rest)}`
    case "record":
      return `record ${keyOf(shape.value)}`
    case "object": {
      const fields = shape.fields.map((field) => `${JSON.stringify(field.name)}${field.optional ? "?" : ""}: ${keyOf(field.shape)}`)
      return `object {${fields.sort(compare).join(", ")}} ${shape.rest === undefined ? "" : keyOf(shape.rest)}`
    }
    case "union":
      return `union (${shape.members.map(keyOf).sort(compare).join(" | ")})`
    case "ref":
      return `ref ${shape.id}`
    case "boolean":
    case "null":
    case "json":
    case "date":
    case "url":
    case "bytes":
    case "wrong":
      return shape.kind
  }
}

/** By code unit: the same on every machine, whatever its locale. */
export const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

const compareLiterals = (a: LiteralValue, b: LiteralValue): number => {
  if (typeof a !== typeof b) return compare(typeof a, typeof b)
  if (typeof a === "string" || typeof b === "string") return compare(String(a), String(b))
  return a < b ? -1 : a > b ? 1 : 0
}

/** Sorts members and drops doubles: the compiler's order depends on unrelated declarations (rule 18). */
export const union = (members: ReadonlyArray<Shape>, at: Place, path: string): Shape => {
  const unique = [...new Map(members.map((member) => [keyOf(member), member])).entries()]
  const sorted = unique
    .sort(([a, x], [b, y]) => (x.kind === "literal" && y.kind === "literal" ? compareLiterals(x.value, y.value) : compare(a, b)))
    .map(([, member]) => member)
  const only = sorted[0]
  return sorted.length === 1 && only !== undefined ? only : { kind: "union", members: sorted, at, path }
}

/** Follows refs to a shape that has a form of its own. */
export const resolve = (shape: Shape, named: Named): Shape => {
  let current = shape
  for (let i = 0; current.kind === "ref" && i < 100; i++) current = named.get(current.id)?.shape ?? { kind: "wrong" }
  return current
}

/** Members of a union through refs, flat; any other shape is its only member. */
export const membersOf = (shape: Shape, named: Named): ReadonlyArray<Shape> => {
  const seen = new Set<Shape>()
  const flat = (one: Shape): ReadonlyArray<Shape> => {
    const resolved = resolve(one, named)
    if (resolved.kind !== "union") return [one]
    if (seen.has(resolved)) return []
    seen.add(resolved)
    return resolved.members.flatMap(flat)
  }
  return flat(shape)
}

export interface DeclaredError {
  readonly tag: string
  readonly id: string
  readonly type: NamedShape
}

/** The members of an error payload that are named objects with a literal `_tag`; the checker reports the others. */
export const errorsOf = (payload: Payload, named: Named): ReadonlyArray<DeclaredError> => {
  if (payload.shape === null) return []
  return membersOf(payload.shape, named)
    .flatMap((member): ReadonlyArray<DeclaredError> => {
      const type = member.kind === "ref" ? named.get(member.id) : undefined
      const tag = type === undefined ? undefined : tagOf(resolve(member, named))
      return type === undefined || tag === undefined ? [] : [{ tag, id: type.id, type }]
    })
    .sort((a, b) => compare(a.tag, b.tag))
}

/** The literal `_tag` of an object. */
export const tagOf = (shape: Shape): string | undefined => {
  if (shape.kind !== "object") return undefined
  const tag = shape.fields.find((field) => field.name === "_tag")
  return tag !== undefined && !tag.optional && tag.shape.kind === "literal" && typeof tag.shape.value === "string"
    ? tag.shape.value
    : undefined
}

/** All declared errors of a definition, one per tag, sorted. */
export const allErrors = (definition: Definition): ReadonlyArray<DeclaredError> => {
  const byTag = new Map<string, DeclaredError>()
  for (const job of definition.jobs) {
    const payloads = [job.error, ...job.updates.map((one) => one.error), ...job.activities.map((one) => one.error)]
    for (const error of payloads.flatMap((payload) => errorsOf(payload, definition.named)))
      if (!byTag.has(error.tag)) byTag.set(error.tag, error)
  }
  return [...byTag.values()].sort((a, b) => compare(a.tag, b.tag))
}

/** The shapes that a shape is made of. */
export const partsOf = (shape: Shape): ReadonlyArray<Shape> => {
  switch (shape.kind) {
    case "array":
    case "set":
      return [shape.item]
    case "map":
      return [shape.key, shape.value]
    case "record":
      return [shape.value]
    case "tuple":
      return [...shape.items.map((item) => item.shape), ...(shape.rest === undefined ? [] : [shape.rest])]
    case "object":
      return [...shape.fields.map((field) => field.shape), ...(shape.rest === undefined ? [] : [shape.rest])]
    case "union":
      return shape.members
    case "string":
    case "number":
    case "bigint":
    case "literal":
    case "template":
    case "ref":
    case "boolean":
    case "null":
    case "json":
    case "date":
    case "url":
    case "bytes":
    case "wrong":
      return []
  }
}

/** Ids that a shape names itself. */
export const refsOf = (shape: Shape): ReadonlyArray<string> => (shape.kind === "ref" ? [shape.id] : partsOf(shape).flatMap(refsOf))

/** Named shapes that are met from some shapes on, each once, in the order of meeting. */
export const reachable = (shapes: ReadonlyArray<Shape>, named: Named): ReadonlyArray<NamedShape> => {
  const found = new Map<string, NamedShape>()
  const visit = (shape: Shape): void => {
    for (const id of refsOf(shape)) {
      const one = named.get(id)
      if (one === undefined || found.has(id)) continue
      found.set(id, one)
      visit(one.shape)
    }
  }
  for (const shape of shapes) visit(shape)
  return [...found.values()]
}

export const payloadsOfJob = (job: Job): ReadonlyArray<Payload> => [
  job.input,
  job.state,
  job.result,
  job.error,
  ...job.signals.map(({ payload }) => payload),
  ...[...job.queries, ...job.updates, ...job.activities].flatMap(({ input, output, error }) => [input, output, error]),
]

export const payloadShapes = (job: Job): ReadonlyArray<Shape> => payloadsOfJob(job).flatMap(({ shape }) => (shape === null ? [] : [shape]))
