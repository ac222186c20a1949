/** What a cancel does to each kind of wait: those that are there when it is told, and those that begin afterwards. The suite is applied to SQLite and to Redis. */
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { uniqueName } from "../../../../tools/with-redis.ts"
import { retry } from "../../src/define/index.ts"
import type { Started } from "./fixture.ts"
import { startPool, until } from "./fixture.ts"

const tagOf = async (call: PromiseLike<unknown>): Promise<string> => {
  try {
    await call
    return "none"
  } catch (error) {
    return (error as { _tag?: string })._tag ?? String(error)
  }
}

const day = 86_400_000
/** Waits that nothing ends but a cancel. */
const endless: ReadonlyArray<readonly [string, (job: any) => PromiseLike<unknown>]> = [
  ["a sleep", (job) => job.sleep("1 day")],
  ["a sleep until a time", (job) => job.sleepUntil(new Date(Date.now() + day))],
  ["a receive", (job) => job.receive("stop")],
  ["a receive with a limit", (job) => job.receive("stop", { timeout: "1 day" })],
  ["an activity", (job) => job.activities.shout("hangs")],
  ["an activity that is delayed", (job) => job.activities.shout("delayed", { delay: "1 day" })],
  ["the result of another job", (job) => job.jobs.helper.get("other").result()],
  [
    "the next try of a step",
    (job) =>
      job.step(
        "tried again",
        () => {
          throw new Error("not yet")
        },
        { retry: retry.fixed({ every: "1 day" }) },
      ),
  ],
]

/** What clean-up may wait for, and what comes of it. */
const ending: ReadonlyArray<readonly [string, (job: any) => PromiseLike<unknown>, unknown]> = [
  ["a sleep", (job) => job.sleep(1), undefined],
  ["a receive with a limit", (job) => job.receive("stop", { timeout: 1 }), undefined],
  ["a receive", async (job) => (await job.receive("note")).payload, "go"],
  ["an activity", (job) => job.activities.shout("a"), "A"],
  ["an activity that is tried again", (job) => job.activities.shout("fails"), "FAILS 2"],
  ["a child and its result", async (job) => (await job.jobs.helper.start({ id: "child" })).result(), "child"],
  [
    "a step that is tried again",
    (job) => {
      let tries = 0
      return job.step("clean", () => (++tries < 3 ? Promise.reject(new Error("not yet")) : tries), { retry: retry.fixed({ every: 1 }) })
    },
    3,
  ],
]

export const cancelSuite = (name: string, store: () => string): void => {
  describe(`cancels on ${name}`, () => {
    let pool: Started
    beforeEach(() => {
      pool = startPool(store(), uniqueName("cancels"))
    })
    afterEach(async () => {
      await pool.close()
    })

    /** What the handler saw, and what a worker that took over saw. */
    let seen: Array<unknown> = []
    const worker = async (run: (job: any) => unknown, options: object = {}): Promise<{ close(): Promise<void> }> => {
      let failing = 0
      return await pool.worker(
        { run },
        {
          activities: {
            shout: async (call: any, input: string) => {
              if (input === "hangs") await new Promise((_, reject) => call.abortSignal.addEventListener("abort", reject))
              if (input === "fails" && ++failing === 1) throw new Error("not yet")
              return input === "fails" ? `FAILS ${failing}` : input.toUpperCase()
            },
          },
          helper: { run: async (job: any) => (job.key === "other" ? await job.receive("go") : undefined, job.done(job.key)) },
          ...options,
        },
      )
    }
    const start = async (): Promise<any> => {
      seen = []
      const handle = await pool.client.sample.start({ id: "a" })
      await until(async () => (await handle.history()).journal.length > 0, "it has begun")
      return handle
    }
    const cancelled = async (handle: any): Promise<void> => {
      expect(await tagOf(handle.result({ timeout: 10_000 }))).toBe("Cancelled")
      expect(pool.events.filter(({ type }) => type === "stuck" || type === "blocked" || type === "failed")).toEqual([])
    }

    test.each(endless)("%s that is there when the cancel is told rejects", async (_, wait) => {
      await worker(async (job) => {
        await job.step("begin", () => 1)
        try {
          await wait(job)
        } catch (error) {
          seen.push((error as { _tag: string })._tag, await job.step("clean", () => job.abortSignal.aborted))
          throw error
        }
      })
      await pool.client.helper.start({ id: "other" })
      const handle = await start()
      await until(async () => (await handle.history()).journal.length > 1 || (await handle.describe()).phase === "active", "it waits")
      await handle.cancel("enough")
      await cancelled(handle)
      expect(seen).toEqual(["Cancelled", true])
    })

    test.each(endless)("%s is the first that begins after a cancel that came during a step: it rejects at once", async (_, wait) => {
      const gate = Promise.withResolvers<void>()
      const stepping = Promise.withResolvers<void>()
      await worker(async (job) => {
        await job.step("begin", () => 1)
        await job.step("works on, whatever its signal says", () => (stepping.resolve(), gate.promise))
        try {
          await wait(job)
        } catch (error) {
          // who was told once may wait again
          seen.push((error as { _tag: string })._tag, await job.activities.shout("clean"))
          throw error
        }
      })
      await pool.client.helper.start({ id: "other" })
      const handle = await start()
      await stepping.promise
      await handle.cancel("enough")
      await until(async () => (await handle.history()).journal.some(({ t }: { t: string }) => t === "cancel"), "it is told")
      gate.resolve()
      await cancelled(handle)
      expect(seen).toEqual(["Cancelled", "CLEAN"])
    })

    test.each(ending)("clean-up may wait for %s", async (_, wait, expected) => {
      await worker(async (job) => {
        await job.step("begin", () => 1)
        try {
          await job.receive("stop")
        } finally {
          seen.push(await wait(job))
        }
      })
      const handle = await start()
      await until(async () => (await handle.history()).journal.length > 1, "it waits")
      await handle.cancel("enough")
      const isTold = async (): Promise<boolean> => {
        const { phase, journal } = await handle.history()
        return phase === "ended" || journal.some(({ t }: { t: string }) => t === "cancel")
      }
      await until(isTold, "it is told")
      // some have ended by then
      await handle.signal.note("go").catch(() => undefined)
      await cancelled(handle)
      expect(seen).toEqual([expected])
    })

    test("a handler that was told by what its step threw may wait in its clean-up", async () => {
      await worker(async (job) => {
        await job.step("begin", () => 1)
        try {
          await job.step(
            "heeds its signal",
            (signal: AbortSignal) => new Promise((__, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error))),
            { retry: retry.fixed({ every: "1 day" }) },
          )
        } catch (error) {
          seen.push((error as { _tag: string })._tag, await tagOf(job.sleep(1)), await job.activities.shout("clean"))
          throw error
        }
      })
      const handle = await start()
      await handle.cancel("enough")
      await cancelled(handle)
      expect(seen).toEqual(["Cancelled", "none", "CLEAN"])
    })

    test("whoever takes over the clean-up sees the same as the one before", async () => {
      const gate = Promise.withResolvers<void>()
      const stepping = Promise.withResolvers<void>()
      const run = async (job: any): Promise<unknown> => {
        await job.step("begin", () => 1)
        await job.step("works", () => (stepping.resolve(), gate.promise))
        const saw: Array<string> = []
        for (const wait of [() => job.sleep("1 day"), () => job.sleep(1), () => job.receive("note")]) saw.push(await tagOf(wait()))
        seen.push(saw.join(" "))
        return job.done("never")
      }
      const first = await worker(run)
      const handle = await start()
      await stepping.promise
      await handle.cancel("enough")
      await until(async () => (await handle.history()).journal.some(({ t }: { t: string }) => t === "cancel"), "it is told")
      gate.resolve()
      await until(async () => (await handle.history()).journal.some(({ t }: { t: string }) => t === "receive"), "it cleans up")
      await first.close()
      seen = []
      await worker(run)
      await handle.signal.note("go on")
      await until(() => seen.length > 0, "it goes on")
      expect(seen).toEqual(["Cancelled none none"])
      expect(await handle.result({ timeout: 10_000 })).toBe("never")
    })
  })
}
