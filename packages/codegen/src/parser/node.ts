/** Written type nodes: taking them apart in step with the types they stand for. */
import { ts } from "ts-morph"

/** Without parentheses and `readonly`. */
export const withoutParens = (node: ts.TypeNode): ts.TypeNode => {
  if (ts.isParenthesizedTypeNode(node)) return withoutParens(node.type)
  if (ts.isTypeOperatorNode(node) && node.operator === ts.SyntaxKind.ReadonlyKeyword) return withoutParens(node.type)
  return node
}

/** The node of the type argument with an index: `X[]` and `Array<X>`, `Map<K, V>`. */
export const nodeLike = (node: ts.TypeNode | undefined, index: number): ts.TypeNode | undefined => {
  if (node === undefined) return undefined
  if (ts.isArrayTypeNode(node)) return index === 0 ? node.elementType : undefined
  return ts.isTypeReferenceNode(node) ? node.typeArguments?.[index] : undefined
}

/** The node of `V` in `Record<K, V>`, which a mapped type does not keep. */
export const recordValue = (node: ts.TypeNode | undefined): ts.TypeNode | undefined =>
  node !== undefined && ts.isTypeReferenceNode(node) && ts.isIdentifier(node.typeName) && node.typeName.text === "Record"
    ? node.typeArguments?.[1]
    : undefined

/** What a tuple's element is made of: without its name, question mark or dots. */
export const elementType = (node: ts.TypeNode): ts.TypeNode | undefined => {
  if (ts.isNamedTupleMember(node)) return node.dotDotDotToken === undefined ? node.type : arrayElement(node.type)
  if (ts.isOptionalTypeNode(node)) return node.type
  return ts.isRestTypeNode(node) ? arrayElement(node.type) : node
}

const arrayElement = (node: ts.TypeNode): ts.TypeNode | undefined => {
  const inner = withoutParens(node)
  return ts.isArrayTypeNode(inner) ? inner.elementType : undefined
}
