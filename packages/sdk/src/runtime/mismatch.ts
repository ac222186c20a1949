/**
 * A value that does not match its schema, told: which field, what was expected, what came. What came is cut, and not shown at all where the name of
 * its field says that it is a secret: errors end up in logs.
 */
import { Schema, SchemaIssue } from "effect"
import { BadInput } from "../errors.ts"

/** Of a value that is shown, characters. */
const shownMax = 100
/** Of issues in the message; `details.issues` has them all. */
const issuesMax = 10

export interface Mismatch {
  /** Fields and indices, joined by dots; "" is the value itself. */
  readonly path: string
  readonly expected: string
  /** At most 100 characters of it. */
  readonly got: string
}

const secret = /pass(word|wd|phrase)|secret|token|credential|authorization|cookie|private.?key|api.?key/i

const format = SchemaIssue.makeFormatterStandardSchemaV1({
  leafHook: (issue) => {
    if (issue._tag === "MissingKey") return "Expected a value"
    if (issue._tag !== "UnexpectedKey") return SchemaIssue.defaultLeafHook(issue)
    const known = "propertySignatures" in issue.ast ? issue.ast.propertySignatures.map(({ name }) => String(name)) : []
    return `Expected no such field${known.length === 0 || known.length > 20 ? "" : ` (the type has ${known.join(", ")})`}`
  },
})

const nothing = Symbol("nothing")

/** What is there; maps and sets are shown to schemas as lists. */
const at = (value: unknown, path: ReadonlyArray<string>): unknown => {
  let found: unknown = value
  for (const part of path) {
    if (found instanceof Map || found instanceof Set) {
      if (part !== "entries" && part !== "values") found = [...found][Number(part)]
      continue
    }
    if (typeof found !== "object" || found === null || !Object.hasOwn(found, part)) return nothing
    found = (found as Record<string, unknown>)[part]
  }
  return found
}

const cut = (text: string): string => (text.length <= shownMax ? text : `${text.slice(0, shownMax)}…`)

const hidden = (value: unknown): string => `a ${typeof value}, not shown`

const shown = (value: unknown): string => {
  try {
    // a text of a megabyte need not become another one first
    if (typeof value === "string") return cut(JSON.stringify(value.slice(0, shownMax + 1)))
    const text = JSON.stringify(value, (name, inner: unknown) => {
      if (typeof inner === "bigint") return `${inner}n`
      return secret.test(name) ? hidden(inner) : inner
    })
    return cut(text ?? String(value))
  } catch {
    return hidden(value)
  }
}

const gotAt = (value: unknown, path: ReadonlyArray<string>): string => {
  const found = at(value, path)
  if (found === nothing || found === undefined) return "nothing"
  return path.some((part) => secret.test(part)) ? hidden(found) : shown(found)
}

/** Throws `BadInput`; what is no error of a schema is thrown as it is. */
export const refuseMismatch = (what: string, error: unknown, value: unknown, advice: string): never => {
  if (!Schema.isSchemaError(error)) throw error
  const issues = format(error.issue).issues.map(({ path = [], message }): Mismatch => {
    const parts = path.map((part) => String(typeof part === "object" ? part.key : part))
    return { path: parts.join("."), expected: message.replace(/^Expected /, ""), got: gotAt(value, parts) }
  })
  const lines = issues.slice(0, issuesMax).map(({ path, expected, got }) => {
    return `${path === "" ? "the value" : `\`${path}\``}: expected ${expected}, got ${got}`
  })
  if (issues.length > issuesMax) lines.push(`and ${issues.length - issuesMax} more`)
  const [first = { path: "", expected: "", got: "" }] = issues
  throw new BadInput(`${what} does not match its type. ${lines.join("; ")}. ${advice}`, { what, ...first, issues })
}

const refuseWhole = (what: string, expected: string, got: string): never => {
  const issue: Mismatch = { path: "", expected, got }
  throw new BadInput(`${what} does not match its type. the value: expected ${expected}, got ${got}. Nothing was sent or stored.`, {
    what,
    ...issue,
    issues: [issue],
  })
}

/** Something was given where the type is void. */
export const refuseVoid = (value: unknown, what: string): never => refuseWhole(what, "nothing", shown(value))

export const refuseDepth = (what: string, levels: number): never =>
  refuseWhole(what, `plain data of at most ${levels} levels`, "a cycle, or more levels")
