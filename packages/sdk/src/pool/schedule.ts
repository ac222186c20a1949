/**
 * A schedule: at each tick one member asks a producer what shall run, and starts and stops jobs accordingly. Both are safe to repeat: a key that
 * has a job keeps it.
 */
import { BadInput } from "../errors.ts"
import type { Tick } from "./ticker.ts"

export interface SchedulePlan {
  readonly start?: Iterable<{ readonly key: string; readonly payload: Uint8Array }>
  /** Keys whose jobs are to end. */
  readonly stop?: Iterable<string>
  /** Ends every job of the pool whose key is not among `start`. */
  readonly stopOthers?: boolean
}

export type Producer = (tick: Tick) => SchedulePlan | undefined | Promise<SchedulePlan | undefined>

export interface ScheduleHost {
  readonly dispatch: (key: string, payload: Uint8Array) => Promise<unknown>
  readonly stop: (key: string) => Promise<unknown>
  readonly jobs: () => AsyncIterable<{ readonly key: string }>
  /** The tick is still the last one: a member that was frozen meanwhile must not carry out what a later plan has overtaken. */
  readonly current: (tick: Tick) => boolean
  readonly onFault: (error: unknown) => void
}

/** Calls of one turn: the pool sends them as batches. */
const chunk = 200

/** What keeps a part of a plan from being carried out: the rest of it is all the same. */
class Failures {
  #first: unknown
  #any = false

  add(error: unknown): void {
    if (!this.#any) this.#first = error
    this.#any = true
  }

  throwFirst(): void {
    if (this.#any) throw this.#first
  }
}

/** Items of a server that is away fail by themselves. When all of a full chunk fail, the store is away, and nothing more is tried. */
const each = async <T>(
  items: Iterable<T>,
  { host, tick, failures }: { readonly host: ScheduleHost; readonly tick: Tick; readonly failures: Failures },
  body: (item: T) => Promise<unknown>,
): Promise<void> => {
  let some: Array<T> = []
  const flush = async (): Promise<void> => {
    const now = some
    some = []
    if (!host.current(tick)) return
    const ends = await Promise.allSettled(now.map(body))
    let failed = 0
    for (const end of ends) {
      if (end.status === "fulfilled") continue
      failed++
      failures.add(end.reason)
    }
    if (failed === chunk) failures.throwFirst()
  }
  for (const item of items) if (some.push(item) === chunk) await flush()
  if (some.length > 0) await flush()
}

export const carryOut = async (host: ScheduleHost, plan: SchedulePlan, tick: Tick): Promise<void> => {
  if (typeof plan !== "object" || plan === null)
    throw new BadInput(`expected the plan of schedule "${tick.name}" to be { start, stop, stopOthers }, got: ${String(plan)}`, { plan })
  const start = [...(plan.start ?? [])]
  const failures = new Failures()
  const way = { host, tick, failures }
  await each(plan.stop ?? [], way, (key) => host.stop(key))
  if (plan.stopOthers === true) {
    const wanted = new Set(start.map(({ key }) => key))
    const others: Array<string> = []
    try {
      for await (const { key } of host.jobs()) if (!wanted.has(key)) others.push(key)
    } catch (error) {
      // A listing without the shards of a server that is away: who is in it, and not wanted, ends all the same.
      failures.add(error)
    }
    await each(others, way, (key) => host.stop(key))
  }
  await each(start, way, ({ key, payload }) => host.dispatch(key, payload))
  failures.throwFirst()
}

/** Ends with the ticks. What a producer or the store throws is told, and the next tick tries again. */
export const runSchedule = async (host: ScheduleHost, ticks: AsyncIterable<Tick>, producer: Producer): Promise<void> => {
  for await (const tick of ticks) {
    try {
      const plan = await producer(tick)
      if (plan !== undefined) await carryOut(host, plan, tick)
    } catch (error) {
      host.onFault(error)
    }
  }
}
