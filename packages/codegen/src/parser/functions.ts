/** Which functions an expression or a name stands for, as far as the files that were read tell. */
import { ts } from "ts-morph"

export type FunctionNode = ts.FunctionLikeDeclaration & { readonly body: ts.ConciseBody }

/** Chains longer than any hand-written one are rings. */
const maxDepth = 20

export const withoutAssertions = (expression: ts.Expression): ts.Expression =>
  ts.isParenthesizedExpression(expression) ||
  ts.isAsExpression(expression) ||
  ts.isSatisfiesExpression(expression) ||
  ts.isNonNullExpression(expression)
    ? withoutAssertions(expression.expression)
    : expression

export const isFunctionNode = (node: ts.Node): node is FunctionNode =>
  ts.isFunctionLike(node) && "body" in node && (node as ts.FunctionLikeDeclaration).body !== undefined

/** The symbol of a name, imports from files of the program followed. */
export const symbolOf = (checker: ts.TypeChecker, name: ts.Node): ts.Symbol | undefined => {
  const symbol =
    ts.isIdentifier(name) && ts.isShorthandPropertyAssignment(name.parent) && name.parent.name === name
      ? checker.getShorthandAssignmentValueSymbol(name.parent)
      : checker.getSymbolAtLocation(name)
  if (symbol === undefined || !(symbol.flags & ts.SymbolFlags.Alias)) return symbol
  const target = checker.getAliasedSymbol(symbol)
  return target.declarations === undefined ? symbol : target
}

/** Functions that a symbol stands for. */
export const functionsOfSymbol = (checker: ts.TypeChecker, symbol: ts.Symbol | undefined, depth = 0): ReadonlyArray<FunctionNode> => {
  if (symbol === undefined || depth > maxDepth) return []
  return (symbol.declarations ?? []).flatMap((declaration): ReadonlyArray<FunctionNode> => {
    if (isFunctionNode(declaration)) return [declaration]
    if (ts.isVariableDeclaration(declaration) || ts.isPropertyAssignment(declaration) || ts.isPropertyDeclaration(declaration)) {
      return declaration.initializer === undefined ? [] : functionsOf(checker, declaration.initializer, depth + 1)
    }
    if (ts.isShorthandPropertyAssignment(declaration)) return functionsOf(checker, declaration.name, depth + 1)
    return []
  })
}

/** Functions that an expression gives: itself, what its name stands for, what a factory returns, what a wrapper (`Effect.fn(…)`) was given. */
export const functionsOf = (checker: ts.TypeChecker, given: ts.Expression, depth = 0): ReadonlyArray<FunctionNode> => {
  if (depth > maxDepth) return []
  const expression = withoutAssertions(given)
  if (isFunctionNode(expression)) return [expression]
  if (ts.isIdentifier(expression)) return functionsOfSymbol(checker, symbolOf(checker, expression), depth + 1)
  if (ts.isPropertyAccessExpression(expression)) return functionsOfSymbol(checker, symbolOf(checker, expression.name), depth + 1)
  if (ts.isElementAccessExpression(expression))
    return functionsOfSymbol(checker, symbolOf(checker, expression.argumentExpression), depth + 1)
  if (!ts.isCallExpression(expression)) return []
  const wrapped = expression.arguments.flatMap((argument): ReadonlyArray<FunctionNode> => {
    const value = withoutAssertions(argument)
    return isFunctionNode(value) ? [value] : []
  })
  if (wrapped.length > 0) return wrapped
  return functionsOf(checker, expression.expression, depth + 1).flatMap((made) =>
    returned(made).flatMap((value) => functionsOf(checker, value, depth + 1)),
  )
}

/** What a function returns. */
const returned = (made: FunctionNode): ReadonlyArray<ts.Expression> => {
  if (!ts.isBlock(made.body)) return [made.body]
  const found: Array<ts.Expression> = []
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node)) return
    if (ts.isReturnStatement(node) && node.expression !== undefined) found.push(node.expression)
    ts.forEachChild(node, visit)
  }
  ts.forEachChild(made.body, visit)
  return found
}

export const isAsync = (node: FunctionNode): boolean =>
  ts.canHaveModifiers(node) && ts.getModifiers(node)?.some(({ kind }) => kind === ts.SyntaxKind.AsyncKeyword) === true

/** As a reader would call it; `undefined`: it has no name. */
export const nameOf = (node: FunctionNode): string | undefined => {
  if (ts.isConstructorDeclaration(node)) return `new ${node.parent.name?.text ?? "class"}`
  if (node.name !== undefined) return node.name.getText()
  let owner: ts.Node = node.parent
  // const read = Effect.fn("read")(function* () { … })
  while (ts.isCallExpression(owner) || ts.isParenthesizedExpression(owner)) owner = owner.parent
  return isNamed(owner) ? owner.name.getText() : undefined
}

const isNamed = (owner: ts.Node): owner is ts.VariableDeclaration | ts.PropertyAssignment | ts.PropertyDeclaration =>
  ts.isVariableDeclaration(owner) || ts.isPropertyAssignment(owner) || ts.isPropertyDeclaration(owner)
