/** What becomes of references to the state that a handler holds while it waits: the suite is applied to SQLite and to Redis. */
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { uniqueName } from "../../../../tools/with-redis.ts"
import { retry } from "../../src/define/index.ts"
import type { Started } from "./fixture.ts"
import { RejectedError, startPool, until } from "./fixture.ts"

export const stateSuite = (name: string, store: () => string): void => {
  describe(`the state of a run on ${name}`, () => {
    let pool: Started
    beforeEach(() => {
      pool = startPool(store(), uniqueName("states"))
    })
    afterEach(async () => {
      await pool.close()
    })

    const waiting = async (id: string): Promise<any> => {
      const handle = await pool.client.sample.start({ id })
      await until(async () => (await handle.history()).journal.length > 0, "it waits")
      return handle
    }

    test.each([
      ["writes to the state", (job: any, by: number) => (job.state.count += by)],
      [
        "assigns the state",
        (job: any, by: number) => {
          job.state = { ...job.state, count: job.state.count + by }
          return job.state.count
        },
      ],
      [
        "assigns a part of it",
        (job: any, by: number) => {
          job.state.log = [...job.state.log, `by ${by}`]
          return (job.state.count += by)
        },
      ],
    ])("what a handler held of it across an await is the state still, after an update that %s", async (_, add) => {
      let attempts = 0
      await pool.worker({
        run: async (job: any) => {
          const held = job.state
          held.log.push("begun")
          // `job.state` is evaluated before the await
          job.state.count = ((await job.receive("note")) as { payload: string }).payload.length
          held.log.push("held")
          if (attempts++ === 0) throw new Error("once more, by replay")
          return job.done(`${job.state === held} ${job.state.count}`)
        },
        updates: { add },
      })
      const handle = await waiting("held")
      expect(await handle.update.add(40)).toBe(40)
      await handle.signal.note("ab")
      expect(await handle.result({ timeout: 10_000 })).toBe("true 2")
      expect((await handle.describe()).state.log.filter((line: string) => !line.startsWith("by"))).toEqual(["begun", "held"])
    })

    test("lists and records inside of it are the same ones after an update, also after one that failed", async () => {
      await pool.worker({
        run: async (job: any) => {
          const { log } = job.state
          job.state.log.push(((await job.receive("note")) as { payload: string }).payload)
          return job.done(`${log === job.state.log} ${job.state.count}`)
        },
        updates: {
          add: (job: any, by: number) => {
            job.state.log.push(`by ${by}`)
            job.state.count += by
            if (by < 0) throw new RejectedError({ reason: "negative" })
            return job.state.count
          },
        },
      })
      const handle = await waiting("inside")
      expect(await handle.update.add(3)).toBe(3)
      await expect(handle.update.add(-1)).rejects.toMatchObject({ _tag: "Rejected" })
      await handle.signal.note("last")
      expect(await handle.result({ timeout: 10_000 })).toBe("true 3")
      expect((await handle.describe()).state).toEqual({ count: 3, log: ["by 3", "last"] })
    })

    test("a write to what the handler itself has replaced is told, and keeps nothing", async () => {
      await pool.worker(
        {
          run: async (job: any) => {
            const replace = async (): Promise<void> => {
              await job.sleep(1)
              job.state = { ...job.state, log: ["replaced"] }
            }
            const count = async (): Promise<void> => {
              job.state.count = ((await job.receive("note")) as { payload: string }).payload.length
            }
            await Promise.all([replace(), count()])
            return job.again({ on: ["stop"] })
          },
        },
        { policy: retry.fixed({ every: 10, attempts: 2 }) },
      )
      const handle = await waiting("replaced")
      await until(async () => (await handle.history()).journal.some(({ t }: { t: string }) => t === "woke"), "it is replaced")
      await handle.signal.note("late")
      const error = await handle.result({ timeout: 10_000 }).catch((failure: Error) => failure)
      expect(error.message).toContain("a write of count")
      expect(error.message).toContain("job.state")
      expect((await handle.describe()).state ?? { count: 0, log: [] }).toEqual({ count: 0, log: [] })
    })

    test("a handler may go on with what it assigned, compare with what it replaced, and assign that again", async () => {
      await pool.worker({
        run: async (job: any) => {
          const before = job.state
          const next = { ...before, count: before.count + 1 }
          job.state = next
          const seen = `${before.count} ${job.state.count}`
          next.log = [await job.step("s", () => "of next")]
          if (job.iteration === 1) return job.again()
          const kept = job.state
          job.state = before
          before.count = 9
          job.state = kept
          job.state = before
          job.state.log.push(seen)
          return job.done(seen)
        },
      })
      const handle = await pool.client.sample.start({ id: "assigned" })
      expect(await handle.result({ timeout: 10_000 })).toBe("1 2")
      expect((await handle.describe()).state).toEqual({ count: 9, log: ["of next", "1 2"] })
    })

    test("an update of a frozen state works on a copy of it", async () => {
      await pool.worker({
        run: async (job: any) => {
          job.state = Object.freeze({ count: 1, log: Object.freeze(["frozen"]) })
          await job.receive("stop")
          return job.done(String(job.state.count))
        },
        updates: {
          add: (job: any, by: number) => {
            job.state.log.push("thawed")
            return (job.state.count += by)
          },
        },
      })
      const handle = await waiting("frozen")
      expect(await handle.update.add(2)).toBe(3)
      await handle.signal.stop()
      expect(await handle.result({ timeout: 10_000 })).toBe("3")
      expect((await handle.describe()).state).toEqual({ count: 3, log: ["frozen", "thawed"] })
    })
  })
}
