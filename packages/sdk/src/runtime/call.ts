/** A started durable call: a promise that is also an Effect, so that it can be awaited, yielded in `Effect.gen`, or put in `Promise.all` and `Effect.all`. */
import { Effect, Effectable } from "effect"

type Executor<A> = (resolve: (value: A) => void, reject: (error: unknown) => void) => void

/** Named here: a declaration cannot name what the mixin's inferred type is made of. */
const Base: abstract new <A>(executor: Executor<A>) => Promise<A> & Effect.Effect<A, unknown> = Effectable.Mixin(Promise) as never

export class DurableCall<A> extends Base<A> {
  asEffect(): Effect.Effect<A, unknown> {
    return Effect.callback<A, unknown>((resume) => {
      this.then(
        (value: A) => resume(Effect.succeed(value)),
        (error: unknown) => resume(Effect.fail(error)),
      )
    })
  }
}

// Derived promises (`then`) are plain ones, and `await` takes the call as it is: it wraps what has another constructor in a promise of its own.
void Object.defineProperty(DurableCall.prototype, "constructor", { value: Promise })

export const nothing = (): void => undefined

/** One that nobody awaits must not end the process; whoever awaits it still sees the error. */
export const mayGoUnseen = (call: Promise<unknown>): void => void call.then(undefined, nothing)

/** A call, and what settles it. */
export const durableCall = <A>(): {
  readonly call: DurableCall<A>
  readonly resolve: (value: A) => void
  readonly reject: (error: unknown) => void
} => {
  let resolve: (value: A) => void = nothing
  let reject: (error: unknown) => void = nothing
  const call = new DurableCall<A>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  return {
    call,
    resolve,
    reject: (error) => {
      mayGoUnseen(call)
      reject(error)
    },
  }
}
