/** Names of a definition file: what it imports, what it exports, and what a name stands for. */
import { ts } from "ts-morph"
import type { TypeSource } from "../domain.ts"
import type { Report } from "./report.ts"

export const defineModule = "@ponos/sdk/define"
export const defineNames = ["defineJob", "type", "signal", "query", "update", "activity", "retry"] as const
export type DefineName = (typeof defineNames)[number]

export class Scope {
  /** Local names of what comes from `@ponos/sdk/define`. */
  readonly #define: Map<string, string> = new Map()
  readonly #namespaces: Set<string> = new Set()
  readonly #sources: Map<ts.Symbol, TypeSource> = new Map()
  readonly #checker: ts.TypeChecker
  readonly #source: ts.SourceFile

  constructor(program: ts.Program, source: ts.SourceFile, report: Report) {
    this.#checker = program.getTypeChecker()
    this.#source = source
    for (const statement of source.statements) {
      if (ts.isImportDeclaration(statement)) this.#readImport(statement, report)
      if (ts.isImportEqualsDeclaration(statement) && !statement.isTypeOnly) report.add("foreign-import", statement, "")
      if (ts.isExportDeclaration(statement) && statement.moduleSpecifier !== undefined && !isTypeOnlyExport(statement)) {
        report.add("foreign-import", statement, "")
      }
    }
    const module = this.#checker.getSymbolAtLocation(source)
    for (const symbol of module === undefined ? [] : this.#checker.getExportsOfModule(module)) {
      this.#sources.set(this.#target(symbol), { module: undefined, name: symbol.name })
    }
  }

  /** Which function of `@ponos/sdk/define` an expression calls. */
  calleeOf(call: ts.CallExpression): DefineName | undefined {
    const { expression } = call
    const name = ts.isIdentifier(expression)
      ? this.#define.get(expression.text)
      : ts.isPropertyAccessExpression(expression) &&
          ts.isIdentifier(expression.expression) &&
          this.#namespaces.has(expression.expression.text)
        ? expression.name.text
        : undefined
    return defineNames.find((known) => known === name)
  }

  /** Follows parentheses, assertions and constants of this file to what they stand for. */
  valueOf(expression: ts.Expression, depth = 0): ts.Expression {
    // `const a = a` is an error, and not one to hang on.
    if (depth > 50) return expression
    if (ts.isParenthesizedExpression(expression) || ts.isAsExpression(expression) || ts.isSatisfiesExpression(expression)) {
      return this.valueOf(expression.expression, depth + 1)
    }
    if (!ts.isIdentifier(expression)) return expression
    const declaration = this.#checker.getSymbolAtLocation(expression)?.valueDeclaration
    const isConst =
      declaration !== undefined &&
      ts.isVariableDeclaration(declaration) &&
      ts.isVariableDeclarationList(declaration.parent) &&
      (declaration.parent.flags & ts.NodeFlags.Const) !== 0 &&
      declaration.getSourceFile() === this.#source
    return isConst && declaration.initializer !== undefined ? this.valueOf(declaration.initializer, depth + 1) : expression
  }

  /** Shorthand properties name their value only through their symbol. */
  shorthandOf(property: ts.ShorthandPropertyAssignment): ts.Expression | undefined {
    const declaration = this.#checker.getShorthandAssignmentValueSymbol(property)?.valueDeclaration
    return declaration !== undefined && ts.isVariableDeclaration(declaration) && declaration.initializer !== undefined
      ? this.valueOf(declaration.initializer)
      : undefined
  }

  /** Under which name a constant of this file is exported. */
  exportNameOf(name: ts.Identifier): string | undefined {
    const symbol = this.#checker.getSymbolAtLocation(name)
    const source = symbol === undefined ? undefined : this.#sources.get(symbol)
    return source?.module === undefined && source?.name !== "default" ? source?.name : undefined
  }

  sourceOf(symbol: ts.Symbol): TypeSource | "hidden" | undefined {
    const known = this.#sources.get(symbol)
    if (known !== undefined) return known
    const isHere = symbol.declarations?.some((declaration) => declaration.getSourceFile() === this.#source) ?? false
    return isHere ? "hidden" : undefined
  }

  #readImport(statement: ts.ImportDeclaration, report: Report): void {
    const module = ts.isStringLiteral(statement.moduleSpecifier) ? statement.moduleSpecifier.text : ""
    const clause = statement.importClause
    const bindings = clause?.namedBindings
    const elements = bindings !== undefined && ts.isNamedImports(bindings) ? bindings.elements : []
    if (module === defineModule) {
      for (const element of elements) this.#define.set(element.name.text, (element.propertyName ?? element.name).text)
      if (bindings !== undefined && ts.isNamespaceImport(bindings)) this.#namespaces.add(bindings.name.text)
      return
    }
    const isTypeOnly =
      clause !== undefined &&
      (clause.isTypeOnly || (clause.name === undefined && elements.length > 0 && elements.every((element) => element.isTypeOnly)))
    if (!isTypeOnly) report.add("foreign-import", statement, "", module)
    for (const element of elements) {
      const symbol = this.#checker.getSymbolAtLocation(element.name)
      if (symbol !== undefined) this.#sources.set(this.#target(symbol), { module, name: (element.propertyName ?? element.name).text })
    }
  }

  #target(symbol: ts.Symbol): ts.Symbol {
    return symbol.flags & ts.SymbolFlags.Alias ? this.#checker.getAliasedSymbol(symbol) : symbol
  }
}

const isTypeOnlyExport = (statement: ts.ExportDeclaration): boolean =>
  statement.isTypeOnly ||
  (statement.exportClause !== undefined &&
    ts.isNamedExports(statement.exportClause) &&
    statement.exportClause.elements.length > 0 &&
    statement.exportClause.elements.every((element) => element.isTypeOnly))
