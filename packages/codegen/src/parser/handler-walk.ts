/**
 * Walks the code that a handler runs, and what that calls in the files that were read.
 *
 * - W1 Bodies of steps and compensations are not walked: their results are journaled.
 * - W2 A function is walked where its name is used, not where it is declared: one that only steps use may do as it likes. So is one that another
 *   function returns.
 * - W3 Function literals in any other place are walked where they stand, as they may be called there.
 * - W4 Each function is walked once for each handler, each set of roles of its arguments and each set of remarks on the way to it, so that
 *   recursion ends, and what a remark allows for one caller is not allowed for another.
 */
import { ts } from "ts-morph"
import type { Place } from "../domain.ts"
import type { Origin, Use } from "../handler.ts"
import type { DurableCall, Roles } from "./durable.ts"
import {
  type FunctionNode,
  functionsOf,
  functionsOfSymbol,
  isAsync,
  isFunctionNode,
  nameOf,
  symbolOf,
  withoutAssertions,
} from "./functions.ts"
import { isConst, outsideName } from "./outside.ts"
import type { Report } from "./report.ts"
import { isForEach, isSettled } from "./settled.ts"

export interface WalkInput {
  readonly checker: ts.TypeChecker
  readonly report: Report
  readonly roles: Roles
  readonly origin: Origin
  /** Tells lines with different remarks apart; empty: there is none. */
  readonly remarkOf: (at: Place) => string
}

export class HandlerWalk {
  readonly uses: Array<Use> = []
  readonly #checker: ts.TypeChecker
  readonly #report: Report
  readonly #roles: Roles
  readonly #origin: Origin
  readonly #walked: Set<string> = new Set()
  readonly #remarkOf: WalkInput["remarkOf"]
  /** Functions that led here from the handler. */
  readonly #path: Array<Use["through"][number]> = []
  /** Functions that are being walked, the innermost last. */
  readonly #open: Array<FunctionNode> = []
  /** Functions in which a durable call was met. */
  readonly #durable: Set<FunctionNode> = new Set()

  constructor({ checker, report, roles, origin, remarkOf }: WalkInput) {
    this.#remarkOf = remarkOf
    this.#checker = checker
    this.#report = report
    this.#roles = roles
    this.#origin = origin
  }

  handler(handler: FunctionNode): void {
    const first = handler.parameters[0]
    if (first !== undefined && this.#origin.member === "run") this.#roles.bind(first.name, "job")
    this.#inside(handler)
  }

  #enter(target: FunctionNode, caller: ts.Node, roles = ""): void {
    const name = nameOf(target) ?? "a function"
    const isNew = this.#once(target, { name, at: this.#report.place(caller) }, roles, () => this.#inside(target))
    // the caller of a function that makes durable calls makes them too
    if (!isNew && this.#durable.has(target)) this.#markDurable()
  }

  /** W4; false: it has been walked. */
  #once(target: ts.Node, step: Use["through"][number], roles: string, walk: () => void): boolean {
    const { file, start } = this.#report.place(target)
    const remarks = new Set([...this.#path, step].map(({ at }) => this.#remarkOf(at)))
    const id = `${file} ${start} ${roles} ${[...remarks].join(" ")}`
    if (this.#walked.has(id)) return false
    this.#walked.add(id)
    this.#path.push(step)
    walk()
    this.#path.pop()
    return true
  }

  #inside(target: FunctionNode): void {
    this.#open.push(target)
    for (const { name, initializer } of target.parameters) {
      this.#defaults(name)
      if (initializer !== undefined) this.#visit(initializer)
    }
    if (!isFunctionNode(target.body)) this.#visit(target.body)
    this.#open.pop()
  }

  #markDurable(): void {
    for (const target of this.#open) this.#durable.add(target)
  }

  readonly #visit = (node: ts.Node): void => {
    if (ts.isTypeNode(node) || ts.isClassLike(node) || ts.isFunctionDeclaration(node) || ts.isTypeOfExpression(node)) return
    if (ts.isReturnStatement(node) && node.expression !== undefined && isFunctionNode(withoutAssertions(node.expression))) return
    if (ts.isVariableDeclaration(node)) return this.#variable(node)
    if (isFunctionNode(node)) return this.#inside(node)
    if (ts.isCallExpression(node)) return this.#call(node)
    if (ts.isNewExpression(node)) return this.#new(node)
    if (ts.isIdentifier(node) || ts.isPropertyAccessExpression(node) || ts.isElementAccessExpression(node)) return this.#mention(node)
    if (ts.isPropertyAssignment(node)) return this.#visit(node.initializer)
    if (ts.isShorthandPropertyAssignment(node)) return this.#mention(node.name)
    ts.forEachChild(node, this.#visit)
  }

  /** What a pattern gives where a value is missing. */
  #defaults(name: ts.BindingName): void {
    if (ts.isIdentifier(name)) return
    for (const element of name.elements) {
      if (ts.isOmittedExpression(element)) continue
      this.#defaults(element.name)
      if (element.initializer !== undefined) this.#visit(element.initializer)
    }
  }

  #variable(declaration: ts.VariableDeclaration): void {
    const { name, initializer } = declaration
    this.#defaults(name)
    if (initializer === undefined) return
    const value = withoutAssertions(initializer)
    const role = this.#roles.of(value)
    if (role !== undefined) return this.#roles.bind(name, role)
    if (isFunctionNode(value)) return
    // a constant that renames something outside is followed where it is used
    if (isConst(declaration) && outsideName(this.#checker, value) !== undefined) return
    if (ts.isObjectLiteralExpression(value)) return this.#object(value)
    this.#visit(value)
  }

  /** Functions in an object with a name are functions with a name (W2). */
  #object(object: ts.ObjectLiteralExpression): void {
    for (const property of object.properties) {
      const value = ts.isPropertyAssignment(property) ? withoutAssertions(property.initializer) : property
      if (!isFunctionNode(value)) this.#visit(property)
    }
  }

  #call(call: ts.CallExpression): void {
    const durable = this.#roles.durable(call)
    if (durable !== undefined) return this.#durableCall(call, durable)
    const callee = withoutAssertions(call.expression)
    const outside = outsideName(this.#checker, callee)
    if (outside !== undefined) this.#refer(outside, "call", call)
    else this.#callee(call, callee)
    for (const argument of call.arguments) this.#argument(argument)
    if (isForEach(call)) this.#loop(call)
  }

  /** Who is given a function may call it, also one that was made for it. */
  #argument(argument: ts.Expression): void {
    this.#visit(argument)
    if (!ts.isCallExpression(argument)) return
    for (const target of functionsOf(this.#checker, argument)) this.#enter(target, argument)
  }

  #durableCall(call: ts.CallExpression, { name, isPromise, body }: DurableCall): void {
    this.#markDurable()
    if (isPromise && !isSettled(this.#checker, call)) this.#float(name, call)
    this.#roles.bindSaga(call)
    for (const argument of call.arguments) {
      // what makes the body runs here
      if (argument !== body || ts.isCallExpression(withoutAssertions(argument))) this.#visit(argument)
    }
    if (body !== undefined && isFunctionNode(withoutAssertions(body))) this.#nested(name, body)
  }

  /** The body of a step may do anything but make durable calls; what is shared it may use. */
  #nested(outer: string, body: ts.Node): void {
    const find = (node: ts.Node): void => {
      const inner = ts.isCallExpression(node) ? this.#roles.durable(node) : undefined
      if (inner?.isPromise === true && !inner.name.endsWith(".use"))
        this.uses.push({ kind: "nested", name: inner.name, outer, ...this.#used(node) })
      ts.forEachChild(node, find)
    }
    find(body)
  }

  #callee(call: ts.CallExpression, callee: ts.Expression): void {
    const targets = isFunctionNode(callee) ? [callee] : functionsOf(this.#checker, callee)
    if (ts.isPropertyAccessExpression(callee)) this.#visit(callee.expression)
    else if (targets.length === 0 || ts.isCallExpression(callee)) this.#visit(callee)
    for (const target of targets) {
      this.#enter(target, call, this.#roles.bindArguments(target, call.arguments))
      if (this.#durable.has(target) && isAsync(target) && !isSettled(this.#checker, call)) {
        this.#float(nameOf(target) ?? "(async () => …)", call)
      }
    }
  }

  #loop(call: ts.CallExpression): void {
    const callback = call.arguments[0]
    if (callback === undefined || !isFunctionNode(callback) || !isAsync(callback) || !this.#durable.has(callback)) return
    this.#float(call.expression.getText(), call, true)
  }

  #new(node: ts.NewExpression): void {
    const outside = outsideName(this.#checker, node.expression)
    if (outside !== undefined) this.#refer(outside, "new", node)
    const declaration = symbolOf(this.#checker, withoutAssertions(node.expression))?.valueDeclaration
    if (declaration !== undefined && ts.isClassDeclaration(declaration)) this.#class(declaration, node)
    for (const argument of node.arguments ?? []) this.#visit(argument)
  }

  #class(declaration: ts.ClassDeclaration, made: ts.NewExpression): void {
    const { members, name } = declaration
    const constructor = members.find((member) => ts.isConstructorDeclaration(member))
    const roles = constructor === undefined ? "" : this.#roles.bindArguments(constructor, made.arguments ?? [])
    this.#once(declaration, { name: `new ${name?.text ?? "class"}`, at: this.#report.place(made) }, roles, () => {
      for (const member of members) {
        // static members are made when the file is loaded, methods are walked where they are called
        if (ts.isPropertyDeclaration(member) && !isStatic(member) && member.initializer !== undefined) {
          if (!isFunctionNode(withoutAssertions(member.initializer))) this.#visit(member.initializer)
        }
      }
      if (constructor?.body !== undefined) this.#visit(constructor.body)
    })
  }

  #mention(node: ts.Identifier | ts.PropertyAccessExpression | ts.ElementAccessExpression): void {
    const outside = outsideName(this.#checker, node)
    if (outside !== undefined) return this.#refer(outside, "mention", node)
    if (ts.isElementAccessExpression(node)) return ts.forEachChild(node, this.#visit)
    const name = ts.isIdentifier(node) ? node : node.name
    if (ts.isPropertyAccessExpression(node)) this.#visit(node.expression)
    for (const target of functionsOfSymbol(this.#checker, symbolOf(this.#checker, name))) this.#enter(target, name)
  }

  #refer(name: string, form: "call" | "new" | "mention", node: ts.Expression): void {
    const args = ts.isCallExpression(node) || ts.isNewExpression(node) ? (node.arguments?.length ?? 0) : 0
    this.uses.push({ kind: "reference", name, form, args, ...this.#used(node) })
  }

  #float(name: string, node: ts.Expression, isLoop = false): void {
    this.uses.push({ kind: "floating", name, isLoop, ...this.#used(node) })
  }

  #used(node: ts.Node): Pick<Use, "at" | "origin" | "through"> {
    return { at: this.#report.place(node), origin: this.#origin, through: [...this.#path] }
  }
}

const isStatic = (member: ts.PropertyDeclaration): boolean => (ts.getCombinedModifierFlags(member) & ts.ModifierFlags.Static) !== 0
