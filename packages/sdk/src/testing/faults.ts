/**
 * A store that fails as planned: the real engine underneath, and in front of it the death of a worker before or after one of its writes, its
 * being frozen there until others took over, lost replies, repeated verbs, and hints that are lost, doubled or late.
 */
import type { Engine, Hint } from "../engine/engine.ts"
import { StoreUnavailable } from "../errors.ts"

/**
 * At the n-th write (0, 1, 2 …) of the first worker: `before` kills it and the write never happens; `after` lets it happen, loses the reply and
 * kills; `frozen` stops the worker, lets another one take over, and thaws it, so that the write comes too late; `repeat` loses the reply, and
 * the driver sends the verb again (E3). At a take or claim: `lost` loses the reply and the worker lives.
 */
export type Fault =
  | { readonly verb: "write"; readonly at: number; readonly kind: "before" | "after" | "frozen" | "repeat" }
  | { readonly verb: "take" | "claim"; readonly at: number; readonly kind: "lost" }

/** What becomes of hints: they are volatile (E6), so all of this may happen. */
export type Hints = "delivered" | "lost" | "doubled" | "late"

export interface FaultyEngine {
  readonly engine: Engine
  /** Writes so far: calls that change runs. */
  readonly writes: () => number
  readonly takes: () => number
  readonly claims: () => number
  /** Resolves when the fault killed or froze the worker. */
  readonly struck: Promise<void>
  /** Ends the silence of a dead worker's store, so that the test can clean up. */
  bury(): void
}

/** `onKill` is called in the turn of the fault: nothing of the worker counts from then on. A frozen one goes on when `thawed` resolves. */
export const faultyEngine = (
  real: Engine,
  fault: Fault | undefined,
  hints: Hints,
  onKill: () => void,
  thawed: Promise<void> = Promise.resolve(),
): FaultyEngine => {
  const counts = { write: 0, take: 0, claim: 0 }
  const struck = Promise.withResolvers<void>()
  const grave = Promise.withResolvers<never>()
  grave.promise.catch(() => undefined)
  let dead = false
  let frozen = false

  const die = (): Promise<never> => {
    dead = true
    onKill()
    struck.resolve()
    return grave.promise
  }
  const write = async (call: () => Promise<unknown>): Promise<unknown> => {
    const hit = fault?.verb === "write" && counts.write++ === fault.at ? fault.kind : undefined
    if (fault?.verb !== "write") counts.write++
    if (hit === "before") return die()
    if (hit === "frozen") {
      frozen = true
      struck.resolve()
      await thawed
      frozen = false
    }
    const reply = await call()
    if (hit === "after") return die()
    return hit === "repeat" ? call() : reply
  }
  const lost = async (verb: "take" | "claim", call: () => Promise<unknown>): Promise<unknown> => {
    const reply = await call()
    if (fault?.verb === verb && counts[verb]++ === fault.at) throw new StoreUnavailable("the reply was lost by the test")
    if (fault?.verb !== verb) counts[verb]++
    return reply
  }
  const engine = new Proxy(real, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== "function") return value
      if (name === "close") return () => Promise.resolve()
      return (...args: Array<unknown>): unknown => {
        if (dead) return grave.promise
        const now = (): Promise<unknown> => value.apply(target, args) as Promise<unknown>
        const call = (): Promise<unknown> => (frozen ? thawed.then(now) : now())
        // what was under way when the worker died has no effect on it any more
        const living = (reply: Promise<unknown>): Promise<unknown> =>
          reply.then(
            (result) => (dead ? grave.promise : result),
            (error: unknown) => (dead ? grave.promise : Promise.reject(error as Error)),
          )
        switch (name) {
          case "commit":
          case "message":
          case "start":
          case "terminate":
          case "link":
          case "forbid":
          case "forward":
            return living(write(call))
          case "take":
          case "claim":
            return living(lost(name, call))
          case "onHint":
            return target.onHint(
              args[0] as string,
              args[1] as number,
              tamper(hints, args[2] as (hint: Hint) => void, () => dead || frozen),
            )
          case "onEvent":
          case "subscribe":
            return call()
          default:
            return living(call())
        }
      }
    },
  })
  return {
    engine,
    writes: () => counts.write,
    takes: () => counts.take,
    claims: () => counts.claim,
    struck: struck.promise,
    bury: () => {
      dead = true
      grave.reject(new StoreUnavailable("the worker was killed by the test"))
    },
  }
}

const tamper = (hints: Hints, listener: (hint: Hint) => void, dead: () => boolean): ((hint: Hint) => void) => {
  const deliver = (hint: Hint): void => void (dead() || listener(hint))
  if (hints === "delivered") return deliver
  if (hints === "lost") return () => undefined
  if (hints === "doubled") return (hint) => (deliver(hint), setImmediate(deliver, hint))
  // late: two gather, and come in the wrong order
  let held: Array<Hint> = []
  const flush = (): void => {
    const late = held.reverse()
    held = []
    for (const hint of late) deliver(hint)
  }
  return (hint) => {
    held.push(hint)
    if (held.length === 2) flush()
    else setTimeout(flush, 5)
  }
}

/** A client's store on which every write is sent twice, as after a lost reply. */
export const repeating = (real: Engine): Engine =>
  new Proxy(real, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== "function") return value
      if (name !== "start" && name !== "message" && name !== "terminate") return value.bind(target) as unknown
      return async (...args: Array<unknown>) => {
        await value.apply(target, args)
        return value.apply(target, args) as unknown
      }
    },
  })
