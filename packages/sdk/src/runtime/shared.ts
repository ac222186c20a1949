/** A resource that the jobs of one tenant use together, as users declare it (api rule 10). What a worker has opened of it is in `shares`. */
import type { Effect } from "effect"
import type { DurationInput } from "../define/index.ts"
import { BadOption } from "../errors.ts"
import { optionTable, refuseUnknown, toMillis } from "../options.ts"

type Out<A> = A | Promise<A> | Effect.Effect<A, unknown>

/** Options of `shared`. */
export interface SharedOptions<A> {
  /**
   * Opens it for `key`, the first key field of the jobs that use it; they all wait for the one call. Its failure is theirs, and the next use calls it again.
   * `abortSignal` fires when it is given up, also while it opens. Write it before `close`, which gets its type from here.
   */
  readonly open: (key: string, abortSignal: AbortSignal) => Out<A>
  /** Called when nobody has used it for `idle`, and before the tenant's jobs go on in another worker. */
  readonly close?: (value: NoInfer<A>) => Out<void>
  /** How long it stays open without users; default 1 minute, at most a day. */
  readonly idle?: DurationInput
}

declare const SharedBrand: unique symbol
/** What `shared` gives, for `job.use`. */
export interface Shared<A> {
  readonly _tag: "Shared"
  readonly [SharedBrand]?: () => A
}

/** The same as the runtime sees it. */
export class SharedResource implements Shared<unknown> {
  readonly _tag = "Shared"
  readonly open: (key: string, abortSignal: AbortSignal) => unknown
  readonly close: ((value: unknown) => unknown) | undefined
  readonly idleMs: number

  constructor(options: SharedOptions<any>) {
    refuseUnknown(options, ["open", "close", "idle"], "shared")
    const { open, close, idle } = options
    if (typeof open !== "function") throw new BadOption(`expected open of shared to be a function, got: ${typeof open}`, { option: "open" })
    if (close !== undefined && typeof close !== "function")
      throw new BadOption(`expected close of shared to be a function, got: ${typeof close}`, { option: "close" })
    const { default: idleMs, max } = optionTable.sharedIdleMs
    this.open = open
    this.close = close
    this.idleMs = idle === undefined ? idleMs : toMillis(idle, "idle of shared")
    if (this.idleMs > max)
      throw new BadOption(`expected idle of shared to be at most a day, got: ${JSON.stringify(idle)}`, { option: "idle" })
  }
}

/**
 * Declares a resource that all jobs of a tenant (one first key field) use together in a worker: a connection, a cache. Handlers get it with
 * `await job.use(…)`. Declare it once, outside of the handlers: each call makes another one.
 */
export const shared = <A>(options: SharedOptions<A>): Shared<A> => new SharedResource(options) as Shared<A>
