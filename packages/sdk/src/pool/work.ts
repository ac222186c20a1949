/**
 * Who is at work: which job's code the main loop runs. It is asked when the loop is blocked, by the lease thread, over the inspector
 * (loop-watch.ts), so that nothing is written anywhere while all goes well.
 *
 * From Node 24 on an AsyncLocalStorage knows it, also of what a handler's own timers and answers call: 0.25 µs a handler or step, and nothing for
 * promises (measured on 26.10, where a whole job costs a worker about 20 µs). On Node 22 it would slow down each promise of the program
 * (0.16 → 0.42 µs for three awaits on 22.18); there, and for the loop over the jobs of the low-level pool, which is nobody's to wrap, it is
 * what was begun or handed out last.
 *
 * It is a global, as there may be several copies of this package in a process.
 */
import { AsyncLocalStorage } from "node:async_hooks"

export interface Work {
  readonly kind: string
  readonly key: string
  /** Name of the step whose body runs, or of the activity. */
  step?: string | undefined
}

interface Place {
  readonly storage: AsyncLocalStorage<Work> | undefined
  last: Work | undefined
}

const isCheap = Number.parseInt(process.versions.node, 10) >= 24

const name = "@ponos/sdk/work"
const world = globalThis as unknown as Record<symbol, Place | undefined>
const place: Place = (world[Symbol.for(name)] ??= { storage: isCheap ? new AsyncLocalStorage<Work>() : undefined, last: undefined })

export const runAs = <A>(work: Work, body: () => A): A => {
  if (place.storage !== undefined) return place.storage.run(work, body)
  place.last = work
  return body()
}

/**
 * For who runs one job's code after the other, and calls `workDone` after the last: `runAs` makes two frames for each, since it gives back the one
 * before.
 */
export const begin = (work: Work): void => {
  if (place.storage === undefined) place.last = work
  else place.storage.enterWith(work)
}

export const workDone = (): void => {
  if (place.storage?.getStore() !== undefined) place.storage.enterWith(undefined as never)
}

/**
 * A step of the job at work begins: its record names the step until `leaveStep`, which costs no frame of its own. False where it names another
 * already: of steps that run side by side each further one is to be run by `runAs`, as itself.
 */
export const enterStep = (work: Work, name: string): boolean => {
  if (work.step !== undefined) return false
  work.step = name
  if (place.storage === undefined) place.last = work
  return true
}

export const leaveStep = (work: Work): void => {
  work.step = undefined
}

export const handTo = (work: Work): void => {
  place.last = work
}

/** Of who is at work, for who stopped the main thread: asked outside of all frames, in the async context in which it stands. */
export const whoExpression = `((place) => place && (place.storage?.getStore() ?? place.last))(globalThis[Symbol.for(${JSON.stringify(name)})])`
