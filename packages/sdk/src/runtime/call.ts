/** A started durable call: a promise that is also an Effect, so that it can be awaited, yielded in `Effect.gen`, or put in `Promise.all` and `Effect.all`. */
import { Effect, Effectable } from "effect"

type Executor<A> = (resolve: (value: A) => void, reject: (error: unknown) => void) => void

/** Named here: a declaration cannot name what the mixin's inferred type is made of. */
const Base: abstract new <A>(executor: Executor<A>) => Promise<A> & Effect.Effect<A, unknown> = Effectable.Mixin(Promise) as never

export class DurableCall<A> extends Base<A> {
  /** Derived promises (`then`) are plain ones. */
  static get [Symbol.species](): PromiseConstructor {
    return Promise
  }

  asEffect(): Effect.Effect<A, unknown> {
    return Effect.callback<A, unknown>((resume) => {
      this.then(
        (value: A) => resume(Effect.succeed(value)),
        (error: unknown) => resume(Effect.fail(error)),
      )
    })
  }
}
