/**
 * `createTestEnv`: jobs in this process, on a store in memory, under a clock that only the test moves. The code under test is the real one:
 * the same client, worker, runtime, pool and SQLite driver. Where it is asked to, the first worker dies, freezes, or loses replies.
 */
import type { Layer } from "effect"
import type { DurationInput } from "../define/index.ts"
import type { Engine } from "../engine/engine.ts"
import { openEngine } from "../engine/open.ts"
import { BadOption, WaitTimeout } from "../errors.ts"
import { refuseUnknown, toMillis } from "../options.ts"
import type { ActivityHandlers, JobHandlers } from "../runtime/contract.ts"
import type { StartedWorker, WorkerEvent } from "../worker.ts"
import { startWorker } from "../worker.ts"
import type { Fault, FaultyEngine, Hints } from "./faults.ts"
import { faultyEngine, repeating } from "./faults.ts"

export interface TestEnvOptions {
  readonly jobs: ReadonlyArray<JobHandlers<any>>
  readonly activities?: ReadonlyArray<ActivityHandlers<any>>
  /** Services that handlers need. */
  readonly layer?: Layer.Layer<any, any>
  /** The time at which the test begins; default: now. */
  readonly now?: Date
  /** What goes wrong; default: nothing. */
  readonly faults?: TestFaults
  /** What workers tell; default: nothing is printed. */
  readonly onEvent?: (event: WorkerEvent) => void
}

export interface TestFaults {
  /** Strikes the first worker, once. After a death, or while it is frozen, a second one takes over. */
  readonly fault?: Fault
  /** What becomes of hints, which the store may lose at any time; default: they are delivered. */
  readonly hints?: Hints
  /** Every write of the client arrives twice. */
  readonly repeatClient?: boolean
  /** Handlers that only wait leave memory, and come back when what they wait for has come: at every n-th time that all is at rest; 1: each time. */
  readonly parking?: number
}

/** How often the first worker called the store so far: the places where a `fault` can strike. */
export interface Calls {
  readonly writes: number
  readonly takes: number
  readonly claims: number
}

/** Few shards: one process needs no more, and each costs a claim. */
const shards = 4
const pool = "test"
/** How long handlers may do what is not durable (real I/O, real timers) before `advance` gives up, real ms. */
const restMs = 10_000
/** Handlers whose messages are looked for at once: all of a test. */
const provedAtOnce = 1_000_000

export class TestEnv implements AsyncDisposable {
  /** For `createClient(env)`. */
  readonly pool = pool
  readonly engine: Engine
  readonly #real: Engine
  readonly #time: { now: number }
  readonly #options: TestEnvOptions
  readonly #workers: Array<StartedWorker> = []
  readonly #faulty: FaultyEngine
  /** Of the first worker, and of those that took over. */
  readonly #engines: Array<FaultyEngine> = []
  readonly #thawed = Promise.withResolvers<void>()
  /** The worker that the fault killed or froze. */
  #struck: StartedWorker | undefined
  #takeOver: Promise<unknown> | undefined
  #failure: unknown
  #closed: Promise<void> | undefined
  /** Times at which all was at rest. */
  #rests = 0

  /** Made by `createTestEnv`. */
  constructor(real: Engine, time: { now: number }, options: TestEnvOptions) {
    const { fault, hints = "delivered", repeatClient = false } = options.faults ?? {}
    this.#real = real
    this.engine = repeatClient ? repeating(real) : real
    this.#time = time
    this.#options = options
    this.#faulty = faultyEngine(real, fault, hints, () => this.#workers[0]?.member?.kill(), this.#thawed.promise)
    this.#engines.push(this.#faulty)
    void this.#faulty.struck.then(() => {
      this.#struck = this.#workers[0]
      this.#takeOver = this.#replace(fault?.kind === "frozen").catch((error: unknown) => (this.#failure = error))
    })
  }

  /** Starts the first worker; resolves when it owns all shards. */
  async open(): Promise<this> {
    await this.#start(this.#faulty.engine)
    await this.#owned()
    return this
  }

  async #start(engine: Engine): Promise<void> {
    const { jobs, activities = [], layer, onEvent = () => undefined } = this.#options
    const worker = await startWorker(
      { pool, engine, shards, jobs, activities, onEvent, signals: false, settleMs: 0, ...(layer === undefined ? {} : { layer }) },
      { storeClock: () => this.#time.now },
    )
    this.#workers.push(worker)
  }

  /** As after a lease: the session is marked dead, and another worker takes its shards. */
  async #replace(thaws: boolean): Promise<void> {
    const session = this.#struck?.member?.session ?? ""
    const counter = (await this.#real.renew(pool, undefined)).counters.get(session)
    if (counter !== undefined) await this.#real.markDead(pool, session, counter)
    const next = faultyEngine(this.#real, undefined, this.#options.faults?.hints ?? "delivered", () => undefined)
    this.#engines.push(next)
    await this.#start(next.engine)
    await this.#owned()
    if (thaws) this.#thawed.resolve()
    this.#struck = thaws ? undefined : this.#struck
  }

  get #living(): ReadonlyArray<StartedWorker> {
    return this.#workers.filter((worker) => worker !== this.#struck)
  }

  /** Shards are claimed a moment after a worker joined. */
  async #owned(): Promise<void> {
    const owned = (): number => this.#living.reduce((sum, { member }) => sum + (member?.owned().length ?? shards), 0)
    while (owned() < shards) await new Promise((resolve) => setTimeout(resolve, 1))
  }

  /** The time in the test. */
  now(): Date {
    return new Date(this.#time.now)
  }

  get calls(): Calls {
    return { writes: this.#faulty.writes(), takes: this.#faulty.takes(), claims: this.#faulty.claims() }
  }

  /** True when the planned death or freeze has happened. */
  get struck(): boolean {
    return this.#takeOver !== undefined
  }

  /** Lets everything that is due at the present time happen. */
  async settle(): Promise<void> {
    await this.#rest()
    const { fault, hints = "delivered" } = this.#options.faults ?? {}
    if (hints === "delivered" && fault === undefined) return
    // Messages whose hints were lost are found by the workers once a second of real time, for which no test waits. Twice in vain: the reply
    // may be what the fault loses.
    const written = (): number => this.#engines.reduce((sum, { writes }) => sum + writes(), 0)
    for (let before = -1, vain = 0; vain < 2;) {
      vain = before === written() ? vain + 1 : 0
      before = written()
      for (const { runner } of this.#living) runner?.proveMessages(provedAtOnce)
      await this.#rest()
    }
  }

  async #rest(): Promise<void> {
    await this.#restOnce()
    const { parking } = this.#options.faults ?? {}
    if (parking === undefined || ++this.#rests % parking !== 0) return
    // found waiting twice, they are taken to wait
    for (let look = 0; look < 2; look++) for (const { runner } of this.#living) runner?.parkWaiting(0)
    await this.#restOnce()
  }

  async #restOnce(): Promise<void> {
    const end = performance.now() + restMs
    let quietTurns = 0
    while (quietTurns < 3) {
      if (performance.now() > end)
        throw new WaitTimeout(
          `the jobs did not come to rest within ${restMs} ms of real time. A handler waits for something that is not durable (give it a fake, or await it in the test), or a job goes on and on without waiting: job.again() with neither a time nor on.`,
        )
      const resting = await this.#resting()
      quietTurns = resting ? quietTurns + 1 : 0
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  async #resting(): Promise<boolean> {
    await this.#takeOver
    if (this.#failure !== undefined) throw this.#failure
    const living = this.#living
    if (living.some(({ runner, tasks }) => tasks.pending > 0 || runner?.quiet().resting === false)) return false
    const members = living.flatMap(({ member }) => member ?? [])
    if (members.length === 0) return true
    const states = await this.#sweep()
    const held = members.reduce((sum, member) => sum + member.owned().length, 0) >= shards
    // a run that is active and that nobody executes was lost with the reply of a take: the sweep brings it
    const active = states.reduce((sum, state) => sum + state.active.length, 0)
    const executing = living.reduce((sum, { runner }) => sum + (runner?.quiet().executing ?? 0), 0)
    const due = states.some((state) => state.ready > 0 || (state.nextDue ?? Number.POSITIVE_INFINITY) <= this.#time.now)
    const unsent = states.some((state) => state.outbox > 0)
    const idle = held && !due && !unsent && active === executing
    if (!idle) for (const member of members) member.sweep()
    return idle && living.every(({ runner }) => runner?.quiet().resting !== false)
  }

  #sweep() {
    return this.#real.sweep(
      pool,
      Array.from({ length: shards }, (_, shard) => shard),
    )
  }

  async #nextWake(): Promise<number> {
    const stored = (await this.#sweep()).map((state) => state.nextDue ?? Number.POSITIVE_INFINITY)
    const held = this.#living.map(({ runner, tasks }) => Math.min(tasks.nextWake, runner?.quiet().nextWake ?? Number.POSITIVE_INFINITY))
    return Math.min(...stored, ...held)
  }

  /** Moves the clock: everything that falls due on the way happens at its time, in order. */
  async advance(duration: DurationInput): Promise<void> {
    const target = this.#time.now + toMillis(duration, "the duration of advance")
    await this.settle()
    for (;;) {
      const next = await this.#nextWake()
      if (next > target) break
      this.#time.now = Math.max(this.#time.now, next)
      for (const { runner, member, tasks } of this.#living) {
        runner?.timeMoved()
        tasks.timeMoved()
        member?.sweep()
      }
      await this.settle()
    }
    this.#time.now = target
  }

  close(): Promise<void> {
    this.#closed ??= (async () => {
      await this.#takeOver
      // the dead may give up; the living hand over
      if (this.#struck !== undefined) this.#faulty.bury()
      await Promise.all(this.#workers.map(({ worker }) => worker.drain()))
      await this.#real.close()
    })()
    return this.#closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

const checkFaults = (faults: TestFaults): void => {
  refuseUnknown(faults, ["fault", "hints", "repeatClient", "parking"], "faults of createTestEnv")
  const { parking } = faults
  if (parking !== undefined && !(Number.isInteger(parking) && parking >= 1))
    throw new BadOption(`expected parking of faults to be a positive integer, got: ${JSON.stringify(parking)}`, { option: "parking" })
}

export const createTestEnv = async (options: TestEnvOptions): Promise<TestEnv> => {
  refuseUnknown(options, ["jobs", "activities", "layer", "now", "faults", "onEvent"], "createTestEnv")
  if (options.faults !== undefined) checkFaults(options.faults)
  const time = { now: (options.now ?? new Date()).getTime() }
  const engine = await openEngine("memory:", { now: () => time.now })
  const env = new TestEnv(engine, time, options)
  try {
    return await env.open()
  } catch (error) {
    await env.close()
    throw error
  }
}
