/** `stats()` of the durable runtime: of a worker and of a client. */
import { Context } from "effect"
import { PrometheusMetrics } from "effect/observability"
import { expect, test } from "vitest"
import { uniqueName } from "../../../../tools/with-redis.ts"
import { startPool } from "./fixture.ts"

test("a worker and a client tell the same, and a failed attempt is counted", async () => {
  const name = uniqueName("stats")
  const pool = startPool(`memory:${name}`, name)
  const gate = Promise.withResolvers<void>()
  let failed = false
  let waits = false
  try {
    await pool.client.sample.start({ id: "a" })
    expect(await pool.client.stats()).toMatchObject({ ready: 1, running: 0, workers: 0, recommendedWorkers: 1 })
    const run = async (job: { done(result: string): unknown }): Promise<unknown> => {
      if (!failed) {
        failed = true
        throw new Error("the first attempt")
      }
      waits = true
      await gate.promise
      return job.done("")
    }
    const worker = await pool.worker({ run }, { concurrency: 2, policy: { first: 10, factor: 1, max: 10 } })
    await expect.poll(async () => waits && (await worker.stats()).running, { timeout: 10_000 }).toBe(1)
    const seen = { ready: 0, running: 1, workers: 1, capacity: 2, groups: { default: { running: 1 } } }
    expect(await pool.client.stats()).toMatchObject(seen)
    expect(await worker.stats({ minWorkers: 3 })).toMatchObject({ ...seen, recommendedWorkers: 3 })
    const metrics = PrometheusMetrics.formatUnsafe(Context.empty())
    expect(metrics).toContain(`ponos_jobs_failed_total{pool="${name}",group="default"} 1`)
    gate.resolve()
    await expect.poll(async () => (await pool.client.stats()).running).toBe(0)
  } finally {
    gate.resolve()
    await pool.close()
  }
})
