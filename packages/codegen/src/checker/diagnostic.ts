/** A mistake in a definition or in a handler: where it is, what it is, and what to do. */
import { relative } from "node:path"
import type { Place } from "../domain.ts"

export interface Diagnostic {
  /** Stable name, for searching and for tests. */
  readonly code: string
  readonly at: Place
  readonly message: string
  readonly fix: string
}

/** Both from 1, in UTF-16 units. */
export interface Position {
  readonly line: number
  readonly column: number
}

export const positionOf = (text: string, offset: number): Position => {
  const before = text.slice(0, offset)
  const line = before.split("\n").length
  return { line, column: offset - before.lastIndexOf("\n") }
}

/** Lines of context above and below the place. */
const context = 2

export const codeFrame = (text: string, { start, end }: Place): string => {
  const lines = text.split(/\r?\n/)
  const first = positionOf(text, start)
  const last = positionOf(text, Math.max(start, end))
  const from = Math.max(1, first.line - context)
  // A place over many lines shows its beginning; the rest would only push the fix off the screen.
  const to = Math.min(lines.length, Math.min(last.line, first.line + context) + context)
  const width = String(to).length
  const rows: Array<string> = []
  for (let line = from; line <= to; line++) {
    const code = lines[line - 1] ?? ""
    const isMarked = line >= first.line && line <= last.line
    rows.push(`${isMarked ? ">" : " "} ${String(line).padStart(width)} | ${code}`.trimEnd())
    if (line !== first.line) continue
    const length = last.line === first.line ? last.column - first.column : code.length - first.column + 1
    rows.push(`  ${" ".repeat(width)} | ${" ".repeat(first.column - 1)}${"^".repeat(Math.max(1, length))}`)
  }
  return rows.join("\n")
}

/** `file:line:column code`, the message, a code frame, and the fix. */
export const render = (diagnostic: Diagnostic, text: string | undefined, folder: string): string => {
  const { at, code, message, fix } = diagnostic
  const file = relative(folder, at.file) || at.file
  if (text === undefined || (at.start === 0 && at.end === 0)) return `${file} ${code}: ${message}\n\n  fix: ${fix}\n`
  const { line, column } = positionOf(text, at.start)
  const frame = codeFrame(text, at)
    .split("\n")
    .map((row) => `  ${row}`.trimEnd())
    .join("\n")
  return `${file}:${line}:${column} ${code}: ${message}\n\n${frame}\n\n  fix: ${fix}\n`
}
