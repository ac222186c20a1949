/** What a hundred thousand parked jobs cost: bytes in Redis, calls of idle workers, memory of an idle worker. */
import { setTimeout as delay } from "node:timers/promises"
import type { Child } from "../child.ts"
import { createClient } from "../ponos.gen/client.ts"
import { median } from "../figure.ts"
import type { Found } from "./found.ts"
import { until, type Stage } from "./stage.ts"
import { trafficOf, usedMemory } from "./traffic.ts"

const size = 3
const shards = 256
const inputBytes = 100
/** Starts under way at a time. */
const lanes = 500
const mega = 1_048_576
/** Joining, and what follows from it, is not idle. */
const restMs = 2_000

export const measureParked = async (stage: Stage, runs: number, found: Found): Promise<void> => {
  const jobs = stage.quick ? 20_000 : 100_000
  const windowMs = stage.quick ? 4_000 : 10_000
  for (let run = 1; run <= runs; run++) {
    const pool = new ParkedPool(stage)
    try {
      await pool.join()
      const empty = await trafficOf(stage.redis.url, windowMs)
      found.add("idleCallsPerSecondEmpty", empty.calls)
      const plain = found.add("bytesPerParkedJob", await pool.bytesPerJob(jobs, false))
      const busy = await pool.memory()
      // whoever parked jobs has memory for more to come: what comes then is idle from the beginning
      await pool.leave()
      await pool.join()
      const { calls, inner } = await trafficOf(stage.redis.url, windowMs)
      found.add("idleCallsPerSecond", calls)
      found.add("idleInnerCommandsPerSecond", inner)
      const [own, base] = [await pool.memory(), await pool.baseMemory()]
      found.add("idleWorkerMb", own - base)
      const timed = found.add("bytesPerParkedJobTimer", await pool.bytesPerJob(jobs, true))
      stage.say(`parked ${run}/${runs}: ${plain.toFixed(0)} bytes a job, ${timed.toFixed(0)} with a timer`)
      stage.say(`idle ${run}/${runs}: ${empty.calls.toFixed(1)} calls/s without jobs, ${calls.toFixed(1)} with ${jobs} parked ones`)
      const after = `${busy.toFixed(0)} MB when it had just parked its part of them`
      stage.say(`memory ${run}/${runs}: worker ${own.toFixed(0)} MB, base ${base.toFixed(0)} MB; ${after}`)
    } finally {
      await pool.end()
    }
  }
}

/** Three workers whose jobs park, and a process that is none. */
class ParkedPool {
  readonly #stage: Stage
  readonly #name: string
  #workers: ReadonlyArray<Child> = []
  #base: ReadonlyArray<Child> = []
  #started = 0

  constructor(stage: Stage) {
    this.#stage = stage
    this.#name = stage.name()
  }

  async join(): Promise<void> {
    this.#workers = Array.from({ length: size }, () => this.#spawn("worker"))
    this.#base = [this.#spawn("base")]
    await Promise.all([...this.#workers, ...this.#base].map((one) => one.call("open")))
    await until("the workers own all shards", async () => (await sum(this.#workers, "shards")) === shards)
    await delay(restMs)
  }

  async leave(): Promise<void> {
    await Promise.all([...this.#workers, ...this.#base].map((one) => one.end()))
  }

  async end(): Promise<void> {
    await this.leave()
    await this.#stage.redis.clean(this.#name)
  }

  memory(): Promise<number> {
    return memoryOf(this.#workers)
  }
  baseMemory(): Promise<number> {
    return memoryOf(this.#base)
  }

  /** Starts the jobs, waits until all are parked, and divides what Redis then holds more. */
  async bytesPerJob(jobs: number, timer: boolean): Promise<number> {
    const { url } = this.#stage.redis
    const client = createClient({ pool: this.#name, store: url })
    try {
      const before = await usedMemory(url)
      const ran = await sum(this.#workers, "ran")
      const end = this.#started + jobs
      const lane = async (): Promise<void> => {
        while (this.#started < end) await client.parked.start(inputOf(this.#started++, timer))
      }
      await Promise.all(Array.from({ length: lanes }, lane))
      await until("all jobs have parked", async () => (await sum(this.#workers, "ran")) >= ran + jobs)
      return ((await usedMemory(url)) - before) / jobs
    } finally {
      await client.close()
    }
  }

  #spawn(role: "worker" | "base"): Child {
    return this.#stage.spawn("parked-worker.ts", [this.#name, this.#stage.redis.url, role])
  }
}

const memoryOf = async (workers: ReadonlyArray<Child>): Promise<number> =>
  median(await Promise.all(workers.map((worker) => worker.call<number>("memory")))) / mega

const sum = async (workers: ReadonlyArray<Child>, what: string): Promise<number> =>
  (await Promise.all(workers.map((worker) => worker.call<number>(what)))).reduce((a, b) => a + b, 0)

const inputOf = (number: number, timer: boolean): { id: string; padding: string; timer: boolean } => {
  const input = { id: `tenant-${String(number).padStart(6, "0")}`, padding: "", timer }
  return { ...input, padding: "i".repeat(inputBytes - JSON.stringify(input).length) }
}
