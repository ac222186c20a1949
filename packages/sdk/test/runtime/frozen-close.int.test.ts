/** Somebody leaves while its Redis stands still: connections hang, and say nothing. Each close has a deadline all the same, and nothing is lost. */
import { expect, test } from "vitest"
import { uniqueName } from "../../../../tools/with-redis.ts"
import { Pool } from "../../src/pool/index.ts"
import { ownNodes, waitFor } from "../engine/redis-nodes.ts"
import { describeOwnRedis, type OwnRedis, ownRedis } from "../engine/redis-server.ts"
import { workPool } from "./activity-fixture.ts"
import { startPool, until } from "./fixture.ts"

const drainMs = 500
const callTimeoutMs = 600
/** Handlers and consumers have drainMs each; the rest are calls of the store, each with its deadline. */
const closeMax = 2 * drainMs + 6 * callTimeoutMs

const closing = async (one: { close(): Promise<void> }): Promise<number> => {
  const from = performance.now()
  // far above its deadline, and below that of the test: who hangs is told with a figure
  let timer: NodeJS.Timeout | undefined
  await Promise.race([one.close(), new Promise((resolve) => (timer = setTimeout(resolve, 5 * closeMax)))])
  clearTimeout(timer)
  return performance.now() - from
}

/** Connections that the server has beside those of the test itself. */
const connections = async (redis: OwnRedis): Promise<number> =>
  String(await redis.client.client("LIST"))
    .trim()
    .split("\n").length

/** Ends with the signal of its try, as an activity should. */
const untilAborted = (abortSignal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => abortSignal.addEventListener("abort", () => reject(abortSignal.reason as Error)))

describeOwnRedis("with a Redis that stands still", () => {
  test("workers close in time, whether they own runs, run an activity or wait for one; then the run goes on elsewhere", async () => {
    const redis = await ownRedis()
    const pool = workPool(redis.url, uniqueName("frozen"), { act: { startTimeout: "1 minute" }, rest: { queue: "rest" } })
    try {
      let begun = 0
      const run = async (job: any) => job.done(await job.activities.act("x"))
      // what each of them warns of is not printed
      const options = { drainMs, callTimeoutMs, onEvent: () => undefined }
      const owner = await pool.worker({ run }, options)
      const act = async (call: any) => {
        begun++
        return await untilAborted(call.abortSignal)
      }
      const busy = await pool.worker({ activities: { act, rest: () => "x" } }, options)
      const handle = await pool.work.start({ id: "one" })
      await until(() => begun === 1, "the activity runs")
      const idle = await pool.worker({ activities: { act: () => "done", rest: () => "x" } }, options)

      redis.freeze()
      const times = await Promise.all([owner, busy, idle].map(closing))
      expect(Math.max(...times), `owner, busy, idle: ${times.map(Math.round).join(", ")} ms`).toBeLessThan(closeMax)

      redis.thaw()
      // the client of the pool has one, the test's own another
      await until(async () => (await connections(redis)) <= 2, "none of their connections is left")
      await pool.worker({ run }, { drainMs, callTimeoutMs })
      await pool.worker({ activities: { act: () => "done", rest: () => "x" } }, { drainMs, callTimeoutMs })
      expect(await handle.result({ timeout: 30_000 })).toBe("done")
    } finally {
      redis.thaw()
      await pool.close()
      await redis.stop()
    }
  })

  test("workers close in time on a cluster of which one primary stands still, whichever it is", async () => {
    const cluster = await ownNodes(0, { "cluster-require-full-coverage": "no" })
    try {
      for (const broken of cluster.primaries) {
        // the one that stood still before is believed again by all
        for (const node of cluster.primaries)
          await waitFor(async () => String(await node.call("CLUSTER", "INFO")).includes("cluster_state:ok"), "the cluster is whole")
        const pool = startPool(cluster.url, uniqueName("frozen"))
        try {
          const options = { drainMs, callTimeoutMs }
          const owner = await pool.worker({ run: async (job: any) => job.done(await job.activities.shout("x")) }, options)
          let begun = 0
          const shout = async (call: any) => {
            begun++
            return await untilAborted(call.abortSignal)
          }
          const executor = await pool.worker({}, { jobs: [], activities: { shout }, ...options })
          for (const id of ["a", "b", "c", "d"]) await pool.client.sample.start({ id })
          await until(() => begun === 4, "their activities run")
          broken.freeze()
          const times = await Promise.all([owner, executor].map(closing))
          expect(Math.max(...times), `owner, executor: ${times.map(Math.round).join(", ")} ms`).toBeLessThan(closeMax)
        } finally {
          broken.thaw()
          await pool.client.close()
        }
      }
    } finally {
      await cluster.stop()
    }
  })

  test("a low-level pool closes in time, with a worker, tickers and somebody who waits", async () => {
    const redis = await ownRedis()
    const pool = await Pool.join(uniqueName("frozen"), { store: redis.url, shards: 4, drainMs, callTimeoutMs })
    const client = await Pool.join(pool.name, { store: redis.url, callTimeoutMs })
    const stop = new AbortController()
    try {
      const worker = await pool.addWorker()
      let held = 0
      void (async () => {
        for await (const job of worker.jobs()) {
          held++
          job.abortSignal.addEventListener("abort", () => job.settle())
        }
      })()
      let ticked = 0
      const ticking = (async () => {
        for await (const _ of pool.ticker("tick", 20, { abortSignal: stop.signal })) ticked++
      })()
      await client.dispatch("key", new Uint8Array(), { startedWithinMs: 10_000 })
      await until(() => held === 1 && ticked > 1, "it works and ticks")
      const waiting = client.result("key").catch((error: unknown) => error)

      redis.freeze()
      stop.abort()
      const times = await Promise.all([pool, client].map(closing))
      expect(Math.max(...times), `pool, client: ${times.map(Math.round).join(", ")} ms`).toBeLessThan(closeMax)
      expect(await waiting).toMatchObject({ _tag: "StoreUnavailable" })
      await ticking
    } finally {
      stop.abort()
      redis.thaw()
      await redis.stop()
    }
  })
})
