/** A worker's numbers in Effect's registry. */
import { Context, Effect, Metric } from "effect"
import { PrometheusMetrics } from "effect/observability"
import { expect, test } from "vitest"
import { uniqueName } from "../../../../tools/with-redis.ts"
import { Pool } from "../../src/pool/index.ts"
import { WorkerStats } from "../../src/pool/stats/worker-stats.ts"
import { registerMetrics } from "../../src/telemetry/metrics.ts"
import { fast, shards } from "../pool/settings.ts"

const lines = (pool: string): ReadonlyArray<string> =>
  PrometheusMetrics.formatUnsafe(Context.empty())
    .split("\n")
    .filter((line) => line.includes(`pool="${pool}"`))
const value = (pool: string, start: string): number | undefined => {
  const line = lines(pool).find((one) => one.startsWith(start))
  return line === undefined ? undefined : Number(line.split(" ").at(-1))
}
const worker = (running: number): WorkerStats => new WorkerStats(60_000, () => ({ running, capacity: 10 }))

test("workers of one pool and group are one series; what one that left has counted stays", () => {
  const pool = uniqueName("metrics")
  const [first, second] = [worker(1), worker(2)]
  const forgetFirst = registerMetrics({ pool, group: "a" }, first)
  const forgetSecond = registerMetrics({ pool, group: "a" }, second)
  const forgetOther = registerMetrics({ pool, group: "b" }, worker(5))
  first.began(1_000, 1_003)
  first.began(undefined, 9_999)
  second.began(1_000, 1_020)
  first.unanswered = 3
  second.unanswered = 4
  first.handOvers.add(40)
  expect(value(pool, `ponos_jobs_started_total{pool="${pool}",group="a"}`)).toBe(3)
  expect(value(pool, `ponos_jobs_running{pool="${pool}",group="a"}`)).toBe(3)
  expect(value(pool, `ponos_jobs_running{pool="${pool}",group="b"}`)).toBe(5)
  expect(value(pool, `ponos_shards_unanswered{pool="${pool}",group="a"}`)).toBe(7)
  forgetFirst()
  expect(value(pool, `ponos_jobs_started_total{pool="${pool}",group="a"}`)).toBe(3)
  expect(value(pool, `ponos_workers{pool="${pool}",group="a"}`)).toBe(1)
  const bucket = (le: string) => value(pool, `ponos_job_queueing_delay_ms_bucket{pool="${pool}",group="a",le="${le}"}`)
  expect([bucket("2"), bucket("4"), bucket("16"), bucket("32"), bucket("+Inf")]).toEqual([0, 1, 1, 2, 2])
  expect(value(pool, `ponos_job_queueing_delay_ms_sum{pool="${pool}",group="a"}`)).toBe(23)
  expect(value(pool, `ponos_shard_hand_over_ms_count{pool="${pool}",group="a"}`)).toBe(1)
  forgetSecond()
  forgetSecond()
  forgetOther()
  expect(lines(pool)).toEqual([])
})

test("a worker at work shows what it did, and takes it with it", async () => {
  const name = uniqueName("metrics")
  const pool = await Pool.join(name, { store: `memory:${name}`, shards, ...fast })
  try {
    const one = await pool.addWorker()
    void (async () => {
      for await (const job of one.jobs()) await job.done()
    })()
    await pool.dispatch("key", new Uint8Array())
    await pool.result("key")
    await expect.poll(() => value(name, "ponos_jobs_completed_total")).toBe(1)
    expect(value(name, "ponos_jobs_started_total")).toBe(1)
    expect(value(name, "ponos_runs_written_total")).toBe(1)
    expect(value(name, "ponos_shards_claimed_total")).toBe(shards)
    expect(value(name, "ponos_store_call_ms_count")).toBeGreaterThan(1)
    // what other exporters read
    const snapshot = await Effect.runPromise(Metric.snapshot)
    const ours = snapshot.filter(({ attributes }) => attributes?.["pool"] === name)
    expect(ours.map(({ id }) => id)).toContain("ponos_queueing_delay_ms")
    await one.stop()
    expect(lines(name)).toEqual([])
  } finally {
    await pool.close()
  }
})
