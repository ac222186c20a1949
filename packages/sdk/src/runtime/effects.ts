/** Handlers may return a value, a promise or an Effect: this settles all three. Services come from the worker's layer. */
import type { Layer } from "effect"
import { Cause, Effect, Exit, ManagedRuntime } from "effect"

export class Effects {
  readonly #runtime: ManagedRuntime.ManagedRuntime<any, any> | undefined

  constructor(layer: Layer.Layer<any, any> | undefined) {
    this.#runtime = layer === undefined ? undefined : ManagedRuntime.make(layer)
  }

  /** Runs an Effect if it is one; the typed error or the defect is thrown as it is. */
  settle(value: unknown, abort: { readonly signal: AbortSignal }): unknown {
    return Effect.isEffect(value) && !(value instanceof Promise)
      ? this.#run(value as Effect.Effect<unknown, unknown, any>, abort.signal)
      : value
  }

  async #run(effect: Effect.Effect<unknown, unknown, any>, signal: AbortSignal): Promise<unknown> {
    const exit = await (this.#runtime === undefined
      ? Effect.runPromiseExit(effect as Effect.Effect<unknown, unknown>, { signal })
      : this.#runtime.runPromiseExit(effect, { signal }))
    if (Exit.isSuccess(exit)) return exit.value
    if (signal.aborted && Cause.hasInterruptsOnly(exit.cause)) throw signal.reason
    throw Cause.squash(exit.cause)
  }

  async dispose(): Promise<void> {
    await this.#runtime?.dispose()
  }
}
