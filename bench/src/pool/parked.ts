/** What a hundred thousand parked jobs cost: bytes in Redis, calls of idle workers, memory of an idle worker. */
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

interface Pool {
  readonly name: string
  readonly workers: ReadonlyArray<Child>
}

export const measureParked = async (stage: Stage, runs: number, found: Found): Promise<void> => {
  const jobs = stage.quick ? 20_000 : 100_000
  const windowMs = stage.quick ? 5_000 : 10_000
  for (let run = 1; run <= runs; run++) {
    const timed = await openPool(stage)
    try {
      found.add("bytesPerParkedJobTimer", await bytesPerJob(stage, timed, jobs, true))
    } finally {
      await closePool(stage, timed)
    }
    const pool = await openPool(stage)
    try {
      const empty = await trafficOf(stage.redis.url, windowMs)
      found.add("idleCallsPerSecondEmpty", empty.calls)
      found.add("bytesPerParkedJob", await bytesPerJob(stage, pool, jobs, false))
      await measureIdle(stage, pool, windowMs, found)
      stage.say(`idle and parked ${run}/${runs}: done`)
    } finally {
      await closePool(stage, pool)
    }
  }
}

/** The jobs are parked and their workers gone: three new ones come, and do nothing. */
const measureIdle = async (stage: Stage, pool: Pool, windowMs: number, found: Found): Promise<void> => {
  const busy = await memoryOf(pool.workers)
  await Promise.all(pool.workers.map((worker) => worker.end()))
  const base = spawn(stage, pool.name, "base")
  const workers = Array.from({ length: size }, () => spawn(stage, pool.name, "worker"))
  try {
    await base.call("open")
    await owning(workers)
    const { calls, inner } = await trafficOf(stage.redis.url, windowMs)
    found.add("idleCallsPerSecond", calls)
    found.add("idleInnerCommandsPerSecond", inner)
    const [own, without] = [await memoryOf(workers), await memoryOf([base])]
    found.add("idleWorkerMb", own - without)
    const after = `${busy.toFixed(0)} MB where it had just parked its part of them`
    stage.say(`idle: ${calls.toFixed(1)} calls/s; a worker has ${own.toFixed(0)} MB, the base ${without.toFixed(0)} MB (${after})`)
  } finally {
    await Promise.all([base, ...workers].map((one) => one.end()))
  }
}

const spawn = (stage: Stage, pool: string, role: "worker" | "base"): Child => stage.spawn("parked-worker.ts", [pool, stage.redis.url, role])

const memoryOf = async (workers: ReadonlyArray<Child>): Promise<number> =>
  median(await Promise.all(workers.map((worker) => worker.call<number>("memory")))) / mega

const sum = async (workers: ReadonlyArray<Child>, what: string): Promise<number> =>
  (await Promise.all(workers.map((worker) => worker.call<number>(what)))).reduce((a, b) => a + b, 0)

const owning = async (workers: ReadonlyArray<Child>): Promise<void> => {
  await Promise.all(workers.map((worker) => worker.call("open")))
  await until("the idle workers own all shards", async () => (await sum(workers, "shards")) === shards)
}

const openPool = async (stage: Stage): Promise<Pool> => {
  const name = stage.name()
  const workers = Array.from({ length: size }, () => spawn(stage, name, "worker"))
  await owning(workers)
  return { name, workers }
}

const closePool = async (stage: Stage, { name, workers }: Pool): Promise<void> => {
  await Promise.all(workers.map((worker) => worker.end()))
  await stage.redis.clean(name)
}

/** Starts the jobs, waits until all are parked, and divides what Redis then holds more. */
const bytesPerJob = async (stage: Stage, { name, workers }: Pool, jobs: number, timer: boolean): Promise<number> => {
  const client = createClient({ pool: name, store: stage.redis.url })
  try {
    const before = await usedMemory(stage.redis.url)
    let next = 0
    const lane = async (): Promise<void> => {
      while (next < jobs) await client.parked.start(inputOf(next++, timer))
    }
    await Promise.all(Array.from({ length: lanes }, lane))
    await until("all jobs have parked", async () => (await sum(workers, "ran")) >= jobs)
    const bytes = ((await usedMemory(stage.redis.url)) - before) / jobs
    stage.say(`${jobs.toLocaleString("en-US")} parked jobs, ${timer ? "with" : "without"} a timer: ${bytes.toFixed(0)} bytes each`)
    return bytes
  } finally {
    await client.close()
  }
}

const inputOf = (number: number, timer: boolean): { id: string; padding: string; timer: boolean } => {
  const input = { id: `tenant-${String(number).padStart(6, "0")}`, padding: "", timer }
  return { ...input, padding: "i".repeat(inputBytes - JSON.stringify(input).length) }
}
