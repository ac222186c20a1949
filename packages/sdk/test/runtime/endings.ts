/** How runs end that are asked to, in time or out of it: the suite is applied to SQLite and to Redis. */
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { uniqueName } from "../../../../tools/with-redis.ts"
import { retry } from "../../src/define/index.ts"
import type { Engine } from "../../src/engine/engine.ts"
import { openEngine } from "../../src/engine/open.ts"
import type { Started } from "./fixture.ts"
import { GoneError, startPool, until, wrapEngine } from "./fixture.ts"

export const endingSuite = (name: string, store: () => string): void => {
  describe(`endings on ${name}`, () => {
    let pool: Started
    beforeEach(() => {
      pool = startPool(store(), uniqueName("endings"))
    })
    afterEach(async () => {
      await pool.close()
    })
    const started = async (id: string): Promise<any> => {
      const handle = await pool.client.sample.start({ id })
      await until(async () => (await handle.describe()).phase !== "ready", "the run is taken")
      return handle
    }
    const late = (of: string): unknown => expect.objectContaining({ _tag: "TimedOut", details: { of } }) as unknown

    test("a cancel reaches a handler that makes no durable call, and only heeds its signal", async () => {
      await pool.worker({
        run: async (job: any) => {
          await new Promise((_, reject) => job.abortSignal.addEventListener("abort", () => reject(job.abortSignal.reason), { once: true }))
          return job.done("never")
        },
      })
      const handle = await started("signal")
      await handle.cancel("enough")
      await expect(handle.result({ timeout: 10_000 })).rejects.toMatchObject({ _tag: "Cancelled", details: { reason: "enough" } })
    })

    test("W5 a forced end that the store refuses frees no slot: the run goes on only when its handler has settled", async () => {
      const engine = await openEngine(pool.store)
      const gate = Promise.withResolvers<void>()
      let refused = false
      const commit: Engine["commit"] = async (of, groups) => {
        const ends = groups.some(({ items }) => items.some(({ next }) => next.phase === "ended"))
        if (!ends || refused) return await engine.commit(of, groups)
        refused = true
        return groups.map(({ items }) => items.map(() => ({ status: "conflict", phase: "active", lastMessage: 0, now: 0 }) as const))
      }
      let sweeps = 0
      const sweep: Engine["sweep"] = (of, shards) => {
        sweeps++
        return engine.sweep(of, shards)
      }
      let running = 0
      let most = 0
      let attempts = 0
      await pool.worker(
        {
          run: async (job: any) => {
            running++
            most = Math.max(most, running)
            await job.step("begin", () => 1)
            if (++attempts === 1) await gate.promise
            else await new Promise((resolve) => job.abortSignal.addEventListener("abort", resolve))
            running--
            return job.done("end")
          },
        },
        { timeout: { cleanup: 30 }, engine: wrapEngine(engine, { commit, sweep }), store: undefined },
      )
      const handle = await started("refused")
      await until(async () => (await handle.history()).journal.length > 0, "it has begun")
      await handle.cancel("enough")
      await until(() => refused, "the end was refused")
      // The store has the run as active: who sweeps and misses it here would load it again.
      const before = sweeps
      await until(() => sweeps >= before + 4, "it was swept")
      gate.resolve()
      expect(await handle.result({ timeout: 10_000 })).toBe("end")
      expect([attempts, most]).toEqual([2, 1])
      expect(pool.events.filter(({ type }) => type === "blocked")).toEqual([])
      await engine.close()
    })

    test.each([
      ["rests", true, "Cancelled"],
      ["ends at once", false, "end"],
    ])("a cancel that is in the journal reaches the handler that goes on from it and %s without a durable call", async (_, rests, end) => {
      const engine = await openEngine(pool.store)
      let refused = false
      // The end of the first attempt is lost with its worker's memory.
      const commit: Engine["commit"] = async (of, groups) => {
        const ends = groups.some(({ items }) => items.some(({ next }) => next.phase === "ended"))
        if (!ends || refused) return await engine.commit(of, groups)
        refused = true
        return groups.map(({ items }) => items.map(() => ({ status: "conflict", phase: "active", lastMessage: 0, now: 0 }) as const))
      }
      for (const steps of [0, 1]) {
        refused = false
        const gate = Promise.withResolvers<void>()
        let attempts = 0
        const worker = await pool.worker(
          {
            run: async (job: any) => {
              for (let i = 0; i < steps; i++) await job.step("begin", () => 1)
              if (++attempts === 1) await gate.promise
              else if (rests) {
                await new Promise((resolve) => job.abortSignal.addEventListener("abort", resolve))
                throw job.abortSignal.reason
              }
              return job.done("end")
            },
          },
          { engine: wrapEngine(engine, { commit }), store: undefined },
        )
        const handle = await started(`told-${steps}`)
        await handle.cancel("enough")
        await until(async () => (await handle.history()).journal.some(({ t }: { t: string }) => t === "cancel"), "it is told")
        gate.resolve()
        const result = handle.result({ timeout: 10_000 })
        expect(await result.catch(({ _tag }: { _tag: string }) => _tag)).toBe(end)
        expect(attempts).toBe(2)
        await worker.close()
      }
      expect(pool.events.filter(({ type }) => type === "blocked")).toEqual([])
      await engine.close()
    })

    test("a handler that does not end after a cancel has its time to clean up, then the run ends without it, and its key is free when it settles", async () => {
      const gate = Promise.withResolvers<void>()
      let first = true
      await pool.worker(
        {
          run: async (job: any) => {
            if (!first) return job.done("the next one")
            first = false
            await job.step("begin", () => 1)
            await gate.promise
            const refused = await job.step("late", () => 1).catch((error: { _tag: string }) => error._tag)
            return job.done(refused)
          },
        },
        { timeout: { cleanup: 30 } },
      )
      const handle = await started("deaf")
      await until(async () => (await handle.history()).journal.length > 0, "it has begun")
      await handle.cancel("enough")
      await expect(handle.result({ timeout: 10_000 })).rejects.toMatchObject({ _tag: "Cancelled" })
      expect(pool.events).toContainEqual(expect.objectContaining({ type: "stuck", key: "deaf" }))
      // W5: the next run of the key waits for the handler of the last one
      const next = await pool.client.sample.start({ id: "deaf" })
      await until(async () => (await next.describe()).phase === "active", "it is taken")
      gate.resolve()
      expect(await next.result({ timeout: 10_000 })).toBe("the next one")
    })

    test("a run that sleeps longer than it may ends when its time is over", async () => {
      await pool.worker({ run: (job: any) => job.again({ on: ["note"] }) }, { timeout: { run: 60 } })
      const handle = await started("asleep")
      await expect(handle.result({ timeout: 10_000 })).rejects.toEqual(late("run"))
      expect(await handle.describe()).toMatchObject({ outcome: "timedOut", phase: "ended" })
    })

    test("the limit of a run counts over its iterations, that of an iteration begins anew with each", async () => {
      const run = async (job: any): Promise<unknown> => {
        await job.sleep(20)
        return job.iteration < 8 ? job.again() : job.done("all")
      }
      const worker = await pool.worker({ run }, { timeout: { run: 90 } })
      const limited = await started("limited")
      await expect(limited.result({ timeout: 10_000 })).rejects.toEqual(late("run"))
      await worker.close()
      await pool.worker({ run }, { timeout: { iteration: 2_000 } })
      const free = await started("free")
      expect(await free.result({ timeout: 10_000 })).toBe("all")
    })

    test("a handler that is late is told by its signal, and cleans up with durable steps", async () => {
      const cleaned: Array<string> = []
      await pool.worker(
        {
          run: async (job: any) => {
            try {
              await job.receive("note")
            } finally {
              await job.step("clean", () => cleaned.push(job.abortSignal.reason._tag))
            }
            return job.done("never")
          },
        },
        { timeout: { iteration: 50 } },
      )
      const handle = await started("late")
      await expect(handle.result({ timeout: 10_000 })).rejects.toEqual(late("iteration"))
      expect(cleaned).toEqual(["TimedOut"])
    })

    test("back-offs count to an iteration, and none is longer than what is left of it", async () => {
      let attempts = 0
      await pool.worker(
        {
          run: () => {
            attempts++
            throw new Error("broken")
          },
        },
        { policy: retry.exponential({ first: 20, factor: 1_000 }), timeout: { iteration: 1_000 } },
      )
      const handle = await started("broken")
      await expect(handle.result({ timeout: 10_000 })).rejects.toEqual(late("iteration"))
      expect(attempts).toBe(2)
    })

    test("a start replaces the live run if so asked", async () => {
      await pool.worker({ run: (job: any) => (job.input.limit === 2 ? job.done("second") : job.again({ on: ["note"] })) })
      const first = await started("replaced")
      const { run } = await first.describe()
      const second = await pool.client.sample.start({ id: "replaced", limit: 2 }, { ifRunning: "replace" })
      expect(await second.result({ timeout: 10_000 })).toBe("second")
      expect((await second.describe()).run).not.toBe(run)
    })

    describe("a saga", () => {
      const book = (job: any, log: Array<string>, fail: () => void) =>
        job.saga(async (saga: any) => {
          for (const name of ["car", "room"]) {
            await job.step(name, () => log.push(name))
            saga.undo(name, () => log.push(`no ${name}`))
          }
          fail()
          return "booked"
        })

      test("that succeeds undoes nothing", async () => {
        const log: Array<string> = []
        await pool.worker({ run: async (job: any) => job.done(await book(job, log, () => {})) })
        const handle = await started("booked")
        expect(await handle.result({ timeout: 10_000 })).toBe("booked")
        expect(log).toEqual(["car", "room"])
      })

      test("undoes what was done, the last first, when a declared error ends the run", async () => {
        const log: Array<string> = []
        await pool.worker({
          run: async (job: any) => {
            await book(job, log, () => {
              throw new GoneError({ status: 410 })
            })
            return job.done("never")
          },
        })
        const handle = await started("gone")
        await expect(handle.result({ timeout: 10_000 })).rejects.toMatchObject({ _tag: "Gone" })
        expect(log).toEqual(["car", "room", "no room", "no car"])
      })

      test("undoes nothing for an attempt that is tried again, and all with the last one", async () => {
        const log: Array<string> = []
        const attempts: Array<number> = []
        await pool.worker({
          run: async (job: any) => {
            attempts.push(job.attempt)
            await book(job, log, () => {
              throw new Error("broken")
            })
            return job.done("never")
          },
        })
        const handle = await started("broken")
        await expect(handle.result({ timeout: 10_000 })).rejects.toMatchObject({ _tag: "RunFailed" })
        expect(attempts).toEqual([1, 2, 3, 4])
        expect(log).toEqual(["car", "room", "no room", "no car"])
      })

      test("undoes when the run is cancelled", async () => {
        const log: Array<string> = []
        await pool.worker({
          run: async (job: any) =>
            await job.saga(async (saga: any) => {
              await job.step("car", () => log.push("car"))
              saga.undo("car", () => log.push("no car"))
              await job.receive("note")
              return job.done("never")
            }),
        })
        const handle = await started("cancelled")
        await until(() => log.length === 1, "the car is booked")
        await handle.cancel("enough")
        await expect(handle.result({ timeout: 10_000 })).rejects.toMatchObject({ _tag: "Cancelled" })
        expect(log).toEqual(["car", "no car"])
      })
    })
  })
}
