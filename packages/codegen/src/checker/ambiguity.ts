/**
 * Unions whose members cannot be told apart in JSON. A decoder would take the first that fits, and so lose or change data without a word
 * (rule 19).
 */
import type { NamedShape, Shape, UnionShape } from "../domain.ts"
import { membersOf, partsOf, resolve } from "../shape.ts"
import type { Diagnostic } from "./diagnostic.ts"

type Named = ReadonlyMap<string, NamedShape>
type Wire = "string" | "number" | "boolean" | "null" | "array" | "object" | "anything"

const wireOf = (shape: Shape): Wire => {
  switch (shape.kind) {
    case "string":
    case "template":
    case "date":
    case "url":
    case "bytes":
    case "bigint":
      return "string"
    case "number":
    case "boolean":
    case "null":
      return shape.kind
    case "literal":
      return typeof shape.value === "bigint"
        ? "string"
        : typeof shape.value === "string"
          ? "string"
          : typeof shape.value === "number"
            ? "number"
            : "boolean"
    case "array":
    case "set":
    case "map":
    case "tuple":
      return "array"
    case "record":
    case "object":
      return "object"
    case "json":
    case "union":
    case "ref":
    case "wrong":
      return "anything"
  }
}

const nameOf = (shape: Shape, member: Shape): string => {
  if (member.kind === "ref") return member.id
  if (shape.kind === "literal") return typeof shape.value === "bigint" ? `${shape.value}n` : JSON.stringify(shape.value)
  const names: Readonly<Partial<Record<Shape["kind"], string>>> = {
    date: "Date",
    url: "URL",
    bytes: "Uint8Array",
    json: "unknown",
    template: "a template",
    array: "an array",
    set: "Set",
    map: "Map",
    tuple: "a tuple",
    object: "an object",
    record: "Record",
  }
  return names[shape.kind] ?? shape.kind
}

/** Literals and templates of text are themselves in JSON; other strings are another type written as text. */
const isPlain = (shape: Shape): boolean =>
  shape.kind === "string" ||
  shape.kind === "number" ||
  shape.kind === "template" ||
  (shape.kind === "literal" && typeof shape.value !== "bigint")

interface Member {
  readonly shape: Shape
  readonly name: string
}

/** A pair that cannot be told apart, or `undefined`. */
const clash = (a: Member, b: Member): boolean => {
  const wire = wireOf(a.shape)
  if (wire === "anything" || wireOf(b.shape) === "anything") return true
  if (wire !== wireOf(b.shape)) return false
  if (wire === "object") return false
  if (wire === "array") return true
  return !(isPlain(a.shape) && isPlain(b.shape)) && wire !== "null" && wire !== "boolean"
}

const either = (members: ReadonlyArray<Member>): string =>
  members
    .map(({ name }, index) => (members.findIndex((one) => one.name === name) === index ? name : name.replace(/^an? /, "another ")))
    .join(" or ")

export const ambiguity = (union: UnionShape, named: Named): Diagnostic | undefined => {
  const members = membersOf(union, named).map((member): Member => {
    const shape = resolve(member, named)
    return { shape, name: nameOf(shape, member) }
  })
  if (members.some(({ shape }) => shape.kind === "wrong")) return undefined
  for (const [index, a] of members.entries()) {
    const b = members.slice(index + 1).find((other) => clash(a, other))
    if (b === undefined) continue
    return {
      code: "ambiguous-union",
      at: union.at,
      message: `\`${union.path}\` can be ${either([a, b])}, which look the same in JSON.`,
      fix: 'Keep one of them, or give each a field of its own: `{ type: "a"; value: … } | { type: "b"; value: … }`.',
    }
  }
  return objectAmbiguity(union, members)
}

const objectAmbiguity = (union: UnionShape, members: ReadonlyArray<Member>): Diagnostic | undefined => {
  const objects = members.filter(({ shape }) => wireOf(shape) === "object")
  if (objects.length < 2 || discriminantOf(objects) !== undefined) return undefined
  return {
    code: "ambiguous-union",
    at: union.at,
    message: `\`${union.path}\` can be ${either(objects)}, and no field tells which.`,
    fix: 'Give each a required field with a literal of its own: `type: "a"` and `type: "b"`.',
  }
}

/** A required field that has literals in every member, and none of them twice. */
const discriminantOf = (objects: ReadonlyArray<Member>): string | undefined => {
  const [first] = objects
  if (first?.shape.kind !== "object") return undefined
  return first.shape.fields.find(({ name }) => {
    const seen = new Set<unknown>()
    return objects.every(({ shape }) => {
      const field = shape.kind === "object" ? shape.fields.find((one) => one.name === name) : undefined
      if (field === undefined || field.optional) return false
      const values = field.shape.kind === "union" ? field.shape.members : [field.shape]
      return values.every((value) => {
        if (value.kind !== "literal" || seen.has(value.value)) return false
        seen.add(value.value)
        return true
      })
    })
  })?.name
}

/** All unions within a shape, refs not followed. */
export const unionsOf = (shape: Shape): ReadonlyArray<UnionShape> => [
  ...(shape.kind === "union" ? [shape] : []),
  ...partsOf(shape).flatMap(unionsOf),
]
