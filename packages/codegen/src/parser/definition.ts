/** Reads `export const x = defineJob({ … })` as written: places are exact, and a form that cannot be read is named, not guessed. */
import { ts } from "ts-morph"
import type { Definition, Job, Operation, Payload, Query, Signal } from "../domain.ts"
import { withoutAssertions } from "./functions.ts"
import type { Report } from "./report.ts"
import { type DefineName, Scope } from "./scope.ts"
import { docsOf } from "./tags.ts"
import { makeWalker, type TypeWalker } from "./walker.ts"

export const jobProperties = [
  "kind",
  "input",
  "key",
  "state",
  "result",
  "error",
  "signals",
  "queries",
  "updates",
  "activities",
  "retry",
  "timeout",
  "stateVersion",
] as const

export const readDefinition = (program: ts.Program, source: ts.SourceFile, report: Report): Pick<Definition, "jobs" | "named"> => {
  const syntax = program.getSyntacticDiagnostics(source)
  for (const one of syntax) {
    const at = report.range(source, one.start, one.start + one.length)
    report.problems.push({ code: "syntax", at, path: "", found: ts.flattenDiagnosticMessageText(one.messageText, " ") })
  }
  if (syntax.length > 0) return { jobs: [], named: new Map() }
  const scope = new Scope(program, source, report)
  const walker = makeWalker({ checker: program.getTypeChecker(), program, report, sourceOf: (symbol) => scope.sourceOf(symbol) })
  const reader = new Reader(scope, walker, report)
  const jobs = source.statements.flatMap((statement) => reader.statement(statement))
  if (jobs.length === 0 && report.problems.length === 0) {
    report.problems.push({ code: "no-jobs", at: report.range(source, 0, 0), path: "", found: "" })
  }
  return { jobs, named: walker.named }
}

/** A member of an object literal, spreads followed. */
interface Member {
  readonly name: string
  readonly node: ts.ObjectLiteralElementLike
  readonly value: ts.Expression
}

class Reader {
  readonly #scope: Scope
  readonly #walker: TypeWalker
  readonly #report: Report

  constructor(scope: Scope, walker: TypeWalker, report: Report) {
    this.#scope = scope
    this.#walker = walker
    this.#report = report
  }

  statement(statement: ts.Statement): ReadonlyArray<Job> {
    if (ts.isExportAssignment(statement)) {
      if (this.#isCall(this.#scope.valueOf(statement.expression), "defineJob"))
        this.#report.add("job-not-exported", statement, "", "export default")
      return []
    }
    if (!ts.isVariableStatement(statement)) return []
    return statement.declarationList.declarations.flatMap((declaration): ReadonlyArray<Job> => {
      const { initializer, name } = declaration
      if (initializer === undefined) return []
      const call = withoutAssertions(initializer)
      if (!this.#isCall(call, "defineJob")) return []
      if (!ts.isIdentifier(name) || !(statement.declarationList.flags & ts.NodeFlags.Const)) {
        this.#report.add("job-not-const", name, "")
        return []
      }
      const exported = this.#scope.exportNameOf(name)
      if (exported === undefined) {
        this.#report.add("job-not-exported", name, name.text)
        return []
      }
      return this.#job(exported, name, call, docsOf(statement))
    })
  }

  #isCall(expression: ts.Expression, name: DefineName): expression is ts.CallExpression {
    return ts.isCallExpression(expression) && this.#scope.calleeOf(expression) === name
  }

  #job(exported: string, name: ts.Identifier, call: ts.CallExpression, docs: string): ReadonlyArray<Job> {
    const argument = call.arguments[0]
    const literal = argument === undefined ? undefined : this.#scope.valueOf(argument)
    if (literal === undefined || !ts.isObjectLiteralExpression(literal)) {
      this.#report.add("not-literal", argument ?? call, exported, "the definition")
      return []
    }
    const members = this.#members(literal, exported)
    for (const member of members) {
      if (!(jobProperties as ReadonlyArray<string>).includes(member.name)) {
        this.#report.add("unknown-property", member.node.name ?? member.node, `${exported}.${member.name}`, member.name)
      }
    }
    const get = (property: string): Member | undefined => members.findLast((member) => member.name === property)
    for (const property of ["kind", "input", "key"]) {
      if (get(property) === undefined) this.#report.add("missing-property", name, exported, property)
    }
    const payload = (property: string): Payload => this.#typed(get(property), `${exported}.${property}`, name)
    const key = get("key")
    return [
      {
        name: exported,
        docs,
        at: this.#report.place(name),
        kind: this.#kind(get("kind"), exported),
        ...this.#key(key, exported),
        input: payload("input"),
        state: payload("state"),
        result: payload("result"),
        error: payload("error"),
        signals: this.#group(get("signals"), "signal", exported, (call, member, path): Signal => ({
          ...member,
          payload: this.#argument(call, 0, path),
        })),
        queries: this.#queries(get("queries"), exported),
        updates: this.#operations(get("updates"), "update", exported),
        activities: this.#operations(get("activities"), "activity", exported),
        stateVersion: this.#stateVersion(get("stateVersion"), exported),
      },
    ]
  }

  #kind(member: Member | undefined, path: string): Job["kind"] {
    if (member === undefined) return undefined
    if (ts.isStringLiteralLike(member.value)) return { value: member.value.text, at: this.#report.place(member.value) }
    this.#report.add("not-literal", member.value, `${path}.kind`, "")
    return undefined
  }

  #stateVersion(member: Member | undefined, path: string): number {
    if (member === undefined) return 1
    const version = ts.isNumericLiteral(member.value) ? Number(member.value.text) : Number.NaN
    if (Number.isInteger(version) && version >= 1 && version <= 1_000) return version
    this.#report.add("not-literal", member.value, `${path}.stateVersion`, "")
    return 1
  }

  #key(member: Member | undefined, path: string): Pick<Job, "key" | "composite"> {
    if (member === undefined) return { key: [], composite: false }
    const parts = ts.isArrayLiteralExpression(member.value) ? [...member.value.elements] : [member.value]
    const key = parts.flatMap((part): Job["key"] => {
      const value = this.#scope.valueOf(part)
      if (ts.isStringLiteralLike(value)) return [{ field: value.text, at: this.#report.place(value) }]
      this.#report.add("not-literal", part, `${path}.key`, "")
      return []
    })
    if (parts.length === 0) this.#report.add("empty-key", member.value, `${path}.key`)
    return { key, composite: ts.isArrayLiteralExpression(member.value) }
  }

  /** `input: type<X>()`; an absent member is void. */
  #typed(member: Member | undefined, path: string, name: ts.Node): Payload {
    if (member === undefined) return { shape: null, at: this.#report.place(name) }
    if (this.#isCall(member.value, "type")) return this.#argument(member.value, 0, path, true)
    this.#report.add("wrong-call", member.value, path, "type<…>()")
    return { shape: { kind: "wrong" }, at: this.#report.place(member.value) }
  }

  #operations(member: Member | undefined, callee: "update" | "activity", path: string): ReadonlyArray<Operation> {
    return this.#group(member, callee, path, (call, named, where) => ({
      ...named,
      input: this.#argument(call, 0, `${where}.input`),
      output: this.#argument(call, 1, `${where}.output`),
      error: this.#argument(call, 2, `${where}.error`),
    }))
  }

  /** The first type argument of a query is its answer, because most queries ask without input. */
  #queries(member: Member | undefined, path: string): ReadonlyArray<Query> {
    return this.#group(member, "query", path, (call, named, where) => ({
      ...named,
      input: this.#argument(call, 1, `${where}.input`),
      output: this.#argument(call, 0, `${where}.output`, true),
      error: this.#argument(call, 2, `${where}.error`),
      live: this.#live(call, where),
    }))
  }

  /** `query<…>({ live: true })` */
  #live(call: ts.CallExpression, path: string): boolean {
    const [argument] = call.arguments
    if (argument === undefined) return false
    const literal = this.#scope.valueOf(argument)
    if (!ts.isObjectLiteralExpression(literal)) {
      this.#report.add("not-literal", argument, path, "the argument")
      return false
    }
    const live = this.#members(literal, path).findLast(({ name }) => name === "live")
    if (live === undefined || live.value.kind === ts.SyntaxKind.FalseKeyword) return false
    if (live.value.kind !== ts.SyntaxKind.TrueKeyword) this.#report.add("not-literal", live.value, `${path}.live`, "")
    return true
  }

  #group<A>(
    group: Member | undefined,
    callee: DefineName,
    path: string,
    read: (call: ts.CallExpression, named: Pick<Signal, "name" | "docs" | "at">, path: string) => A,
  ): ReadonlyArray<A> {
    if (group === undefined) return []
    const literal = group.value
    if (!ts.isObjectLiteralExpression(literal)) {
      this.#report.add("not-literal", literal, `${path}.${group.name}`, "")
      return []
    }
    return this.#members(literal, `${path}.${group.name}`).flatMap((member): ReadonlyArray<A> => {
      const where = `${path}.${group.name}.${member.name}`
      if (!this.#isCall(member.value, callee)) {
        this.#report.add("wrong-call", member.value, where, `${callee}(…)`)
        return []
      }
      const at = this.#report.place(member.node.name ?? member.node)
      return [read(member.value, { name: member.name, docs: docsOf(member.node), at }, where)]
    })
  }

  #argument(call: ts.CallExpression, index: number, path: string, isRequired = false): Payload {
    const node = call.typeArguments?.[index]
    if (node !== undefined) {
      // `never` as the error of an operation says that there is none, as leaving it out does.
      if (index === 2 && node.kind === ts.SyntaxKind.NeverKeyword) return { shape: null, at: this.#report.place(node) }
      return this.#walker.payload(node, path)
    }
    if (!isRequired) return { shape: null, at: this.#report.place(call) }
    this.#report.add("missing-type-argument", call, path)
    return { shape: { kind: "wrong" }, at: this.#report.place(call) }
  }

  #members(literal: ts.ObjectLiteralExpression, path: string): ReadonlyArray<Member> {
    return literal.properties.flatMap((node): ReadonlyArray<Member> => {
      if (ts.isSpreadAssignment(node)) {
        const spread = this.#scope.valueOf(node.expression)
        if (ts.isObjectLiteralExpression(spread)) return this.#members(spread, path)
      }
      const name = node.name !== undefined && (ts.isIdentifier(node.name) || ts.isStringLiteralLike(node.name)) ? node.name.text : undefined
      const value = ts.isPropertyAssignment(node)
        ? this.#scope.valueOf(node.initializer)
        : ts.isShorthandPropertyAssignment(node)
          ? this.#scope.shorthandOf(node)
          : undefined
      if (name !== undefined && value !== undefined) return [{ name, node, value }]
      this.#report.add("not-literal", node, path, "a member")
      return []
    })
  }
}
