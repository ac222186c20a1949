/** JSDoc constraints: which there are, what they fit, and which values they take. One table for parser, checker and printer. */
import type { Constraint, ConstraintName, Shape } from "./domain.ts"

/** Names of `@format`; each is implemented by `isFormat` of `@ponos/sdk/gen`. */
export const formats = ["base64", "date", "date-time", "email", "hostname", "ipv4", "ipv6", "time", "uri", "uuid"] as const

interface ConstraintSpec {
  readonly fits: ReadonlyArray<Shape["kind"]>
  readonly value: "number" | "count" | "pattern" | "format" | "none"
}

const ordered = ["number", "bigint"] as const
const sized = ["array", "set", "map"] as const

export const constraintTable: Readonly<Record<ConstraintName, ConstraintSpec>> = {
  minimum: { fits: ordered, value: "number" },
  maximum: { fits: ordered, value: "number" },
  exclusiveMinimum: { fits: ordered, value: "number" },
  exclusiveMaximum: { fits: ordered, value: "number" },
  multipleOf: { fits: ["number"], value: "number" },
  int: { fits: ["number"], value: "none" },
  minLength: { fits: ["string"], value: "count" },
  maxLength: { fits: ["string"], value: "count" },
  pattern: { fits: ["string"], value: "pattern" },
  format: { fits: ["string"], value: "format" },
  minItems: { fits: sized, value: "count" },
  maxItems: { fits: sized, value: "count" },
  uniqueItems: { fits: ["array"], value: "none" },
}

const aliases: Readonly<Record<string, ConstraintName>> = { integer: "int" }

/** The constraint that a JSDoc tag means; other tags are prose. */
export const constraintNamed = (tag: string): ConstraintName | undefined =>
  aliases[tag] ?? (Object.hasOwn(constraintTable, tag) ? (tag as ConstraintName) : undefined)

/** Why a value is wrong, as the end of a sentence, or `undefined`. */
export const wrongValue = (constraint: Constraint, kind: Shape["kind"]): string | undefined => {
  const { value } = constraint
  switch (constraintTable[constraint.name].value) {
    case "number":
      if (kind === "bigint") return /^-?\d+n?$/.test(value) ? undefined : "takes a whole number here, such as 10"
      if (!/^-?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(value) || !Number.isFinite(Number(value))) return "takes a number, such as 1 or 0.5"
      return constraint.name === "multipleOf" && Number(value) <= 0 ? "takes a number above 0" : undefined
    case "count":
      return /^\d+$/.test(value) ? undefined : "takes a whole number from 0"
    case "pattern":
      return wrongPattern(value)
    case "format":
      return (formats as ReadonlyArray<string>).includes(value) ? undefined : `takes one of ${formats.join(", ")}`
    case "none":
      return undefined
  }
}

const wrongPattern = (value: string): string | undefined => {
  if (value === "") return "takes a regular expression, such as ^[a-z]+$"
  if (value.startsWith("/") && value.endsWith("/") && value.length > 1) return "takes the expression without slashes around it"
  try {
    void new RegExp(value, "u")
    return undefined
  } catch (error) {
    return `is not a regular expression with the u flag (${error instanceof Error ? error.message : String(error)})`
  }
}
