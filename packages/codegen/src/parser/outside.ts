/** Names that code does not declare itself: globals and imports from packages, followed through constants that only rename them. */
import { ts } from "ts-morph"
import { withoutAssertions } from "./functions.ts"

const maxDepth = 20

/** `Date.now`, `crypto.randomUUID`, `timers/promises.setTimeout`; `undefined`: declared in the files that were read, or computed. */
export const outsideName = (checker: ts.TypeChecker, given: ts.Expression, depth = 0): string | undefined => {
  if (depth > maxDepth) return undefined
  const expression = withoutAssertions(given)
  if (ts.isPropertyAccessExpression(expression)) return member(outsideName(checker, expression.expression, depth + 1), expression.name.text)
  if (ts.isElementAccessExpression(expression) && ts.isStringLiteralLike(expression.argumentExpression)) {
    return member(outsideName(checker, expression.expression, depth + 1), expression.argumentExpression.text)
  }
  if (!ts.isIdentifier(expression)) return undefined
  const symbol =
    ts.isShorthandPropertyAssignment(expression.parent) && expression.parent.name === expression
      ? checker.getShorthandAssignmentValueSymbol(expression.parent)
      : checker.getSymbolAtLocation(expression)
  const declaration = symbol?.declarations?.[0]
  return declaration === undefined ? expression.text : declared(checker, declaration, depth)
}

/** `globalThis.fetch` is `fetch`. */
const member = (owner: string | undefined, name: string): string | undefined =>
  owner === undefined ? undefined : owner === "globalThis" ? name : `${owner}.${name}`

const declared = (checker: ts.TypeChecker, declaration: ts.Declaration, depth: number): string | undefined => {
  const module = packageOf(declaration)
  if (module !== undefined) {
    // a default import of one of Node's modules is the module
    return ts.isImportSpecifier(declaration) ? `${module}.${(declaration.propertyName ?? declaration.name).text}` : module
  }
  if (ts.isVariableDeclaration(declaration) && isConst(declaration) && declaration.initializer !== undefined) {
    return ts.isIdentifier(declaration.name) ? outsideName(checker, declaration.initializer, depth + 1) : undefined
  }
  // const { randomUUID } = crypto
  if (
    ts.isBindingElement(declaration) &&
    ts.isObjectBindingPattern(declaration.parent) &&
    ts.isVariableDeclaration(declaration.parent.parent)
  ) {
    const owner = declaration.parent.parent.initializer
    const name = declaration.propertyName ?? declaration.name
    return owner === undefined || !ts.isIdentifier(name) ? undefined : member(outsideName(checker, owner, depth + 1), name.text)
  }
  return undefined
}

export const isConst = (declaration: ts.VariableDeclaration): boolean =>
  ts.isVariableDeclarationList(declaration.parent) && (declaration.parent.flags & ts.NodeFlags.Const) !== 0

/** The package from which a declaration imports, Node's own without their prefix. */
const packageOf = (declaration: ts.Declaration): string | undefined => {
  const clause = ts.isImportClause(declaration)
    ? declaration
    : ts.isNamespaceImport(declaration)
      ? declaration.parent
      : ts.isImportSpecifier(declaration)
        ? declaration.parent.parent
        : undefined
  const specifier = clause?.parent
  if (specifier === undefined || !ts.isImportDeclaration(specifier) || !ts.isStringLiteral(specifier.moduleSpecifier)) return undefined
  const { text } = specifier.moduleSpecifier
  // `effect/Clock` is the `Clock` of `effect`
  return text.startsWith(".") ? undefined : text.replace(/^node:/, "").replace(/^effect\//, "effect.")
}
