/** Which names stand for the job of a `run`, for its activities and for its sagas, and which calls on them are durable. */
import { ts } from "ts-morph"
import { isFunctionNode, symbolOf, withoutAssertions } from "./functions.ts"

/** `activity`: one of the activities, taken out by its name. */
export type Role = "job" | "activities" | "activity" | "saga"

export interface DurableCall {
  /** `job.step`, `job.activities.deliver`, `saga.undo`. */
  readonly name: string
  /** Something happens even if nobody waits: `undo` only notes what to do. */
  readonly isPromise: boolean
  /** The argument whose code runs once, its result journaled. */
  readonly body: ts.Expression | undefined
}

const waiting = new Set(["receive", "saga", "sleep", "sleepUntil", "step", "use"])

export class Roles {
  readonly #checker: ts.TypeChecker
  readonly #roles: Map<ts.Symbol, Role> = new Map()

  constructor(checker: ts.TypeChecker) {
    this.#checker = checker
  }

  /** A parameter or a variable holds the job, or what its pattern takes out of it. */
  bind(name: ts.BindingName, role: Role): void {
    if (ts.isIdentifier(name)) {
      const symbol = this.#checker.getSymbolAtLocation(name)
      if (symbol !== undefined) this.#roles.set(symbol, role)
      return
    }
    if (!ts.isObjectBindingPattern(name)) return
    for (const { propertyName, name: bound } of name.elements) {
      const taken = propertyName ?? bound
      if (role === "activities") this.bind(bound, "activity")
      else if (role === "job" && ts.isIdentifier(taken) && taken.text === "activities") this.bind(bound, "activities")
    }
  }

  /** Hands the roles of arguments on to the parameters; gives what tells calls with other roles apart. */
  bindArguments(target: ts.SignatureDeclaration, given: ReadonlyArray<ts.Expression>): string {
    const roles = given.map((argument) => this.of(argument))
    roles.forEach((role, index) => {
      const parameter = target.parameters[index]
      if (role !== undefined && parameter !== undefined) this.bind(parameter.name, role)
    })
    return roles.join()
  }

  of(given: ts.Expression): Role | undefined {
    const expression = withoutAssertions(given)
    if (ts.isIdentifier(expression)) {
      const symbol = symbolOf(this.#checker, expression)
      return symbol === undefined ? undefined : this.#roles.get(symbol)
    }
    if (!ts.isPropertyAccessExpression(expression) && !ts.isElementAccessExpression(expression)) return undefined
    const owner = this.of(expression.expression)
    if (owner === "activities") return "activity"
    return owner === "job" && ts.isPropertyAccessExpression(expression) && expression.name.text === "activities" ? "activities" : undefined
  }

  durable(call: ts.CallExpression): DurableCall | undefined {
    const callee = withoutAssertions(call.expression)
    const name = callee.getText().replaceAll(/\s+/g, "")
    if (this.of(callee) === "activity") return { name, isPromise: true, body: undefined }
    if (!ts.isPropertyAccessExpression(callee)) return undefined
    const role = this.of(callee.expression)
    const method = callee.name.text
    if (role === "job" && waiting.has(method)) return { name, isPromise: true, body: method === "step" ? call.arguments[1] : undefined }
    return role === "saga" && method === "undo" ? { name, isPromise: false, body: call.arguments[1] } : undefined
  }

  /** The function that `job.saga` is given sees the saga. */
  bindSaga(call: ts.CallExpression): void {
    const body = call.arguments[0]
    const parameter = body !== undefined && isFunctionNode(body) ? body.parameters[0] : undefined
    if (parameter !== undefined) this.bind(parameter.name, "saga")
  }
}
