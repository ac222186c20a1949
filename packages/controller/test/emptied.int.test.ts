/** P9: a store that comes back empty is noticed: jobs are started anew from the desired set, and nothing is stopped. On a Redis of its own. */
import { once } from "node:events"
import { connect } from "node:net"
import { afterAll, beforeAll, expect, test } from "vitest"
import { createWorker } from "@ponos/sdk"
import type { JobHandlers } from "@ponos/sdk/gen"
import { openEngine } from "@ponos/sdk/internal"
import { startRedis } from "../../../tools/test-redis.ts"
import { describeRedis, uniqueName } from "../../../tools/with-redis.ts"
import { type ControllerEvent, createController } from "../src/index.ts"
import { feedClient, feedStub, liveRuns, tenants } from "./feed.ts"
import { until } from "./wait.ts"

describeRedis("an emptied store", () => {
  let redis: Awaited<ReturnType<typeof startRedis>>
  beforeAll(async () => {
    redis = await startRedis()
  })
  afterAll(() => redis.stop())

  const empty = async (): Promise<void> => {
    const { hostname, port } = new URL(redis.url)
    const socket = connect(Number(port), hostname, () => socket.write("FLUSHALL\r\n"))
    await once(socket, "data")
    socket.destroy()
  }

  test("is filled again from the desired set", async () => {
    const pool = uniqueName("emptied")
    const engine = await openEngine(redis.url)
    const client = feedClient({ pool, engine, shards: 8 })
    const events: Array<ControllerEvent> = []
    const started = new Map<string, number>()
    const feed = feedStub.implement({
      init: () => ({ seen: 0 }),
      run: async (job: { key: string; again(options: object): unknown }) => {
        started.set(job.key, (started.get(job.key) ?? 0) + 1)
        return job.again({ after: "1 hour" })
      },
    }) as JobHandlers
    const onEvent = (event: ControllerEvent): void => void events.push(event)
    const controller = createController({ job: client.tenantFeed, desired: tenants(30), every: 200, onEvent })
    const worker = await createWorker({
      pool,
      engine,
      shards: 8,
      jobs: [feed],
      controllers: [controller],
      signals: false,
      leaseMs: 1_500,
      onEvent: () => {},
    })
    try {
      await until("30 jobs", () => started.size === 30)
      const before = await liveRuns(client)
      await empty()
      await until("30 jobs again", () => [...started.values()].filter((times) => times === 2).length === 30)
      const after = await liveRuns(client)
      expect([...after.keys()].sort()).toEqual([...before.keys()].sort())
      for (const [key, run] of after) expect(run).not.toBe(before.get(key))
      expect(events.map(({ type }) => type)).toContain("store")
      expect((await controller.status()).last?.applied.stop).toBe(0)
    } finally {
      await worker.drain()
      await client.close()
      await engine.close()
    }
  })
})
