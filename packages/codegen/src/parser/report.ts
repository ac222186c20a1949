/** Collects what the parser cannot turn into data, once per place, and the texts of the files it happened in. */
import { ts } from "ts-morph"
import type { Place, Problem, ProblemCode } from "../domain.ts"

export class Report {
  readonly problems: Array<Problem> = []
  readonly texts: Map<string, string> = new Map()
  readonly #seen: Set<string> = new Set()

  add(code: ProblemCode, node: ts.Node, path: string, found: string = node.getText()): void {
    const at = this.place(node)
    const id = `${code} ${at.file} ${at.start} ${path}`
    if (this.#seen.has(id)) return
    this.#seen.add(id)
    this.problems.push({ code, at, path, found: found.replace(/\s+/g, " ") })
  }

  place(node: ts.Node): Place {
    const source = node.getSourceFile()
    return this.range(source, node.getStart(source), node.getEnd())
  }

  range(source: ts.SourceFile, start: number, end: number): Place {
    if (!this.texts.has(source.fileName)) this.texts.set(source.fileName, source.text)
    return { file: source.fileName, start, end }
  }
}
