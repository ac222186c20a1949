/** S6 in the runtime: after a suspension no user code begins or goes on before a renewal has proven the lease. */
import { randomUUID } from "node:crypto"
import { afterEach, describe, expect, test, vi } from "vitest"
import { describeRedis, redisUrl, uniqueName } from "../../../../tools/with-redis.ts"
import type { Engine } from "../../src/engine/engine.ts"
import { openEngine } from "../../src/engine/open.ts"
import { startPool, until, wrapEngine, type Started } from "./fixture.ts"

const closing: Array<() => Promise<void>> = []
afterEach(async () => {
  vi.restoreAllMocks()
  for (const close of closing.splice(0).reverse()) await close()
})

/** A worker whose renewals the test can hold, and whose machine it can suspend. */
const stage = async (store: string, handlers: object) => {
  const pool: Started = startPool(store, uniqueName("suspension"))
  const engine: Engine = await openEngine(store)
  closing.push(
    () => engine.close(),
    () => pool.close(),
  )
  const gate: { opened: Promise<void>; open: () => void } = { opened: Promise.resolve(), open: () => {} }
  const renew: Engine["renew"] = async (name, session) => {
    await gate.opened
    return engine.renew(name, session)
  }
  const worker = await pool.worker(handlers, { engine: wrapEngine(engine, { renew }), leaseMs: 60_000, renewMs: 100, watchMs: 60 })
  await until(() => worker.owned().length === pool.shards, "it holds all shards")
  const suspend = (): void => {
    const { promise, resolve } = Promise.withResolvers<void>()
    gate.opened = promise
    gate.open = resolve
    const real = Date.now
    vi.spyOn(Date, "now").mockImplementation(() => real() + 3_600_000)
  }
  return { pool, engine, gate, suspend, worker }
}
const seen = (pool: Started, type: string) => pool.events.filter((event) => event.type === type)

const suite = (store: () => string): void => {
  test("a handler that waits goes on, and steps begin, only then; nothing is lost", async () => {
    const did: Array<string> = []
    const { pool, gate, suspend } = await stage(store(), {
      run: async (job: any) => {
        await job.step("before", () => did.push("before"))
        await job.receive("note")
        did.push("received")
        await job.step("after", () => did.push("after"))
        return job.done("whole")
      },
    })
    const handle = await pool.client.sample.start({ id: "acme" })
    await until(() => did.length === 1, "it waits")
    suspend()
    await handle.signal.note("on")
    await until(() => seen(pool, "suspended").length > 0, "it is noticed")
    // The handler of a run that is ready does not begin either.
    await pool.client.sample.start({ id: "other" })
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(did).toEqual(["before"])
    gate.open()
    expect(await handle.result({ timeout: 10_000 })).toBe("whole")
    expect(did.filter((what) => what !== "before")).toEqual(["received", "after"])
    await until(() => did.filter((what) => what === "before").length === 2, "the other begins")
    expect(seen(pool, "deposed")).toEqual([])
  })

  test("nothing goes on when the session was marked dead meanwhile", async () => {
    const did: Array<string> = []
    const { pool, engine, gate, suspend, worker } = await stage(store(), {
      run: async (job: any) => {
        await job.step("before", () => did.push("before"))
        await job.receive("note")
        did.push(`received ${job.fence}`)
        return job.done("whole")
      },
    })
    const handle = await pool.client.sample.start({ id: "acme" })
    await until(() => did.length === 1, "it waits")
    const { session } = worker
    suspend()
    await handle.signal.note("on")
    await until(() => seen(pool, "suspended").length > 0, "it is noticed")
    const counter = (await engine.renew(pool.pool, undefined)).counters.get(session) ?? 0
    expect(await engine.markDead(pool.pool, session, counter)).toBe("marked")
    expect(did).toHaveLength(1)
    gate.open()
    // It joins again, and the run goes on under a new epoch: once.
    expect(await handle.result({ timeout: 10_000 })).toBe("whole")
    expect(worker.session).not.toBe(session)
    expect(did.filter((what) => what.startsWith("received"))).toHaveLength(1)
  })
}

describe("a suspended machine, on memory", () => suite(() => `memory:${randomUUID()}`))
describeRedis("a suspended machine, on Redis", () => suite(redisUrl))
