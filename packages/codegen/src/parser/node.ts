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

/** The first node that fits: a member of a written union, or what a tuple member wraps. */
export const partOf = (node: ts.TypeNode, fits: (candidate: ts.TypeNode) => boolean): ts.TypeNode | undefined => {
  if (ts.isUnionTypeNode(node)) return node.types.find(fits)
  if (ts.isNamedTupleMember(node)) return partOf(node.type, fits)
  if (ts.isOptionalTypeNode(node)) return partOf(node.type, fits)
  if (ts.isRestTypeNode(node)) {
    const inner = withoutParens(node.type)
    return ts.isArrayTypeNode(inner) && fits(inner.elementType) ? inner.elementType : undefined
  }
  return fits(node) ? node : undefined
}
