/** Finds `stub.implement({ … })`, and walks its handlers. */
import { ts } from "ts-morph"
import type { Place } from "../domain.ts"
import type { HandlerModel, Member, Use } from "../handler.ts"
import { Roles } from "./durable.ts"
import { functionsOf, functionsOfSymbol, isFunctionNode, symbolOf, withoutAssertions } from "./functions.ts"
import { HandlerWalk } from "./handler-walk.ts"
import { remarksOf } from "./remarks.ts"
import type { Report } from "./report.ts"

interface Entry {
  readonly name: string
  readonly node: ts.ObjectLiteralElementLike
}

/** Of `files`; the program may hold more, which they import. */
export const readHandlers = (
  program: ts.Program,
  files: ReadonlyArray<ts.SourceFile>,
  report: Report,
): Omit<HandlerModel, "problems" | "texts"> => {
  const remarks = program.getSourceFiles().flatMap((file) => remarksOf(file, report))
  const remarkOf = ({ file, start }: Place): string =>
    remarks
      .flatMap(({ at, covers }) => (covers.file === file && covers.start <= start && start < covers.end ? `${file}:${at.start}` : []))
      .join(" ")
  const reader = new HandlerReader(program.getTypeChecker(), report, remarkOf)
  for (const file of files) reader.file(file)
  return { jobs: reader.jobs, uses: reader.uses, remarks }
}

class HandlerReader {
  readonly uses: Array<Use> = []
  readonly jobs: Array<Place> = []
  readonly #checker: ts.TypeChecker
  readonly #report: Report

  readonly #remarkOf: (at: Place) => string

  constructor(checker: ts.TypeChecker, report: Report, remarkOf: (at: Place) => string) {
    this.#remarkOf = remarkOf
    this.#checker = checker
    this.#report = report
  }

  file(file: ts.SourceFile): void {
    const visit = (node: ts.Node): void => {
      if (ts.isCallExpression(node)) this.#implementation(node)
      ts.forEachChild(node, visit)
    }
    visit(file)
  }

  #implementation({ expression, arguments: [given] }: ts.CallExpression): void {
    if (given === undefined || !ts.isPropertyAccessExpression(expression) || expression.name.text !== "implement") return
    const entries = this.#entries(given)
    if (!entries.some(({ name }) => name === "run")) return
    this.jobs.push(this.#report.place(expression))
    const job = expression.expression.getText().replaceAll(/\s+/g, " ")
    for (const { name, node } of entries) {
      if (name === "run" || name === "init") this.#handler(node, job, name, name)
      const inner = name === "updates" ? "update" : name === "queries" ? "query" : name === "upgrade" ? "upgrade" : undefined
      if (inner === undefined || !ts.isPropertyAssignment(node)) continue
      for (const entry of this.#entries(node.initializer)) this.#handler(entry.node, job, inner, `${name}.${entry.name}`)
    }
  }

  #handler(node: ts.ObjectLiteralElementLike, job: string, member: Member, name: string): void {
    const handlers = isFunctionNode(node)
      ? [node]
      : ts.isPropertyAssignment(node)
        ? functionsOf(this.#checker, node.initializer)
        : ts.isShorthandPropertyAssignment(node)
          ? functionsOfSymbol(this.#checker, symbolOf(this.#checker, node.name))
          : []
    for (const handler of handlers) {
      const first = handler.parameters[0]?.name
      const context = first !== undefined && ts.isIdentifier(first) ? first.text : member === "query" ? "view" : "job"
      const walk = new HandlerWalk({
        checker: this.#checker,
        report: this.#report,
        roles: new Roles(this.#checker),
        origin: { job, member, name, context },
        remarkOf: this.#remarkOf,
      })
      walk.handler(handler)
      this.uses.push(...walk.uses)
    }
  }

  /** Members of an object literal, written here or as a constant, spreads followed. */
  #entries(given: ts.Expression, depth = 0): ReadonlyArray<Entry> {
    const value = withoutAssertions(given)
    if (ts.isIdentifier(value)) {
      const declaration = symbolOf(this.#checker, value)?.valueDeclaration
      const initializer = declaration !== undefined && ts.isVariableDeclaration(declaration) ? declaration.initializer : undefined
      return initializer === undefined || depth > 20 ? [] : this.#entries(initializer, depth + 1)
    }
    if (!ts.isObjectLiteralExpression(value)) return []
    return value.properties.flatMap((node): ReadonlyArray<Entry> => {
      if (ts.isSpreadAssignment(node)) return this.#entries(node.expression, depth + 1)
      const { name } = node
      const text = ts.isIdentifier(name) || ts.isStringLiteralLike(name) || ts.isNumericLiteral(name) ? name.text : undefined
      return text === undefined ? [] : [{ name: text, node }]
    })
  }
}
