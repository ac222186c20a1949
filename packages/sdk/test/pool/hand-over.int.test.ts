/** A drain on real processes (A5, P7): how long a job is nowhere, from the end of its handler on one worker to its begin on the next. */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, expect, test } from "vitest"
import { describeRedis, redisUrl, uniqueName } from "../../../../tools/with-redis.ts"
import { Pool } from "../../src/pool/index.ts"
import { now, Process } from "./processes.ts"
import { until as untilWithin } from "./support.ts"

const shards = 256
/** Processes of a busy machine take long to start. */
const until = (condition: () => boolean, what: string): Promise<void> => untilWithin(condition, what, 60_000)
const jobs = 2_000
const workers = 3

const quantile = (sorted: ReadonlyArray<number>, part: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0

/** Drains the first worker; gaps of all jobs that it had, sorted. */
const gaps = async (store: string): Promise<{ readonly gaps: ReadonlyArray<number>; readonly wholeMs: number }> => {
  const name = uniqueName("hand-over")
  const client = await Pool.join(name, { store, shards })
  try {
    const crew = Array.from({ length: workers }, () => new Process(store, name, { shards }))
    await until(() => crew.every((one) => one.claims > 0), "all hold shards")
    await Promise.all(Array.from({ length: jobs }, (_, i) => client.dispatch(`tenant-${i}`, new Uint8Array())))
    const running = (some: ReadonlyArray<Process>): number => some.reduce((sum, one) => sum + one.running().length, 0)
    await until(() => running(crew) === jobs && crew.every((one) => one.running().length > jobs / 4), "all run, on all workers")
    const [leaver, ...heirs] = crew as [Process, ...Array<Process>]
    const moved = leaver.running()
    const from = leaver.lines.length
    expect(await leaver.end("SIGTERM")).toBe(0)
    await until(() => running(heirs) === jobs, "the others run all")
    const endAt = new Map(leaver.lines.slice(from).flatMap((line) => (line.what === "end" ? [[line.key, line.at]] : [])))
    const beginAt = new Map(heirs.flatMap((heir) => heir.intervals().map(({ key, from: at }) => [key, at])))
    const each = moved.map((key) => (beginAt.get(key) ?? Number.NaN) - (endAt.get(key) ?? Number.NaN))
    expect(crew.flatMap((one) => [...one.seen("overrun"), ...one.seen("fault"), ...one.seen("rescued")])).toEqual([])
    return { gaps: each.sort((a, b) => a - b), wholeMs: Math.max(...beginAt.values()) - leaver.diedAt }
  } finally {
    await client.close()
  }
}

const suite = (what: string, store: () => string): void => {
  test(`hands ${jobs} jobs on ${workers} workers over in milliseconds (${what})`, async () => {
    const { gaps: all, wholeMs } = await gaps(store())
    const [p50, p99] = [quantile(all, 0.5), quantile(all, 0.99)]
    console.log(
      `hand-over on ${what}: ${all.length} jobs of one of ${workers} workers, p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, whole drain ${wholeMs.toFixed(0)} ms`,
    )
    // No job begins elsewhere before its handler ended here.
    expect(all[0]).toBeGreaterThan(0)
    // P7, with room for machines that are busy.
    expect(p50).toBeLessThan(1_000)
    expect(p99).toBeLessThan(3_000)
  })

  test(`with onOverrun "exit", a shard whose handler does not settle passes on only after the process ended (${what})`, async () => {
    const name = uniqueName("hand-over")
    const client = await Pool.join(name, { store: store(), shards: 16 })
    try {
      const options = { shards: 16, drainMs: 1_500, onOverrun: "exit" } as const
      const env = { PONOS_TEST_STUBBORN: "tenant-0" }
      const crew = [new Process(store(), name, options, env), new Process(store(), name, options, env)]
      await until(() => crew.every((one) => one.claims >= 8), "they share")
      const keys = Array.from({ length: 40 }, (_, i) => `tenant-${i}`)
      await Promise.all(keys.map((key) => client.dispatch(key, new Uint8Array())))
      await until(() => crew.flatMap((one) => one.running()).length === keys.length, "all run")
      const stubborn = crew.find((one) => one.running().includes("tenant-0")) as Process
      const heir = crew.find((one) => one !== stubborn) as Process
      await stubborn.end("SIGTERM")
      expect(stubborn.child.signalCode).toBe("SIGKILL")
      const diedAt = now()
      await until(() => heir.running().length === keys.length, "the other runs all")
      expect(stubborn.seen("overrun").map(({ addresses }) => addresses)).toEqual([["~/tenant-0"]])
      const begins = new Map(heir.intervals().map(({ key, from }) => [key, from]))
      // What had settled did not wait for the end of the process.
      const late = [...begins].filter(([, from]) => from > diedAt - 100).map(([key]) => key)
      expect(late).toContain("tenant-0")
      expect(late.length).toBeLessThan(keys.length / 2)
      expect(heir.seen("rescued")).toHaveLength(1)
    } finally {
      await client.close()
    }
  })
}

const folder = await mkdtemp(join(tmpdir(), "ponos-hand-over-"))
afterAll(() => rm(folder, { recursive: true, force: true }))

describe("a drain of processes on one file", () => suite("a file", () => `file:${join(folder, "pool.db")}`))
describeRedis("a drain of processes on Redis", () => suite("Redis", redisUrl))
