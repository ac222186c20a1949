/** The whole cycle with real workers: from desired rows to running jobs, and what an operator sees and says. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { createWorker, type Worker } from "@ponos/sdk"
import type { JobHandlers } from "@ponos/sdk/gen"
import { type Engine, openEngine } from "@ponos/sdk/internal"
import { describeRedis, redisUrl, uniqueName } from "../../../tools/with-redis.ts"
import {
  type Controller,
  type ControllerEvent,
  type ControllerOptions,
  createController,
  jsonFile,
  ndjsonFile,
  sqliteRows,
} from "../src/index.ts"
import { type FeedClient, feedClient, type FeedInput, feedStub, liveRuns, tenants } from "./feed.ts"
import { until } from "./wait.ts"

const fast = { leaseMs: 1_500, settleMs: 0 }

class World {
  readonly pool = uniqueName("cycle")
  engine!: Engine
  client!: FeedClient
  rows: Array<FeedInput> = []
  readonly events: Array<ControllerEvent> = []
  /** Iterations of jobs: key and input as seen by the handler. */
  readonly seen: Array<{ readonly key: string; readonly pollSeconds: number }> = []
  readonly #closing: Array<() => Promise<unknown>> = []

  async open(store: string): Promise<void> {
    this.engine = await openEngine(store)
    this.client = feedClient({ pool: this.pool, engine: this.engine, shards: 8 })
  }

  controller(given: Partial<ControllerOptions<FeedClient["tenantFeed"]>> = {}): Controller {
    return createController({
      job: this.client.tenantFeed,
      desired: () => this.rows,
      every: 200,
      onEvent: (event) => void this.events.push(event),
      ...given,
    })
  }

  async worker(controllers: ReadonlyArray<Controller> = []): Promise<Worker> {
    const feed = feedStub.implement({
      init: () => ({ seen: 0 }),
      run: async (job: { key: string; input: FeedInput; state: { seen: number }; again(options: object): unknown }) => {
        this.seen.push({ key: job.key, pollSeconds: job.input.pollSeconds })
        job.state.seen++
        return job.again({ after: "1 hour" })
      },
    })
    return this.own(
      await createWorker({
        pool: this.pool,
        engine: this.engine,
        shards: 8,
        jobs: [feed as JobHandlers],
        controllers,
        signals: false,
        ...fast,
      }),
    )
  }

  own<A extends { drain(): Promise<void> }>(thing: A): A {
    this.#closing.push(() => thing.drain())
    return thing
  }

  async close(): Promise<void> {
    for (const close of this.#closing.reverse()) await close()
    await this.client.close()
    await this.engine.close()
  }

  keys = async (): Promise<ReadonlyArray<string>> => [...(await liveRuns(this.client)).keys()].sort()
  running = (expected: ReadonlyArray<FeedInput>): Promise<unknown> =>
    until(
      `jobs ${expected.length}`,
      async () => JSON.stringify(await this.keys()) === JSON.stringify(expected.map(({ tenantId }) => tenantId).sort()),
    )
  saw = (key: string, pollSeconds: number): boolean =>
    this.seen.some((iteration) => iteration.key === key && iteration.pollSeconds === pollSeconds)
}

const suite = (storeOf: () => string): void => {
  let world: World
  beforeEach(async () => {
    world = new World()
    await world.open(storeOf())
  })
  afterEach(() => world.close())

  test("jobs follow the tenants: created, updated in place, stopped, and left alone", async () => {
    world.rows = tenants(20)
    await world.worker([world.controller()])
    await world.running(tenants(20))
    const before = await liveRuns(world.client)
    await until("first iterations", () => tenants(20).every(({ tenantId }) => world.saw(tenantId, 5)))

    world.rows = [...tenants(3, 60), ...tenants(15, 5, 3), ...tenants(4, 5, 40)]
    await world.running(world.rows)
    // a changed input begins an iteration of the same run
    await until("changed inputs", () => tenants(3).every(({ tenantId }) => world.saw(tenantId, 60)))
    const after = await liveRuns(world.client)
    for (const { tenantId } of tenants(18)) expect(after.get(tenantId)).toBe(before.get(tenantId))
    const cancelled = world.client.tenantFeed.get("t0019")
    expect(await cancelled.describe()).toMatchObject({ phase: "ended", outcome: "cancelled" })
  })

  test("held-back stops wait for an approval, by an operator in another process", async () => {
    world.rows = tenants(10)
    const running = world.own(await world.controller().run({ signals: false, ...fast }))
    await world.worker()
    await world.running(tenants(10))
    world.rows = tenants(2)
    const operator = world.controller()
    const status = await until("a refusal", async () => {
      const status = await operator.status()
      return status.last?.guard.allowed === false ? status : undefined
    })
    expect(status).toMatchObject({ state: "running", name: "tenant-feed", last: { counts: { stop: 8 }, guard: { reasons: ["ratio"] } } })
    expect(status.owner).toMatchObject({ pid: process.pid })

    await expect(operator.approve("another")).rejects.toMatchObject({ _tag: "GuardRefused" })
    const plan = await operator.plan()
    expect(plan).toMatchObject({ counts: { stop: 8, unchanged: 2 }, guard: { allowed: false }, hash: status.last?.hash })
    const report = await operator.approve(plan.hash)
    expect(report).toMatchObject({ guard: { approved: true }, applied: { stop: 8 } })
    await world.running(tenants(2))
    expect((await operator.status()).approval).toBeUndefined()
    await running.drain()
  })

  test("a pause ends passes until resume; requests are kept", async () => {
    world.rows = tenants(3)
    const controller = world.controller()
    await world.worker([controller])
    await world.running(tenants(3))
    await controller.pause("maintenance")
    await until("the pause", async () => (await controller.status()).state === "paused")
    expect((await controller.status()).paused?.reason).toBe("maintenance")
    const { passes } = await controller.status()
    world.rows = tenants(5)
    await expect(controller.reconcile()).rejects.toMatchObject({ _tag: "WaitTimeout" })
    expect((await controller.status()).passes).toBe(passes)
    expect(await world.keys()).toHaveLength(3)
    await controller.resume()
    await world.running(tenants(5))
    expect((await controller.status()).state).toBe("running")
  })

  test("reconcile runs a pass now and gives its report", async () => {
    world.rows = tenants(3)
    const controller = world.controller({ every: "1 hour" })
    await world.worker([controller])
    await world.running(tenants(3))
    world.rows = tenants(4)
    expect(await controller.reconcile()).toMatchObject({ counts: { create: 1, unchanged: 3 }, applied: { create: 1 } })
    expect(await controller.reconcile({ full: true })).toMatchObject({ listedShards: 8, counts: { unchanged: 4 } })
  })

  test("of two controllers one runs; the other takes over when it drains, and the fence grows", async () => {
    world.rows = tenants(5)
    await world.worker()
    const first = world.own(await world.controller().run({ signals: false, ...fast }))
    await world.running(tenants(5))
    const second = world.own(await world.controller().run({ signals: false, ...fast }))
    const controller = world.controller()
    const owner = (await controller.status()).owner?.session
    const [before] = await world.engine.digests(world.pool, "tenant-feed", [0])
    await first.drain()
    await until("another owner", async () => {
      const session = (await controller.status()).owner?.session
      return session !== undefined && session !== owner
    })
    world.rows = tenants(8)
    await world.running(tenants(8))
    const [after] = await world.engine.digests(world.pool, "tenant-feed", [0])
    expect((after?.fence ?? "") > (before?.fence ?? "")).toBe(true)
    await second.drain()
  })

  test("two controllers of different kinds or names share a pool of workers", async () => {
    world.rows = tenants(3)
    const others = tenants(3, 9, 50)
    await world.worker([world.controller(), world.controller({ name: "others", desired: () => others })])
    await world.running([...tenants(3), ...others])
    world.rows = tenants(3, 5, 1)
    await until("a refusal", () => world.events.some(({ type }) => type === "guard"))
    expect(await world.keys()).toHaveLength(7)
  })

  test("the controller's job is started again when somebody ended it", async () => {
    world.rows = tenants(2)
    const controller = world.controller()
    await world.worker([controller])
    await world.running(tenants(2))
    const { makeClient } = await import("@ponos/sdk/gen")
    const { controllerContract, controlPool } = await import("../src/job.ts")
    const client = makeClient({ pool: controlPool(world.pool, "tenant-feed"), engine: world.engine } as never, {
      controller: controllerContract,
    })
    await client.controller.get("tenant-feed").terminate()
    world.rows = tenants(3)
    await world.running(tenants(3))
    await client.close()
  })

  test("tenants from a SQLite table, a JSON file and an NDJSON file", async () => {
    const directory = mkdtempSync(join(tmpdir(), "ponos-cycle-"))
    try {
      await world.worker()
      const db = new DatabaseSync(join(directory, "tenants.db"))
      db.exec("CREATE TABLE tenants (id TEXT PRIMARY KEY, poll INTEGER)")
      for (const { tenantId, pollSeconds } of tenants(4)) db.prepare("INSERT INTO tenants VALUES (?, ?)").run(tenantId, pollSeconds)
      const table = world.controller({
        name: "table",
        desired: sqliteRows(join(directory, "tenants.db"), "SELECT id AS tenantId, poll AS pollSeconds FROM tenants"),
      })
      const running = world.own(await table.run({ signals: false, ...fast }))
      await world.running(tenants(4))
      db.exec("UPDATE tenants SET poll = 60 WHERE id = 't0001'; INSERT INTO tenants VALUES ('t0004', 5)")
      await world.running(tenants(5))
      await until("the changed row", () => world.saw("t0001", 60))
      db.close()
      await running.drain()

      writeFileSync(join(directory, "a.json"), JSON.stringify(tenants(3, 5, 20)))
      writeFileSync(join(directory, "b.ndjson"), tenants(3, 5, 30).map((row) => JSON.stringify(row)).join("\n")) // prettier-ignore
      const json = world.own(
        await world.controller({ name: "json", desired: jsonFile(join(directory, "a.json")) }).run({ signals: false, ...fast }),
      )
      const lines = world.own(
        await world.controller({ name: "lines", desired: ndjsonFile(join(directory, "b.ndjson")) }).run({ signals: false, ...fast }),
      )
      await world.running([...tenants(5), ...tenants(3, 5, 20), ...tenants(3, 5, 30)])
      await Promise.all([json.drain(), lines.drain()])
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })
}

describe("the cycle on memory:", () => suite(() => `memory:${uniqueName("cycle")}`))
describeRedis("the cycle on Redis", () => suite(redisUrl))

describe("options", () => {
  const job = feedClient({ pool: "options", store: "memory:options" }).tenantFeed
  const make = (given: object): Controller => createController({ job, desired: [], ...given })

  test.each([
    [{ evry: 1 }, /expected createController to have only the options .* got: `evry` \(did you mean every\?\)/],
    [{ job: {} }, /expected job to be a member of a generated client/],
    [{ desired: 7 }, /expected desired to be an array/],
    [{ name: "A b" }, /expected name to have 1 to 50 lower-case letters/],
    [{ every: 5 }, /expected every to be at least 100 ms, got: 5/],
    [{ every: "soon" }, /expected every to be a duration/],
    [{ guard: { maxStopRatio: 20 } }, /expected guard.maxStopRatio to be a number from 0 to 1, got: 20/],
    [{ guard: { ratio: 0.2 } }, /expected guard to have only the options/],
    [{ guard: { maxStopCount: -1 } }, /expected guard.maxStopCount to be an integer from 0 on, got: -1/],
    [{ parallelism: 0 }, /expected parallelism to be an integer from 1 to 64, got: 0/],
    [{ stop: "kill" }, /expected stop to be "cancel" or "terminate", got: "kill"/],
    [{ onPlan: 1 }, /expected onPlan to be a function, got: 1/],
  ])("%j is refused", (given, message) => {
    expect(() => make(given)).toThrow(message)
  })

  test("a worker of another pool, and a controller that nobody runs, are clear errors", async () => {
    const controller = make({})
    await expect(controller.host({ engine: {} as Engine, pool: "another", options: {} })).rejects.toMatchObject({ _tag: "BadOption" })
    expect(await controller.status()).toMatchObject({ state: "absent", passes: 0 })
    await expect(controller.pause()).rejects.toMatchObject({ _tag: "RunNotFound" })
    await expect(controller.run({ evry: 1 } as never)).rejects.toThrow(/expected run to have only options that it knows, got: `evry`/)
  })
})
