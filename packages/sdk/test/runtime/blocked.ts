/** Runs whose code does not fit: what brings them back. The suite is applied to SQLite and to Redis. */
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { uniqueName } from "../../../../tools/with-redis.ts"
import type { Engine } from "../../src/engine/engine.ts"
import { openEngine } from "../../src/engine/open.ts"
import { startWorker } from "../../src/worker.ts"
import type { Started } from "./fixture.ts"
import { startPool, stub, until, wrapEngine } from "./fixture.ts"

/** Long before a blocked run is looked at by itself. */
const soon = { timeout: 8_000 }

const code = (step: string) => ({
  run: async (job: any) => {
    await job.step(step, () => step)
    await job.receive("stop")
    return job.done(step)
  },
})

export const blockedSuite = (name: string, store: () => string): void => {
  describe(`blocked runs on ${name}`, () => {
    let pool: Started
    beforeEach(() => {
      pool = startPool(store(), uniqueName("blocked"))
    })
    afterEach(async () => {
      await pool.close()
    })

    const reports = (key?: string): number =>
      pool.events.filter((event) => event.type === "blocked" && (key ?? event.key) === event.key).length
    const isBlocked = (handle: any): Promise<unknown> => until(async () => (await handle.describe()).blocked !== undefined, "it is blocked")
    /** Runs that began with other code. */
    const begun = async (ids: ReadonlyArray<string>): Promise<ReadonlyArray<any>> => {
      const older = await pool.worker(code("old"))
      const handles = await Promise.all(ids.map((id) => pool.client.sample.start({ id })))
      for (const handle of handles) await until(async () => (await handle.history()).journal.length > 1, "it waits")
      await older.close()
      return handles
    }

    test("they go on at once when their worker hands over to one whose code fits", async () => {
      const [handle] = await begun(["a"])
      const unfit = await pool.worker(code("new"))
      await isBlocked(handle)
      await unfit.close()
      await pool.worker(code("old"))
      await handle.signal.stop()
      expect(await handle.result(soon)).toBe("old")
      expect((await handle.describe()).blocked).toBeUndefined()
    })

    test("they go on at once when a worker whose code fits takes shards over, and all when the other one is gone", async () => {
      const handles = await begun(["a", "b", "c", "d", "e", "f", "g", "h"])
      const unfit = await pool.worker(code("new"))
      for (const handle of handles) await isBlocked(handle)
      for (const handle of handles) await handle.signal.stop()
      await pool.worker(code("old"))
      const ended = async (): Promise<number> => {
        const phases = await Promise.all(handles.map(async (handle) => (await handle.describe()).phase as string))
        return phases.filter((phase) => phase === "ended").length
      }
      await until(async () => (await ended()) > 0, "those of shards that moved", soon.timeout)
      await unfit.close()
      await until(async () => (await ended()) === handles.length, "all", soon.timeout)
    })

    test("they go on at once when their worker died", async () => {
      const [handle] = await begun(["a"])
      const unfit = await startWorker({
        pool: pool.pool,
        store: pool.store,
        shards: pool.shards,
        signals: false,
        leaseMs: 1_000,
        sweepMs: 200,
        settleMs: 20,
        jobs: [stub.implement({ init: () => ({ count: 0, log: [] }), ...code("new") } as never)],
        onEvent: () => undefined,
      })
      await isBlocked(handle)
      unfit.member?.kill()
      await pool.worker(code("old"))
      await handle.signal.stop()
      expect(await handle.result(soon)).toBe("old")
      await unfit.worker.close()
    })

    test("nothing is done for them meanwhile", async () => {
      const engine = await openEngine(pool.store)
      let [sweeps, takes, commits] = [0, 0, 0]
      const counted: Partial<Engine> = {
        sweep: (...args) => (sweeps++, engine.sweep(...args)),
        take: (of, groups) => {
          if (groups.some(({ addresses = [] }) => addresses.length > 0)) takes++
          return engine.take(of, groups)
        },
        commit: (...args) => (commits++, engine.commit(...args)),
      }
      const [handle] = await begun(["a"])
      await pool.worker(code("new"), { engine: wrapEngine(engine, counted), store: undefined })
      await isBlocked(handle)
      const before = [takes, commits]
      const from = sweeps
      await until(() => sweeps >= from + 6, "sweeps")
      expect([[takes, commits], reports()]).toEqual([before, 1])
      await pool.close()
      await engine.close()
    })

    test("a cancel ends them, a terminate too, and their keys are free", async () => {
      const [a, b] = await begun(["a", "b"])
      await pool.worker(code("new"))
      await isBlocked(a)
      await isBlocked(b)
      await a.cancel("enough")
      await expect(a.result(soon)).rejects.toMatchObject({ _tag: "Cancelled", details: { reason: "enough" } })
      await b.terminate("now")
      await expect(b.result(soon)).rejects.toMatchObject({ _tag: "Terminated" })
      for (const id of ["a", "b"]) {
        const next = await pool.client.sample.start({ id })
        await next.signal.stop()
        expect(await next.result(soon)).toBe("new")
      }
    })

    test("a cancel that came at the same time as the block ends them", async () => {
      const [handle] = await begun(["a"])
      await handle.cancel("early")
      await pool.worker(code("new"))
      await expect(handle.result(soon)).rejects.toMatchObject({ _tag: "Cancelled", details: { reason: "early" } })
    })

    test("an update makes their worker look again", async () => {
      let fits = false
      await pool.worker({
        run: async (job: any) => {
          await job.step(job.attempt === 1 || fits ? "old" : "new", () => 1)
          if (job.attempt === 1) throw new Error("boom")
          return job.done(String(job.state.count))
        },
        updates: { add: (job: any, by: number) => (job.state.count += by) },
      })
      const handle = await pool.client.sample.start({ id: "a" })
      await isBlocked(handle)
      fits = true
      // the operator has changed something, and says so; applied at an await of the handler, or refused by its end
      await handle.update.add(2).catch(() => undefined)
      await handle.result(soon)
      expect(reports()).toBe(1)
    })

    test("their limits in time hold", async () => {
      const timeout = { run: 1_500 }
      const older = await pool.worker(code("old"), { timeout })
      const handle = await pool.client.sample.start({ id: "a" })
      await until(async () => (await handle.history()).journal.length > 1, "it waits")
      await older.close()
      await pool.worker(code("new"), { timeout })
      await expect(handle.result(soon)).rejects.toMatchObject({ _tag: "TimedOut" })
    })

    test("those beyond maxResident are parked, and come back by their timer", async () => {
      const handles = await begun(["a", "b", "c"])
      const unfit = await pool.worker(code("new"), { maxResident: 1 })
      for (const handle of handles) await isBlocked(handle)
      const described = await Promise.all(handles.map((handle) => handle.describe() as Promise<{ phase: string; nextWake?: Date }>))
      expect(described.map(({ phase }) => phase).toSorted()).toEqual(["active", "parked", "parked"])
      for (const { phase, nextWake } of described) expect(nextWake !== undefined).toBe(phase === "parked")
      for (const handle of handles) await handle.cancel("enough")
      for (const handle of handles) await expect(handle.result(soon)).rejects.toMatchObject({ _tag: "Cancelled" })
      await unfit.close()
    })
  })
}
