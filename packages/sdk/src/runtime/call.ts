/** A started durable call: a promise that is also an Effect, so that it can be awaited, yielded in `Effect.gen`, or put in `Promise.all` and `Effect.all`. */
import { Effect, Effectable } from "effect"

export class DurableCall<A> extends Effectable.Mixin(
  Promise as new <T>(executor: (resolve: (value: T) => void, reject: (error: unknown) => void) => void) => Promise<T>,
)<A> {
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
