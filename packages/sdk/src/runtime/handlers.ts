/** Checks what `createWorker` was given as handlers: TypeScript refuses it earlier, but not everybody's code is checked by it. */
import { BadOption } from "../errors.ts"
import { refuseUnknown } from "../options.ts"
import type { ActivityHandlers, AnyHandlers, JobHandlers } from "./contract.ts"

const checkFunction = (value: unknown, name: string, kind: string): void => {
  if (typeof value === "function") return
  throw new BadOption(
    `expected the implementation of ${kind} to have the function ${name}, got: ${value === null ? "null" : typeof value}`,
    {
      kind,
      option: name,
    },
  )
}

/** Functions of declared names. A missing one is answered with HandlerMissing when it is asked for. */
const checkGroup = (given: object | undefined, declared: object, group: string, kind: string): void => {
  if (given === undefined) return
  refuseUnknown(given, Object.keys(declared), `${group} of ${kind}`)
  for (const [name, value] of Object.entries(given)) checkFunction(value, `${group}.${name}`, kind)
}

const checkJob = (kind: string, handlers: AnyHandlers, { schemas, stateVersion = 1 }: JobHandlers<any>["contract"]): void => {
  const upgrades = stateVersion === 1 ? [] : ["upgrade"]
  refuseUnknown(handlers, ["init", ...upgrades, "open", "close", "run", "updates", "queries"], `the implementation of ${kind}`)
  for (let version = 1; version < stateVersion; version++) checkFunction(handlers.upgrade?.[version], `upgrade[${version}]`, kind)
  checkFunction(handlers.run, "run", kind)
  if (schemas.state !== null) checkFunction(handlers.init, "init", kind)
  for (const name of ["open", "close"] as const) if (handlers[name] !== undefined) checkFunction(handlers[name], name, kind)
  checkGroup(handlers.updates, schemas.updates, "updates", kind)
  checkGroup(handlers.queries, schemas.queries, "queries", kind)
}

/** One entry per kind; two implementations of one kind are a mistake. */
export const byKind = <A extends JobHandlers<any> | ActivityHandlers<any>>(
  items: ReadonlyArray<A>,
  tag: A["_tag"],
): ReadonlyMap<string, A> => {
  const [what, made] = tag === "JobHandlers" ? ["jobs", "implement"] : ["activities", "activities"]
  if (!Array.isArray(items)) throw new BadOption(`expected ${what} to be an array, got: ${typeof items}`, { option: what })
  const map = new Map<string, A>()
  for (const item of items as ReadonlyArray<A>) {
    if ((item as A | undefined)?._tag !== tag)
      throw new BadOption(`expected ${what} to hold what \`${made}(…)\` of a generated stub gave, got something else`, { option: what })
    const { kind, handlers, contract } = item
    if (map.has(kind)) throw new BadOption(`expected ${what} to have each kind once, got ${kind} twice: remove one`, { kind })
    if (item._tag === "JobHandlers") checkJob(kind, handlers as AnyHandlers, contract)
    else checkGroup(handlers, contract.schemas.activities, "activities", kind)
    map.set(kind, item)
  }
  return map
}
