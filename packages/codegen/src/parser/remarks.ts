/** Comments that speak to ponos-gen: `// ponos: allow clock because …`. */
import { ts } from "ts-morph"
import type { Remark } from "../handler.ts"
import type { Report } from "./report.ts"

const pattern = /\/\/[ \t]*ponos:[ \t]*(.*)/g

export const remarksOf = (source: ts.SourceFile, report: Report): ReadonlyArray<Remark> => {
  const { text } = source
  const found = [...text.matchAll(pattern)]
  if (found.length === 0) return []
  const texts = quoted(source)
  return found.flatMap((match): ReadonlyArray<Remark> => {
    const start = match.index
    if (texts.some((range) => range.pos <= start && start < range.end)) return []
    const { line } = source.getLineAndCharacterOfPosition(start)
    const isAlone = text.slice(source.getPositionOfLineAndCharacter(line, 0), start).trim() === ""
    const starts = source.getLineStarts()
    const lineAt = (index: number): string => text.slice(starts[index] ?? text.length, starts[index + 1] ?? text.length)
    let covered = line
    // several remarks may stand above one line
    if (isAlone)
      do covered++
      while (lineAt(covered).trimStart().startsWith("//"))
    const covers = report.range(source, starts[covered] ?? text.length, starts[covered + 1] ?? text.length)
    return [{ text: (match[1] ?? "").trim(), at: report.range(source, start, start + match[0].trimEnd().length), covers }]
  })
}

/** What looks like a comment inside a string is none. */
const quoted = (source: ts.SourceFile): ReadonlyArray<ts.TextRange> => {
  const ranges: Array<ts.TextRange> = []
  const visit = (node: ts.Node): void => {
    if (ts.isLiteralExpression(node) || ts.isTemplateHead(node) || ts.isTemplateMiddleOrTemplateTail(node) || ts.isJsxText(node)) {
      ranges.push({ pos: node.getStart(source), end: node.end })
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
  return ranges
}
