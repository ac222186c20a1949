/** Workers whose jobs park, a process that is none, and a client. */
import { setTimeout as delay } from "node:timers/promises"
import type { Child } from "../child.ts"
import { clock } from "../clock.ts"
import type { StoreName } from "../command.ts"
import { median } from "../figure.ts"
import { createClient, type Client } from "../ponos.gen/client.ts"
import { until, type Stage } from "../stage.ts"
import { usedBytes } from "./used-bytes.ts"

const shards = 256
const inputBytes = 100
/** Starts under way at a time. */
const lanes = 500
const mega = 1_048_576
/** Joining, and what follows from it, is not idle. */
const restMs = 2_000
const parkTimeoutMs = 240_000

export interface ParkedPoolOptions {
  readonly store: StoreName
  /** Workers. */
  readonly size: number
}

export class ParkedPool {
  readonly #stage: Stage
  readonly #size: number
  readonly #name: string
  readonly #store: string
  readonly #client: Client
  #workers: ReadonlyArray<Child> = []
  #base: ReadonlyArray<Child> = []
  #started = 0

  constructor(stage: Stage, { store, size }: ParkedPoolOptions) {
    this.#stage = stage
    this.#size = size
    this.#name = stage.name()
    this.#store = stage.store(store)
    this.#client = createClient({ pool: this.#name, store: this.#store })
  }

  async join(): Promise<void> {
    this.#workers = Array.from({ length: this.#size }, () => this.#spawn("worker"))
    this.#base = [this.#spawn("base")]
    await Promise.all([...this.#workers, ...this.#base].map((one) => one.call("open")))
    await until("the workers own all shards", async () => (await sum(this.#workers, "shards")) === shards)
    await delay(restMs)
  }

  async leave(): Promise<void> {
    await Promise.all([...this.#workers, ...this.#base].map((one) => one.end()))
  }

  async end(): Promise<void> {
    await this.#client.close()
    await this.leave()
    await this.#stage.clean(this.#name)
  }

  memory(): Promise<number> {
    return memoryOf(this.#workers)
  }
  baseMemory(): Promise<number> {
    return memoryOf(this.#base)
  }

  /** Starts the jobs, waits until all are parked, and divides what the store then holds more. */
  async bytesPerJob(jobs: number, timer: boolean): Promise<number> {
    const before = await usedBytes(this.#store)
    await this.park(jobs, timer)
    return ((await usedBytes(this.#store)) - before) / jobs
  }

  /** Starts jobs, and waits until all are parked. */
  async park(jobs: number, timer: boolean): Promise<void> {
    const ran = await sum(this.#workers, "ran")
    const end = this.#started + jobs
    const lane = async (): Promise<void> => {
      while (this.#started < end && !this.#stage.stopped) await this.#client.parked.start(inputOf(this.#started++, timer))
    }
    await Promise.all(Array.from({ length: lanes }, lane))
    await until("all jobs have parked", async () => (await sum(this.#workers, "ran")) >= ran + jobs, parkTimeoutMs)
  }

  /** Starts jobs that wait for signals inside of an iteration. */
  async listen(jobs: number): Promise<void> {
    const ran = await sum(this.#workers, "ran")
    for (let number = 0; number < jobs; number++) await this.#client.listener.start({ id: idOf(number) })
    await until("all jobs listen", async () => (await sum(this.#workers, "ran")) >= ran + jobs)
    await delay(quietMs)
  }

  /**
   * Signals that are sent `everyMs`, to these jobs in turn, and what each took until its handler had it, ms. Those that warm up come before. Jobs of
   * which a step is `stride` are taken: neighbours are often loaded together.
   */
  async signal(kind: "parked" | "listener", { count, everyMs, jobs, stride, warmUp }: SignalPlan): Promise<ReadonlyArray<number>> {
    const [worker] = this.#workers
    if (worker === undefined) throw new Error("the pool has no worker")
    const send = (number: number): Promise<void> => {
      const id = idOf((number * stride) % jobs)
      return kind === "parked" ? this.#client.parked.get(id).signal.wake(clock()) : this.#client.listener.get(id).signal.tick(clock())
    }
    const all = async (signals: number, first: number, pace: number): Promise<ReadonlyArray<number>> => {
      await worker.call("listen")
      const sent: Array<Promise<void>> = []
      for (const from = clock(); sent.length < signals; sent.push(send(first + sent.length))) {
        const wait = from + sent.length * pace - clock()
        if (wait > 0) await delay(wait)
      }
      await Promise.all(sent)
      await until("all signals arrived", async () => (await worker.call<number>("heard")) >= signals)
      return await worker.call<ReadonlyArray<number>>("latencies")
    }
    await all(warmUp.count, 0, warmUp.everyMs)
    return await all(count, warmUp.count, everyMs)
  }

  #spawn(role: "worker" | "base"): Child {
    return this.#stage.spawn("../pool/parked-worker.ts", [this.#name, this.#store, role])
  }
}

export interface SignalPlan {
  readonly count: number
  readonly everyMs: number
  readonly jobs: number
  readonly stride: number
  readonly warmUp: { readonly count: number; readonly everyMs: number }
}

/** A job that has begun to listen has made its call when the loop turns. */
const quietMs = 200

const memoryOf = async (workers: ReadonlyArray<Child>): Promise<number> =>
  median(await Promise.all(workers.map((worker) => worker.call<number>("memory")))) / mega

const sum = async (workers: ReadonlyArray<Child>, what: string): Promise<number> =>
  (await Promise.all(workers.map((worker) => worker.call<number>(what)))).reduce((a, b) => a + b, 0)

const idOf = (number: number): string => `tenant-${String(number).padStart(6, "0")}`

const inputOf = (number: number, timer: boolean): { id: string; padding: string; timer: boolean } => {
  const input = { id: idOf(number), padding: "", timer }
  return { ...input, padding: "i".repeat(inputBytes - JSON.stringify(input).length) }
}
