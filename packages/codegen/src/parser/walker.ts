/**
 * From compiler types to shapes. The written type node goes along as far as it says the same as the type, because constraints on an alias
 * of a primitive exist in the node only (rule 21).
 */
import { ts } from "ts-morph"
import { constraintTable, wrongValue } from "../constraint.ts"
import type { Constraint, Field, NamedShape, Payload, Shape, TypeSource } from "../domain.ts"
import { compare, union } from "../shape.ts"
import { globalKind, globalName, type GlobalKind } from "./global.ts"
import { type Literal, literalOf, scalarOf, templateOf } from "./scalar.ts"
import { elementType, nodeLike, recordValue, withoutParens } from "./node.ts"
import type { Report } from "./report.ts"
import { constraintsOf, type Tagged } from "./tags.ts"

/** What the reader of definitions asks of a walker: a shape for each written type, and the named shapes met on the way. */
export interface TypeWalker {
  payload(node: ts.TypeNode, path: string): Payload
  readonly named: ReadonlyMap<string, NamedShape>
}

export interface WalkerInput {
  readonly checker: ts.TypeChecker
  readonly program: ts.Program
  readonly report: Report
  /** Where generated code can import a symbol from; `"hidden"`: declared in the definition file, but not exported. */
  readonly sourceOf: (symbol: ts.Symbol) => TypeSource | "hidden" | undefined
}

interface Name {
  readonly text: string
  readonly symbol: ts.Symbol
}

interface Spot {
  /** Node to blame: the written type, else the declaration of the member. */
  readonly blame: ts.Node
  readonly path: string
  readonly depth: number
  /** The alias through which a type was reached: the compiler does not keep it on all types. */
  readonly alias?: Name | undefined
}

/** Deeper than any hand-written type: a generic type that grows with every level. */
const maxDepth = 60
const wrong: Shape = { kind: "wrong" }

export const makeWalker = (input: WalkerInput): TypeWalker => new Walker(input)

class Walker implements TypeWalker {
  readonly named: Map<string, NamedShape> = new Map()
  readonly #ids: Map<ts.Type, string> = new Map()
  readonly #open: Map<ts.Type, { id: string | undefined }> = new Map()
  readonly #checker: ts.TypeChecker
  readonly #program: ts.Program
  readonly #report: Report
  readonly #sourceOf: WalkerInput["sourceOf"]

  constructor({ checker, program, report, sourceOf }: WalkerInput) {
    this.#checker = checker
    this.#program = program
    this.#report = report
    this.#sourceOf = sourceOf
  }

  payload(node: ts.TypeNode, path: string): Payload {
    const type = this.#checker.getTypeFromTypeNode(node)
    const at = this.#report.place(node)
    const isVoid = (type.flags & (ts.TypeFlags.Void | ts.TypeFlags.Undefined)) !== 0
    return { at, shape: isVoid ? null : this.#shape(type, node, { blame: node, path, depth: 0 }) }
  }

  #fail(code: Parameters<Report["add"]>[0], spot: Spot, found?: string): Shape {
    this.#report.add(code, spot.blame, spot.path, found)
    return wrong
  }

  #shape(type: ts.Type, written: ts.TypeNode | undefined, from: Spot): Shape {
    const node = written === undefined ? undefined : withoutParens(written)
    const spot: Spot = { ...from, blame: node ?? from.blame, depth: from.depth + 1, alias: undefined }
    if (spot.depth > maxDepth) return this.#fail("too-deep", spot, this.#checker.typeToString(type))
    const alias = node === undefined ? undefined : this.#aliasOf(node)
    if (alias !== undefined) {
      const inner = this.#shape(type, alias.type, { ...spot, alias: this.#aliasName(alias) })
      return this.#constrain(inner, constraintsOf(alias), spot)
    }
    const scalar = scalarOf(type)
    if (scalar !== undefined) return scalar
    const literal = literalOf(type)
    if (literal !== undefined) return this.#literal(literal, spot)
    if (type.flags & ts.TypeFlags.TemplateLiteral) return templateOf(type as ts.TemplateLiteralType) ?? this.#fail("template", spot)
    const refused = this.#refused(type, node)
    if (refused !== undefined) return this.#fail(refused, spot, this.#text(type, node))
    if (type.isUnion()) return this.#named(type, { ...spot, alias: from.alias }, (inner) => this.#union(type.types, node, inner))
    if (type.isIntersection()) {
      // A brand: a primitive with a marker that exists for the checker only.
      const base = type.types.find((part) => scalarOf(part) !== undefined || literalOf(part) !== undefined)
      if (base !== undefined) return this.#shape(base, undefined, spot)
    }
    return this.#object(type, node, { ...spot, alias: from.alias })
  }

  #literal(literal: Literal, spot: Spot): Shape {
    return literal.isEnum ? this.#fail("enum", spot) : { kind: "literal", value: literal.value }
  }

  /** The code of a type that is never data. */
  #refused(type: ts.Type, node: ts.TypeNode | undefined): Parameters<Report["add"]>[0] | undefined {
    const { flags } = type
    if (flags & ts.TypeFlags.Any) return this.#whyAny(node)
    if (flags & ts.TypeFlags.Never) return "never"
    if (flags & (ts.TypeFlags.Undefined | ts.TypeFlags.Void)) return "undefined"
    if (flags & (ts.TypeFlags.ESSymbol | ts.TypeFlags.UniqueESSymbol)) return "symbol"
    if (flags & ts.TypeFlags.NonPrimitive) return "object"
    if (flags & ts.TypeFlags.Enum) return "enum"
    if (flags & (ts.TypeFlags.TypeParameter | ts.TypeFlags.IndexedAccess | ts.TypeFlags.Conditional | ts.TypeFlags.Index))
      return "type-parameter"
    if (flags & ts.TypeFlags.StringMapping) return "template"
    return undefined
  }

  /** Why a type is `any`: what the compiler does not know, and would report, is `any` to its users. */
  #whyAny(node: ts.TypeNode | undefined): "any" | "unknown-name" | "type-parameter" {
    if (node === undefined || !ts.isTypeReferenceNode(node)) return "any"
    const symbol = this.#checker.getSymbolAtLocation(node.typeName)
    const target = symbol !== undefined && symbol.flags & ts.SymbolFlags.Alias ? this.#checker.getAliasedSymbol(symbol) : symbol
    if (target?.declarations === undefined) return "unknown-name"
    const isGeneric = target.declarations.some(
      (declaration) =>
        (ts.isInterfaceDeclaration(declaration) || ts.isTypeAliasDeclaration(declaration)) && declaration.typeParameters !== undefined,
    )
    return isGeneric ? "type-parameter" : "any"
  }

  #text(type: ts.Type, node: ts.TypeNode | undefined): string {
    return node === undefined ? this.#checker.typeToString(type) : node.getText()
  }

  /** The declaration of a plain alias that a node refers to. */
  #aliasOf(node: ts.TypeNode): ts.TypeAliasDeclaration | undefined {
    if (!ts.isTypeReferenceNode(node) || node.typeArguments !== undefined) return undefined
    const symbol = this.#checker.getSymbolAtLocation(node.typeName)
    if (symbol === undefined) return undefined
    const target = symbol.flags & ts.SymbolFlags.Alias ? this.#checker.getAliasedSymbol(symbol) : symbol
    const declaration = target.declarations?.find(ts.isTypeAliasDeclaration)
    return declaration?.typeParameters === undefined ? declaration : undefined
  }

  #union(members: ReadonlyArray<ts.Type>, node: ts.TypeNode | undefined, spot: Spot): Shape {
    const shapes = this.#writtenUnion(members, node, spot) ?? this.#memberShapes(members, spot)
    return union(shapes, this.#report.place(spot.blame), spot.path)
  }

  /** The parts of a union as written, where aliases keep their names, if they say all that its type says. */
  #writtenUnion(members: ReadonlyArray<ts.Type>, node: ts.TypeNode | undefined, spot: Spot): ReadonlyArray<Shape> | undefined {
    if (node === undefined || !ts.isUnionTypeNode(node)) return undefined
    const parts = node.types.map((part) => ({ part, type: this.#checker.getTypeFromTypeNode(part) }))
    const present = parts.filter(({ type }) => !(type.flags & ts.TypeFlags.Undefined))
    const types = present.flatMap(({ type }) =>
      type.isUnion() || type.flags & ts.TypeFlags.Boolean ? (type as ts.UnionType).types : [type],
    )
    const isWhole = members.every((member) => types.includes(member)) && types.every((type) => members.includes(type))
    return isWhole ? present.map(({ part, type }) => this.#shape(type, part, spot)) : undefined
  }

  #memberShapes(members: ReadonlyArray<ts.Type>, spot: Spot): ReadonlyArray<Shape> {
    const booleans = members.filter((member) => member.flags & ts.TypeFlags.BooleanLiteral)
    const others = booleans.length === 2 ? members.filter((member) => !booleans.includes(member)) : members
    const shapes = others.map((member) => this.#shape(member, undefined, spot))
    return booleans.length === 2 ? [...shapes, { kind: "boolean" }] : shapes
  }

  #object(type: ts.Type, node: ts.TypeNode | undefined, spot: Spot): Shape {
    if (this.#checker.isTupleType(type)) return this.#tuple(type as ts.TupleTypeReference, node, spot)
    const kind = globalKind(type, this.#program)
    if (kind !== undefined) return this.#global(kind, type, node, spot)
    const symbol = type.getSymbol()
    if (type.getCallSignatures().length > 0 || type.getConstructSignatures().length > 0) {
      return this.#fail("function", spot, this.#text(type, node))
    }
    if (symbol !== undefined && symbol.flags & ts.SymbolFlags.Class) return this.#fail("class", spot, symbol.name)
    return this.#named(type, spot, (inner) => this.#members(type, node, inner))
  }

  #global(kind: GlobalKind, type: ts.Type, node: ts.TypeNode | undefined, spot: Spot): Shape {
    const types = this.#checker.getTypeArguments(type as ts.TypeReference)
    const argument = (index: number): Shape => {
      const part = nodeLike(node, index)
      const argumentType = types[index]
      if (argumentType === undefined) return wrong
      const path = `${spot.path}${kind === "map" && index === 0 ? "{key}" : "[]"}`
      return this.#shape(argumentType, this.#agrees(part, argumentType) ? part : undefined, { ...spot, path })
    }
    switch (kind) {
      case "array":
      case "set":
        return { kind, item: argument(0), constraints: [] }
      case "map":
        return { kind, key: argument(0), value: argument(1), constraints: [] }
      case "date":
      case "url":
      case "bytes":
        return { kind }
      case "refused": {
        const name = globalName(type, this.#program) ?? this.#text(type, node)
        return this.#fail(
          name === "Function" ? "function" : name === "Symbol" ? "symbol" : name === "Object" ? "object" : "no-json-form",
          spot,
          name,
        )
      }
    }
  }

  #tuple(type: ts.TupleTypeReference, node: ts.TypeNode | undefined, spot: Spot): Shape {
    const elements = node !== undefined && ts.isTupleTypeNode(node) ? node.elements : undefined
    const items: Array<{ shape: Shape; optional: boolean }> = []
    let rest: Shape | undefined
    this.#checker.getTypeArguments(type).forEach((argument, index) => {
      const flags = type.target.elementFlags[index] ?? ts.ElementFlags.Required
      const element = elements?.[index]
      const inner = { ...spot, path: `${spot.path}[${index}]`, blame: element ?? spot.blame }
      if (rest !== undefined) return void this.#fail("no-json-form", inner, "a tuple with members after its rest")
      const written = element === undefined ? undefined : elementType(element)
      const shape = this.#fieldShape(this.#present(argument, (flags & ts.ElementFlags.Optional) !== 0), written, inner)
      if (flags & ts.ElementFlags.Variable) rest = shape
      else items.push({ shape, optional: (flags & ts.ElementFlags.Optional) !== 0 })
    })
    return { kind: "tuple", items, rest }
  }

  #members(type: ts.Type, node: ts.TypeNode | undefined, spot: Spot): Shape {
    const value = recordValue(node)
    const fields = this.#properties(type).flatMap((property): ReadonlyArray<Field> => {
      const field = this.#field(property, spot, value)
      return field === undefined ? [] : [field]
    })
    let rest: Shape | undefined
    for (const info of this.#checker.getIndexInfosOfType(type)) {
      const inner = { ...spot, path: `${spot.path}[key]`, blame: info.declaration ?? spot.blame }
      if (!(info.keyType.flags & ts.TypeFlags.String)) {
        this.#fail("index-key", inner, this.#checker.typeToString(info.keyType))
        continue
      }
      const written = info.declaration !== undefined && ts.isIndexSignatureDeclaration(info.declaration) ? info.declaration.type : value
      rest = this.#shape(info.type, this.#agrees(written, info.type) ? written : undefined, inner)
    }
    return fields.length === 0 && rest !== undefined ? { kind: "record", value: rest } : { kind: "object", fields, rest }
  }

  /** In the order of the source; keys that come from a union have none of their own, and are sorted (rule 18). */
  #properties(type: ts.Type): ReadonlyArray<ts.Symbol> {
    const properties = this.#checker.getPropertiesOfType(type)
    const isWritten = properties.every(
      (property) => property.declarations?.some((one) => !ts.isMappedTypeNode(one) && ts.isTypeElement(one)) === true,
    )
    return isWritten ? properties : properties.toSorted((a, b) => compare(a.name, b.name))
  }

  #field(property: ts.Symbol, owner: Spot, value: ts.TypeNode | undefined): Field | undefined {
    const declaration = property.declarations?.[0]
    const isOwn = declaration !== undefined && !this.#program.isSourceFileDefaultLibrary(declaration.getSourceFile())
    const spot: Spot = { ...owner, path: `${owner.path}.${property.name}`, blame: isOwn ? declaration : owner.blame }
    if (property.name.startsWith("__@")) {
      this.#fail("symbol", { ...spot, path: owner.path }, "a member whose key is a symbol")
      return undefined
    }
    if (property.name === "__proto__") {
      this.#fail("reserved-field", spot, property.name)
      return undefined
    }
    const optional = (property.flags & ts.SymbolFlags.Optional) !== 0
    const written =
      declaration !== undefined && (ts.isPropertySignature(declaration) || ts.isPropertyDeclaration(declaration)) ? declaration.type : value
    const shape = this.#fieldShape(this.#present(this.#checker.getTypeOfSymbol(property), optional), written, spot)
    const constrained = declaration === undefined ? shape : this.#constrain(shape, constraintsOf(declaration), spot)
    return { name: property.name, optional, shape: constrained }
  }

  /** What a member is when it is there. */
  #present(type: ts.Type, optional: boolean): ReadonlyArray<ts.Type> {
    return optional && type.isUnion() ? type.types.filter((member) => !(member.flags & ts.TypeFlags.Undefined)) : [type]
  }

  /** Of the members that remain without `undefined`; the written node says it better when it says the same (an alias keeps its name). */
  #fieldShape(present: ReadonlyArray<ts.Type>, written: ts.TypeNode | undefined, spot: Spot): Shape {
    const single = present[0]
    if (written !== undefined) {
      const whole = this.#checker.getTypeFromTypeNode(written)
      const parts = whole.isUnion() ? whole.types : [whole]
      const isSame = single === whole || (parts.length === present.length && parts.every((part) => present.includes(part)))
      if (isSame) return this.#shape(whole, written, spot)
    }
    if (present.length === 1 && single !== undefined) return this.#shape(single, undefined, spot)
    return this.#union(present, written === undefined ? undefined : withoutParens(written), spot)
  }

  #agrees(node: ts.TypeNode | undefined, type: ts.Type): boolean {
    return node !== undefined && this.#checker.getTypeFromTypeNode(node) === type
  }

  /**
   * Objects and unions of objects that have a name are printed once. What has no name gets one only if it contains itself, which is known
   * when it is met again while it is still open.
   */
  #named(type: ts.Type, from: Spot, build: (inner: Spot) => Shape): Shape {
    const known = this.#ids.get(type)
    if (known !== undefined) return { kind: "ref", id: known }
    const open = this.#open.get(type)
    const name = this.#nameOf(type) ?? from.alias
    const spot: Spot = { ...from, alias: undefined }
    if (open !== undefined) {
      open.id ??= this.#freshId(name?.text ?? pascal(spot.path))
      return { kind: "ref", id: open.id }
    }
    const entry: { id: string | undefined } = { id: undefined }
    if (name !== undefined && !type.isUnion()) entry.id = this.#freshId(name.text)
    this.#open.set(type, entry)
    const shape = build(name === undefined ? spot : { ...spot, path: name.text, depth: 0 })
    this.#open.delete(type)
    if (entry.id === undefined && name !== undefined && holdsObjects(shape)) entry.id = this.#freshId(name.text)
    if (entry.id === undefined) return shape
    const source = name === undefined ? undefined : this.#sourceOf(name.symbol)
    if (source === "hidden" && name !== undefined)
      this.#fail("not-exported", { ...spot, blame: nameNode(name.symbol) ?? spot.blame, path: name.text }, name.text)
    this.#ids.set(type, entry.id)
    this.named.set(entry.id, { id: entry.id, source: source === "hidden" ? undefined : source, shape, at: this.#report.place(spot.blame) })
    return { kind: "ref", id: entry.id }
  }

  /** The name that the user gave a type; an instance of a generic type has none of its own. */
  #nameOf(type: ts.Type): Name | undefined {
    if (type.aliasSymbol !== undefined) {
      return type.aliasTypeArguments === undefined && this.#isOwn(type.aliasSymbol)
        ? { text: type.aliasSymbol.name, symbol: type.aliasSymbol }
        : undefined
    }
    const symbol = type.getSymbol()
    if (symbol === undefined || !(symbol.flags & ts.SymbolFlags.Interface) || !this.#isOwn(symbol)) return undefined
    const isGeneric =
      (type as ts.TypeReference).typeArguments !== undefined && this.#checker.getTypeArguments(type as ts.TypeReference).length > 0
    return isGeneric ? undefined : { text: symbol.name, symbol }
  }

  #aliasName(declaration: ts.TypeAliasDeclaration): Name | undefined {
    const symbol = this.#checker.getSymbolAtLocation(declaration.name)
    return symbol !== undefined && this.#isOwn(symbol) ? { text: symbol.name, symbol } : undefined
  }

  #isOwn(symbol: ts.Symbol): boolean {
    return symbol.declarations?.some((declaration) => !this.#program.isSourceFileDefaultLibrary(declaration.getSourceFile())) ?? false
  }

  #freshId(name: string): string {
    const taken = new Set([...this.named.keys(), ...[...this.#open.values()].map((entry) => entry.id)])
    let id = name
    for (let i = 2; taken.has(id); i++) id = `${name}${i}`
    return id
  }

  /** Puts constraints on the members of a shape that they fit. */
  #constrain(shape: Shape, tags: ReadonlyArray<Tagged>, spot: Spot): Shape {
    return tags.reduce((current, tag) => {
      const { fits } = constraintTable[tag.name]
      const targets = (current.kind === "union" ? current.members : [current]).filter((member) => fits.includes(member.kind))
      const target = targets[0]
      if (target === undefined) {
        if (current.kind !== "wrong") this.#fail("constraint-misfit", { ...spot, blame: tag.node }, `@${tag.name} ${describe(current)}`)
        return current
      }
      const reason = wrongValue(tag, target.kind)
      if (reason !== undefined) {
        this.#fail("constraint-value", { ...spot, blame: tag.node }, `@${tag.name} ${reason}`)
        return current
      }
      const add = (member: Shape): Shape =>
        targets.includes(member) && "constraints" in member ? { ...member, constraints: merged(member.constraints, tag) } : member
      return current.kind === "union" ? union(current.members.map(add), current.at, current.path) : add(current)
    }, shape)
  }
}

/** A tag on the field replaces the same tag on its alias; sorted, so that their order in the comment does not matter. */
const merged = (constraints: ReadonlyArray<Constraint>, { name, value }: Constraint): ReadonlyArray<Constraint> =>
  [...constraints.filter((one) => one.name !== name), { name, value: value.replace(/n$/, "") }].sort((a, b) => (a.name < b.name ? -1 : 1))

const describe = (shape: Shape): string =>
  shape.kind === "ref"
    ? shape.id
    : shape.kind === "union"
      ? `a union of ${shape.members.map((member) => member.kind).join(", ")}`
      : shape.kind

const holdsObjects = (shape: Shape): boolean =>
  shape.kind === "union" ? shape.members.some(holdsObjects) : shape.kind === "ref" || shape.kind === "object" || shape.kind === "record"

const nameNode = (symbol: ts.Symbol): ts.Node | undefined => {
  const declaration = symbol.declarations?.[0]
  return declaration !== undefined && (ts.isInterfaceDeclaration(declaration) || ts.isTypeAliasDeclaration(declaration))
    ? declaration.name
    : undefined
}

const pascal = (path: string): string =>
  path
    .split(/[^A-Za-z0-9]+/)
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join("")
