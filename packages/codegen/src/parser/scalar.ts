/** Types without parts: primitives, literals and template literals. */
import { ts } from "ts-morph"
import type { LiteralValue, Shape, TemplatePart } from "../domain.ts"

export const scalarOf = (type: ts.Type): Shape | undefined => {
  const { flags } = type
  if (flags & ts.TypeFlags.String) return { kind: "string", constraints: [] }
  if (flags & ts.TypeFlags.Number) return { kind: "number", constraints: [] }
  if (flags & ts.TypeFlags.BigInt) return { kind: "bigint", constraints: [] }
  if (flags & ts.TypeFlags.Boolean) return { kind: "boolean" }
  if (flags & ts.TypeFlags.Null) return { kind: "null" }
  if (flags & ts.TypeFlags.Unknown) return { kind: "json" }
  return undefined
}

export interface Literal {
  readonly value: LiteralValue
  readonly isEnum: boolean
}

export const literalOf = (type: ts.Type): Literal | undefined => {
  const isEnum = (type.flags & ts.TypeFlags.EnumLiteral) !== 0 && !type.isUnion()
  if (type.isStringLiteral() || type.isNumberLiteral()) return { value: type.value, isEnum }
  if (type.flags & ts.TypeFlags.BigIntLiteral) {
    const { value } = type as ts.BigIntLiteralType
    return { value: BigInt(`${value.negative ? "-" : ""}${value.base10Value}`), isEnum }
  }
  // The checker has no public way to ask a boolean literal for its value.
  if (type.flags & ts.TypeFlags.BooleanLiteral)
    return { value: (type as ts.Type & { intrinsicName: string }).intrinsicName === "true", isEnum }
  return undefined
}

export const templateOf = (type: ts.TemplateLiteralType): Shape | undefined => {
  const parts: Array<TemplatePart> = []
  for (const [index, text] of type.texts.entries()) {
    if (text !== "") parts.push({ text })
    const hole = type.types[index]
    if (hole === undefined) continue
    const scalar = scalarOf(hole)
    if (scalar?.kind !== "string" && scalar?.kind !== "number" && scalar?.kind !== "bigint") return undefined
    parts.push({ kind: scalar.kind })
  }
  return { kind: "template", parts }
}
