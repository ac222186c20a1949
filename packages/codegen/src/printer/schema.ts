/** From shapes to Effect Schema expressions. Everything here also works through `Schema.toCodecJson`, which the runtime uses. */
import type { Constraint, ConstraintName, Shape } from "../domain.ts"
import { gen, literal, propertyName } from "../name.ts"
import type { SourceText } from "./source-text.ts"

export interface SchemaInput {
  readonly file: SourceText
  /** Whether a named schema is already declared above, so that it needs no `suspend`. */
  readonly isDeclared: (id: string) => boolean
}

export const printSchema = (shape: Shape, input: SchemaInput): string => {
  const S = input.file.value("effect", "Schema")
  const go = (inner: Shape): string => printSchema(inner, input)
  switch (shape.kind) {
    case "string":
      return withChecks(`${S}.String`, shape.constraints, (one) => stringCheck(one, S, input.file))
    case "number":
      return printNumber(shape.constraints, S)
    case "bigint":
      return withChecks(`${S}.BigInt`, shape.constraints, (one) => orderCheck(one, S, "BigInt", `${one.value}n`))
    case "boolean":
      return `${S}.Boolean`
    case "null":
      return `${S}.Null`
    case "json":
      return `${S}.Unknown`
    case "date":
      return `${S}.Date`
    case "url":
      return `${S}.URL`
    case "bytes":
      return `${S}.Uint8Array`
    case "literal":
      return `${S}.Literal(${literal(shape.value)})`
    case "template":
      return `${S}.TemplateLiteral([${shape.parts.map((part) => ("text" in part ? JSON.stringify(part.text) : hole(part.kind, S))).join(", ")}])`
    case "array":
      return withChecks(`${S}.Array(${go(shape.item)})`, shape.constraints, (one) => lengthCheck(one, S, "Length"))
    case "set":
      return withChecks(`${S}.ReadonlySet(${go(shape.item)})`, shape.constraints, (one) => lengthCheck(one, S, "Size"))
    case "map":
      return withChecks(`${S}.ReadonlyMap(${go(shape.key)}, ${go(shape.value)})`, shape.constraints, (one) => lengthCheck(one, S, "Size"))
    case "tuple": {
      const items = shape.items.map((item) => (item.optional ? `${S}.optionalKey(${go(item.shape)})` : go(item.shape)))
      const tuple = `${S}.Tuple(${list("[", items, "]")})`
      return shape.rest === undefined ? tuple : `${S}.TupleWithRest(${tuple}, [${go(shape.rest)}])`
    }
    case "record":
      return `${S}.Record(${S}.String, ${go(shape.value)})`
    case "object":
      return printObject(shape, S, go)
    case "union":
      return printUnion(shape.members, S, go)
    case "ref":
      return input.isDeclared(shape.id) ? shape.id : `${S}.suspend(() => ${shape.id})`
    case "wrong":
      return `${S}.Never`
  }
}

const hole = (kind: "string" | "number" | "bigint", S: string): string =>
  kind === "string" ? `${S}.String` : kind === "number" ? `${S}.Finite` : `${S}.BigInt`

const printObject = (shape: Extract<Shape, { kind: "object" }>, S: string, go: (inner: Shape) => string): string => {
  const fields = shape.fields.map(
    (field) => `${propertyName(field.name)}: ${field.optional ? `${S}.optionalKey(${go(field.shape)})` : go(field.shape)}`,
  )
  const struct = `${S}.Struct(${list("{ ", fields, " }")})`
  return shape.rest === undefined ? struct : `${S}.StructWithRest(${struct}, [${S}.Record(${S}.String, ${go(shape.rest)})])`
}

/** On one line if it fits, else one item a line. */
const list = (open: string, items: ReadonlyArray<string>, close: string): string => {
  const flat = items.length === 0 ? (open + close).replaceAll(" ", "") : `${open}${items.join(", ")}${close}`
  if (flat.length <= 100 && !flat.includes("\n")) return flat
  return `${open.trimEnd()}\n${items.map((item) => `  ${item.replaceAll("\n", "\n  ")},\n`).join("")}${close.trimStart()}`
}

/** Literals share one schema: their decoder looks the value up instead of trying one after the other. */
const printUnion = (members: ReadonlyArray<Shape>, S: string, go: (inner: Shape) => string): string => {
  const literals = members.flatMap((member) => (member.kind === "literal" ? [literal(member.value)] : []))
  const others = members.filter((member) => member.kind !== "literal").map(go)
  const one =
    literals.length === 0 ? [] : [literals.length === 1 ? `${S}.Literal(${literals.join()})` : `${S}.Literals([${literals.join(", ")}])`]
  const all = [...one, ...others]
  return all.length === 1 ? all.join() : `${S}.Union(${list("[", all, "]")})`
}

const withChecks = (schema: string, constraints: ReadonlyArray<Constraint>, check: (one: Constraint) => string): string =>
  constraints.length === 0 ? schema : `${schema}.check(${constraints.map(check).join(", ")})`

const printNumber = (constraints: ReadonlyArray<Constraint>, S: string): string => {
  const isInt = constraints.some(({ name }) => name === "int")
  const others = constraints.filter(({ name }) => name !== "int")
  return withChecks(isInt ? `${S}.Int` : `${S}.Finite`, others, (one) => orderCheck(one, S, "", String(Number(one.value))))
}

/** Names of Effect's filters of numbers; those of bigints end in `BigInt`. */
const orderFilters: Readonly<Partial<Record<ConstraintName, string>>> = {
  minimum: "isGreaterThanOrEqualTo",
  maximum: "isLessThanOrEqualTo",
  exclusiveMinimum: "isGreaterThan",
  exclusiveMaximum: "isLessThan",
  multipleOf: "isMultipleOf",
}

const orderCheck = ({ name }: Constraint, S: string, suffix: string, value: string): string =>
  `${S}.${orderFilters[name] ?? ""}${suffix}(${value})`

const stringCheck = ({ name, value }: Constraint, S: string, file: SourceText): string => {
  if (name === "minLength") return `${S}.isMinLength(${Number(value)})`
  if (name === "maxLength") return `${S}.isMaxLength(${Number(value)})`
  return name === "pattern"
    ? `${S}.isPattern(new RegExp(${JSON.stringify(value)}, "u"))`
    : `${file.value(gen, "isFormat")}(${JSON.stringify(value)})`
}

const lengthCheck = ({ name, value }: Constraint, S: string, unit: "Length" | "Size"): string => {
  if (name === "uniqueItems") return `${S}.isUnique()`
  return `${S}.is${name === "minItems" ? "Min" : "Max"}${unit}(${Number(value)})`
}
