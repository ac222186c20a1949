/**
 * The contract of a job: what two versions of its code must agree on. Data that is stored or sent counts; retry, time-outs, prose and the
 * names of types do not. Everything is sorted, so that the file changes only when the meaning does.
 */
import { createHash } from "node:crypto"
import type { Constraint, Definition, Job, NamedShape, Operation, Payload, Shape, TemplatePart } from "./domain.ts"
import { compare, errorsOf, reachable } from "./shape.ts"

export type Json = null | boolean | number | string | ReadonlyArray<Json> | { readonly [name: string]: Json }

/** Version of this description's form; a change of form is a change of every contract. */
const form = 1

type Named = ReadonlyMap<string, NamedShape>
/** How parts with a structure of their own are shown. */
interface Style {
  /** What stands for a named type. */
  ref(id: string): Json
  /** What stands for an object or a union that is written in place. */
  inPlace(description: Json): Json
}

const readable: Style = { ref: (id) => ({ ref: id }), inPlace: (description) => description }

const sorted = (entries: ReadonlyArray<readonly [string, Json]>): Json => Object.fromEntries(entries.toSorted(([a], [b]) => compare(a, b)))

const constrained = (type: string, constraints: ReadonlyArray<Constraint>, rest: ReadonlyArray<readonly [string, Json]> = []): Json =>
  constraints.length === 0 && rest.length === 0
    ? type
    : sorted([
        ["type", type],
        ...rest,
        ...constraints.map(({ name, value }): readonly [string, Json] => [name, value === "" ? true : value]),
      ])

const templatePart = (part: TemplatePart): Json => ("text" in part ? { text: part.text } : part.kind)

export const describeShape = (shape: Shape, style: Style): Json => {
  const go = (inner: Shape): Json => describeShape(inner, style)
  switch (shape.kind) {
    case "string":
    case "number":
    case "bigint":
      return constrained(shape.kind, shape.constraints)
    case "literal":
      return typeof shape.value === "bigint" ? { bigint: shape.value.toString() } : { literal: shape.value }
    case "template":
      return { template: shape.parts.map(templatePart) }
    case "array":
    case "set":
      return constrained(shape.kind, shape.constraints, [["of", go(shape.item)]])
    case "map":
      return constrained("map", shape.constraints, [
        ["key", go(shape.key)],
        ["of", go(shape.value)],
      ])
    case "tuple":
      return sorted([
        ["type", "tuple"],
        ["items", shape.items.map((item) => (item.optional ? { optional: go(item.shape) } : go(item.shape)))],
        ...(shape.rest === undefined ? [] : ([["rest", go(shape.rest)]] as const)),
      ])
    case "record":
      return { type: "record", of: go(shape.value) }
    case "object":
      return style.inPlace(
        sorted([
          ["fields", sorted(shape.fields.map((field) => [field.optional ? `${field.name}?` : field.name, go(field.shape)]))],
          ...(shape.rest === undefined ? [] : ([["rest", go(shape.rest)]] as const)),
        ]),
      )
    case "union": {
      // Sorted by what is printed here: the order of the shape itself depends on the names of types.
      const members = shape.members.map(go)
      return style.inPlace({ union: members.toSorted((a, b) => compare(JSON.stringify(a), JSON.stringify(b))) })
    }
    case "ref":
      return style.ref(shape.id)
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

const describePayload = (payload: Payload, style: Style): Json => (payload.shape === null ? null : describeShape(payload.shape, style))

const describeOperation = (operation: Operation, named: Named, style: Style): Json => ({
  in: describePayload(operation.input, style),
  out: describePayload(operation.output, style),
  errors: describeErrors(operation.error, named, style),
})

const describeErrors = (payload: Payload, named: Named, style: Style): Json =>
  sorted(errorsOf(payload, named).map(({ tag, id }) => [tag, style.ref(id)]))

const describeJob = (job: Job, named: Named, style: Style): { readonly [name: string]: Json } => {
  const byName = (operations: ReadonlyArray<Operation>): Json =>
    sorted(operations.map((operation) => [operation.name, describeOperation(operation, named, style)]))
  return {
    kind: job.kind?.value ?? "",
    key: job.key.map(({ field }) => field),
    input: describePayload(job.input, style),
    state: describePayload(job.state, style),
    result: describePayload(job.result, style),
    errors: describeErrors(job.error, named, style),
    signals: sorted(job.signals.map((signal) => [signal.name, describePayload(signal.payload, style)])),
    queries: byName(job.queries),
    updates: byName(job.updates),
    activities: byName(job.activities),
    ...(job.stateVersion === 1 ? {} : { stateVersion: job.stateVersion }),
  }
}

const digest = (value: Json): string => createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 16)

/**
 * Hash of one job's contract. A type counts by its structure, not by its name, and parts written in place are hashed as named ones are, so
 * that renaming a type, or giving one a name, changes nothing (but for a name within a recursive type).
 */
export const versionOf = (job: Job, named: Named): string => {
  const hashes = new Map<string, string>()
  const hashOf = (id: string): string => {
    if (!hashes.has(id)) for (const [one, hash] of hashCycle(cycleOf(id, named), hashOf)) hashes.set(one, hash)
    return hashes.get(id) ?? ""
  }
  return digest([form, describeJob(job, named, { ref: hashOf, inPlace: digest })])
}

/** A type and those that contain each other with it. */
const cycleOf = (id: string, named: Named): ReadonlyArray<NamedShape> => {
  const one = named.get(id)
  if (one === undefined) return []
  const others = reachable([one.shape], named).filter((other) => reachable([other.shape], named).includes(one))
  return others.includes(one) ? others : [one]
}

/**
 * In each round the hash of a type is made from the hashes of its parts in the round before: after as many rounds as the cycle has types,
 * all that differ in structure differ in hash.
 */
const hashCycle = (cycle: ReadonlyArray<NamedShape>, outside: (id: string) => string): ReadonlyMap<string, string> => {
  let hashes = new Map(cycle.map(({ id }) => [id, ""]))
  const style: Style = { ref: (id) => hashes.get(id) ?? outside(id), inPlace: digest }
  for (let round = 0; round < cycle.length; round++) {
    hashes = new Map(cycle.map(({ id, shape }) => [id, describeShape(shape, style) as string]))
  }
  return hashes
}

/** The contract file: for reviewers, and for tools that compare two versions. */
export const contractFile = (definition: Definition, generator: string): string => {
  const { named } = definition
  const jobs = definition.jobs.map((job): readonly [string, Json] => [
    job.kind?.value ?? "",
    { name: job.name, version: versionOf(job, named), ...describeJob(job, named, readable) },
  ])
  const types = [...named.values()].map(({ id, shape }): readonly [string, Json] => [id, describeShape(shape, readable)])
  const file = { generator, form, jobs: sorted(jobs), types: sorted(types) }
  return `${printJson(file, "")}\n`
}

/** JSON with short values on one line, so that a change of one field is a change of one line. */
const printJson = (value: Json, indent: string): string => {
  const flat = JSON.stringify(value)
  if (typeof value !== "object" || value === null || flat.length + indent.length <= 100) return spaced(value)
  const inner = `${indent}  `
  if (Array.isArray(value)) return `[\n${value.map((item: Json) => inner + printJson(item, inner)).join(",\n")}\n${indent}]`
  const lines = Object.entries(value).map(([name, member]) => `${inner}${JSON.stringify(name)}: ${printJson(member, inner)}`)
  return `{\n${lines.join(",\n")}\n${indent}}`
}

const spaced = (value: Json): string => {
  if (typeof value !== "object" || value === null) return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map(spaced).join(", ")}]`
  const members = Object.entries(value).map(([name, member]) => `${JSON.stringify(name)}: ${spaced(member)}`)
  return members.length === 0 ? "{}" : `{ ${members.join(", ")} }`
}
