/** JSDoc: prose for the generated code, and constraint tags for the schemas. */
import { ts } from "ts-morph"
import { constraintNamed, constraintTable } from "../constraint.ts"
import type { Constraint } from "../domain.ts"

export interface Tagged extends Constraint {
  /** The tag, for code frames. */
  readonly node: ts.Node
}

/**
 * Constraint tags of a declaration. Values are cut from the source text, because the compiler reads braces and at signs in a comment as
 * its own syntax, and both are common in a pattern.
 */
export const constraintsOf = (declaration: ts.Node): ReadonlyArray<Tagged> =>
  ts.getJSDocTags(declaration).flatMap((tag): ReadonlyArray<Tagged> => {
    const name = constraintNamed(tag.tagName.text)
    if (name === undefined) return []
    const line = restOfLine(tag)
    const wantsToken = constraintTable[name].value !== "pattern"
    return [{ name, value: wantsToken ? (line.split(/\s+/)[0] ?? "") : line, node: tag }]
  })

const restOfLine = (tag: ts.JSDocTag): string => {
  const text = tag.getSourceFile().text.slice(tag.tagName.end, tag.parent.end)
  const line = text.slice(0, text.search(/\r?\n|$/))
  return line.replace(/\*\/\s*$/, "").trim()
}

/** The prose of the last JSDoc comment, without tags. */
export const docsOf = (declaration: ts.Node): string => {
  const comments = ts.getJSDocCommentsAndTags(declaration).filter(ts.isJSDoc)
  const comment = comments.at(-1)?.comment
  return comment === undefined ? "" : (ts.getTextOfJSDocComment(comment) ?? "").trim()
}
