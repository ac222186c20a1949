/**
 * Who is at work: which job's code the main loop runs. It is asked when the loop is blocked, by the lease thread, over the inspector
 * (loop-watch.ts), so that nothing is written anywhere while all goes well.
 *
 * An AsyncLocalStorage knows it also of what a handler's own timers and answers call. Measured on Node 26.10, where it costs a pointer: see
 * `runAs` in the runtime. It is a global, as there may be several copies of this package in a process.
 */
import { AsyncLocalStorage } from "node:async_hooks"

export interface Work {
  readonly kind: string
  readonly key: string
  /** Name of the step whose body runs, or of the activity. */
  readonly step?: string
}

interface Place {
  readonly storage: AsyncLocalStorage<Work>
  /** What was handed to code that cannot be wrapped: the loop over the jobs of the low-level pool. */
  handed: Work | undefined
}

const name = "@ponos/sdk/work"
const world = globalThis as unknown as Record<symbol, Place | undefined>
const place: Place = (world[Symbol.for(name)] ??= { storage: new AsyncLocalStorage<Work>(), handed: undefined })

export const runAs = <A>(work: Work, body: () => A): A => place.storage.run(work, body)

export const handTo = (work: Work | undefined): void => {
  place.handed = work
}

/** Of who is at work, in the main thread's frame that is asked. */
export const whoExpression = `((place) => place && (place.storage.getStore() ?? place.handed))(globalThis[Symbol.for(${JSON.stringify(name)})])`
