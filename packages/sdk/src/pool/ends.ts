/** Waits for the ends of jobs: told by the bus, proved by reading. */
import type { Engine, Unsubscribe } from "../engine/engine.ts"
import { ShortLivedSet } from "../engine/short-lived.ts"
import { JobRefused, RunNotFound, Terminated, WaitTimeout } from "../errors.ts"
import { settlesWithin } from "./loop.ts"
import { refusalOf, resultOf } from "./payload.ts"

/** A lost event must not make a waiter wait for ever (W7). */
const pollMs = 1_000
const lookMs = 250
/** Above it a call of the store ends first (`setTimeout` overflows at 24.8 days). */
const waitMaxMs = 3_600_000

interface Awaited {
  readonly key: string
  readonly shard: number
  readonly address: string
  /** Only this run of the key. */
  readonly run: string | undefined
}

export class Ends {
  readonly #engine: Engine
  readonly #pool: string
  /** Those who wait, by shard. */
  readonly #waiters = new Map<number, ShortLivedSet<() => void>>()
  readonly #events = new Map<number, Promise<Unsubscribe>>()

  constructor(engine: Engine, pool: string) {
    this.#engine = engine
    this.#pool = pool
  }

  /** What the job ended with. Throws `Terminated` when it was stopped, `JobRefused` when it was refused. */
  async result({ key, shard, address, run }: Awaited, timeoutMs: number): Promise<Uint8Array> {
    const end = performance.now() + timeoutMs
    const late = (): Error =>
      new WaitTimeout(`the job "${key}" did not end within ${timeoutMs} ms: it goes on, ask again`, { key, timeoutMs })
    /** A store that does not answer has a deadline of its own, which may be much later. The last look is given time for its answer. */
    const inTime = async <T>(call: Promise<T>): Promise<T> => {
      const left = Math.max(lookMs, end - performance.now())
      if (left < waitMaxMs && !(await settlesWithin(call, left))) throw late()
      return await call
    }
    await inTime(this.#listen(shard))
    for (;;) {
      const { changed, forget } = this.#nextEnd(shard)
      try {
        const [record] = await inTime(this.#engine.read(this.#pool, [{ shard, address }]))
        if (record === undefined || (run !== undefined && record.run !== run))
          throw new RunNotFound(`the job "${key}" is not there: it was never dispatched, or ended longer ago than its result is kept`, {
            key,
          })
        if (record.phase === "ended") return ended(key, record.outcome ?? "")
        const left = end - performance.now()
        if (left <= 0) throw late()
        await changed(Math.min(pollMs, left))
      } finally {
        forget()
      }
    }
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.#events.values()].map(async (subscription) => await (await subscription)()))
  }

  async #listen(shard: number): Promise<void> {
    let events = this.#events.get(shard)
    if (events === undefined) {
      events = this.#engine.onEvent(this.#pool, shard, () => {
        for (const wake of this.#waiters.get(shard)?.items ?? []) wake()
      })
      events.catch(() => this.#events.delete(shard))
      this.#events.set(shard, events)
    }
    await events
  }

  /** Begins to listen now; `changed` resolves at an end on the shard since then, or after `ms`. */
  #nextEnd(shard: number): { readonly changed: (ms: number) => Promise<void>; readonly forget: () => void } {
    const waiters = this.#waiters.get(shard) ?? new ShortLivedSet()
    this.#waiters.set(shard, waiters)
    const { promise, resolve } = Promise.withResolvers<void>()
    waiters.add(resolve)
    return {
      async changed(ms) {
        const timer = setTimeout(resolve, ms)
        await promise
        clearTimeout(timer)
      },
      forget: () => waiters.delete(resolve),
    }
  }
}

const ended = (key: string, outcome: string): Uint8Array => {
  const result = resultOf(outcome)
  if (result !== undefined) return result
  const reason = refusalOf(outcome)
  if (reason !== undefined) throw new JobRefused(`the job "${key}" was refused by its worker: ${reason}`, { key, reason })
  throw new Terminated(`the job "${key}" was stopped: it has no result`, { key })
}
