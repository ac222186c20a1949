/** Whether somebody waits for the end of a call: it is awaited, returned, yielded or handed on. */
import { ts } from "ts-morph"

const chained = new Set(["then", "catch", "finally"])
const gathering = new Set(["all", "allSettled", "any", "race"])

export const isSettled = (checker: ts.TypeChecker, call: ts.Expression): boolean => {
  let node: ts.Node = call
  for (;;) {
    const next = carrier(node)
    if (next === undefined) return isTaken(checker, node)
    node = next
  }
}

/** The expression that has the call's promise in it, when that is all that happens to the promise there. */
const carrier = (node: ts.Node): ts.Node | undefined => {
  const { parent } = node
  if (
    ts.isParenthesizedExpression(parent) ||
    ts.isAsExpression(parent) ||
    ts.isSatisfiesExpression(parent) ||
    ts.isNonNullExpression(parent)
  ) {
    return parent
  }
  if (ts.isArrayLiteralExpression(parent) || ts.isSpreadElement(parent)) return parent
  if (ts.isConditionalExpression(parent)) return parent.condition === node ? undefined : parent
  if (ts.isBinaryExpression(parent)) return isValueOf(parent, node) ? parent : undefined
  if (ts.isPropertyAccessExpression(parent)) {
    return chained.has(parent.name.text) && ts.isCallExpression(parent.parent) && parent.parent.expression === parent
      ? parent.parent
      : undefined
  }
  if (ts.isCallExpression(parent)) return parent.expression !== node && isGathering(parent.expression) ? parent : undefined
  if (ts.isArrowFunction(parent) && parent.body === node) return isMapped(parent) ? parent.parent : undefined
  return undefined
}

const isValueOf = ({ operatorToken, right }: ts.BinaryExpression, node: ts.Node): boolean => {
  switch (operatorToken.kind) {
    case ts.SyntaxKind.AmpersandAmpersandToken:
    case ts.SyntaxKind.BarBarToken:
    case ts.SyntaxKind.QuestionQuestionToken:
      return true
    case ts.SyntaxKind.CommaToken:
      return right === node
    default:
      return false
  }
}

const isGathering = (callee: ts.Expression): boolean =>
  ts.isPropertyAccessExpression(callee) &&
  ts.isIdentifier(callee.expression) &&
  callee.expression.text === "Promise" &&
  gathering.has(callee.name.text)

const isMapped = (callback: ts.ArrowFunction): boolean =>
  ts.isCallExpression(callback.parent) &&
  ts.isPropertyAccessExpression(callback.parent.expression) &&
  callback.parent.expression.name.text === "map"

const isTaken = (checker: ts.TypeChecker, node: ts.Node): boolean => {
  const { parent } = node
  if (ts.isExpressionStatement(parent) || ts.isVoidExpression(parent)) return false
  if (ts.isBinaryExpression(parent) && parent.operatorToken.kind === ts.SyntaxKind.CommaToken) return false
  if (ts.isVariableDeclaration(parent) && ts.isIdentifier(parent.name)) return isReadAgain(checker, parent.name)
  if (ts.isArrowFunction(parent) && ts.isCallExpression(parent.parent)) return !isForEach(parent.parent)
  return true
}

/** `forEach` drops what its callback returns. */
export const isForEach = ({ expression }: ts.CallExpression): boolean =>
  ts.isPropertyAccessExpression(expression) && expression.name.text === "forEach"

const isReadAgain = (checker: ts.TypeChecker, name: ts.Identifier): boolean => {
  const symbol = checker.getSymbolAtLocation(name)
  const visit = (node: ts.Node): boolean =>
    (ts.isIdentifier(node) &&
      node !== name &&
      node.text === name.text &&
      (checker.getSymbolAtLocation(node) === symbol ||
        (ts.isShorthandPropertyAssignment(node.parent) && checker.getShorthandAssignmentValueSymbol(node.parent) === symbol))) ||
    ts.forEachChild(node, visit) === true
  return visit(name.getSourceFile())
}
