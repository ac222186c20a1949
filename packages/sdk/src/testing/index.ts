/**
 * `createTestEnv`: jobs in this process, on a store in memory, under a clock that only the test moves. The code under test is the real one:
 * the same client, worker, runtime, pool and SQLite driver.
 */
import type { Layer } from "effect"
import type { DurationInput } from "../define/index.ts"
import type { Engine } from "../engine/engine.ts"
import { openEngine } from "../engine/open.ts"
import { WaitTimeout } from "../errors.ts"
import { refuseUnknown, toMillis } from "../options.ts"
import type { ActivityHandlers, JobHandlers } from "../runtime/contract.ts"
import type { StartedWorker, WorkerEvent } from "../worker.ts"
import { startWorker } from "../worker.ts"

export { replay } from "./replay.ts"
export type { Replayed, ReplayOptions } from "./replay.ts"

export interface TestEnvOptions {
  readonly jobs: ReadonlyArray<JobHandlers<any>>
  readonly activities?: ReadonlyArray<ActivityHandlers<any>>
  /** Services that handlers need. */
  readonly layer?: Layer.Layer<any, any>
  /** The time at which the test begins; default: now. */
  readonly now?: Date
  /** What workers tell; default: nothing is printed. */
  readonly onEvent?: (event: WorkerEvent) => void
}

/** Few shards: one process needs no more, and each costs a claim. */
const shards = 4
/** How long handlers may do what is not durable (real I/O, real timers) before `advance` gives up, real ms. */
const restMs = 10_000

export class TestEnv implements AsyncDisposable {
  /** For `createClient(env)`. */
  readonly pool: string
  readonly engine: Engine
  readonly #time: { now: number }
  readonly #started: StartedWorker
  #closed: Promise<void> | undefined

  constructor(pool: string, engine: Engine, time: { now: number }, started: StartedWorker) {
    this.pool = pool
    this.engine = engine
    this.#time = time
    this.#started = started
  }

  /** The time in the test. */
  now(): Date {
    return new Date(this.#time.now)
  }

  /** Lets everything that is due at the present time happen. */
  async settle(): Promise<void> {
    const end = performance.now() + restMs
    let quietTurns = 0
    while (quietTurns < 3) {
      if (performance.now() > end)
        throw new WaitTimeout(
          `the jobs did not come to rest within ${restMs} ms of real time. A handler waits for something that is not durable: give it a fake, or await it in the test.`,
        )
      const resting = await this.#resting()
      quietTurns = resting ? quietTurns + 1 : 0
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  async #resting(): Promise<boolean> {
    const { runner, tasks, member } = this.#started
    if (runner === undefined || member === undefined) return tasks.pending === 0
    if (!runner.quiet().resting || tasks.pending > 0) return false
    const states = await this.engine.sweep(
      this.pool,
      Array.from({ length: shards }, (_, shard) => shard),
    )
    const idle = states.every((state) => state.ready === 0 && (state.nextDue === undefined || state.nextDue > this.#time.now))
    if (!idle) member.sweep()
    return idle && runner.quiet().resting
  }

  async #nextWake(): Promise<number> {
    const states = await this.engine.sweep(
      this.pool,
      Array.from({ length: shards }, (_, shard) => shard),
    )
    const stored = Math.min(...states.map((state) => state.nextDue ?? Number.POSITIVE_INFINITY))
    return Math.min(stored, this.#started.runner?.quiet().nextWake ?? Number.POSITIVE_INFINITY)
  }

  /** Moves the clock: everything that falls due on the way happens at its time, in order. */
  async advance(duration: DurationInput): Promise<void> {
    const target = this.#time.now + toMillis(duration, "the duration of advance")
    await this.settle()
    for (;;) {
      const next = await this.#nextWake()
      if (next > target) break
      this.#time.now = Math.max(this.#time.now, next)
      this.#started.runner?.timeMoved()
      this.#started.member?.sweep()
      await this.settle()
    }
    this.#time.now = target
  }

  close(): Promise<void> {
    this.#closed ??= (async () => {
      await this.#started.worker.drain()
      await this.engine.close()
    })()
    return this.#closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

export const createTestEnv = async (options: TestEnvOptions): Promise<TestEnv> => {
  refuseUnknown(options, ["jobs", "activities", "layer", "now", "onEvent"], "createTestEnv")
  const { jobs, activities = [], layer, now = new Date(), onEvent = () => undefined } = options
  const time = { now: now.getTime() }
  const engine = await openEngine("memory:", { now: () => time.now })
  const pool = "test"
  const started = await startWorker(
    { pool, engine, shards, jobs, activities, onEvent, signals: false, settleMs: 0, ...(layer === undefined ? {} : { layer }) },
    { storeClock: () => time.now },
  )
  const env = new TestEnv(pool, engine, time, started)
  // its shards are claimed a moment after it joined
  while (started.member !== undefined && started.member.owned().length < shards) await new Promise((resolve) => setTimeout(resolve, 1))
  return env
}
