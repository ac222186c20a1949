/** Limits, and what user code may do wrong, on any store. */
import { Context, Effect, Layer } from "effect"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { uniqueName } from "../../../../tools/with-redis.ts"
import type { Started } from "./fixture.ts"
import { GoneError, startPool, until } from "./fixture.ts"

class Greeter extends Context.Service<Greeter, { readonly greet: (name: string) => string }>()("test/Greeter") {}

export const limitSuite = (name: string, store: () => string): void => {
  describe(`limits and mistakes on ${name}`, () => {
    let pool: Started
    beforeEach(() => {
      pool = startPool(store(), uniqueName("limit"))
    })
    afterEach(() => pool.close())

    /** Runs one job to its end; gives its error. */
    const failure = async (run: (job: any) => unknown, options: object = {}): Promise<any> => {
      await pool.worker({ run, ...options }, { payloadBytes: 1_024, policy: { kind: "none", first: 0, factor: 1 } })
      const handle = await pool.client.sample.start({ id: "x" })
      return handle.result({ timeout: 10_000 }).then(
        (value: unknown) => ({ value }),
        (error: unknown) => error,
      )
    }

    test.each([
      [
        "a step's result",
        (job: any) => job.step("big", () => "ä".repeat(600)),
        'expected the result of step "big" to have at most 1024 bytes',
      ],
      ["a result", (job: any) => job.done("ä".repeat(600)), "expected the result of sample/x to have at most 1024 bytes, got 1202"],
      [
        "a state",
        (job: any) => ((job.state.log = ["ä".repeat(600)]), job.again()),
        "expected input and state of sample/x together to have at most 1024 bytes",
      ],
    ])("%s over the limit fails the attempt, in bytes", async (_, run, message) => {
      expect(await failure(run as never)).toMatchObject({ _tag: "RunFailed", message: expect.stringContaining(message) as string })
    })

    test.each([
      ["nothing", () => undefined, "got nothing (is a `return` missing?)"],
      ["something else", () => "done", "expected run of sample to return job.again(…) or job.done(…), got string"],
      [
        "a state of another type",
        (job: any) => ((job.state.count = "many"), job.again()),
        "the state of sample/x does not match its type. `count`",
      ],
      ["a result of another type", (job: any) => job.done(7), "the result of sample/x does not match its type"],
      ["an unknown option of again", (job: any) => job.again({ afer: 1 }), "(did you mean after?)"],
      ["a step without a body", (job: any) => job.step("s"), 'expected the body of step "s" to be a function'],
      ["a step's result that is not data", (job: any) => job.step("s", () => () => 1), "a function at the top"],
      ["an unknown activity's name", (job: any) => job.activities.whisper("x"), "whisper"],
    ])("a handler that gives %s fails with a message that says what to do", async (_, run, message) => {
      expect(await failure(run as never)).toMatchObject({ _tag: "RunFailed", message: expect.stringContaining(message) as string })
    })

    test("init and open that throw are failed attempts, which are tried again", async () => {
      let inits = 0
      let opens = 0
      await pool.worker({
        init: () => {
          if (inits++ === 0) throw new Error("no init")
          return { count: 0, log: [] }
        },
        open: () => {
          if (opens++ === 0) throw new Error("no open")
          return "resource"
        },
        run: (job: any, resource: string) => job.done(`${resource} ${job.attempt}`),
      })
      const handle = await pool.client.sample.start({ id: "throws" })
      expect(await handle.result({ timeout: 10_000 })).toBe("resource 3")
      expect(pool.events.filter((event) => event.type === "failed").map((event) => event.error.message)).toEqual(["no init", "no open"])
    })

    test("durable calls in open are refused", async () => {
      const error = await failure((job: any) => job.done("x"), { open: (job: any) => job.step("s", () => 1) })
      expect(error).toMatchObject({ _tag: "RunFailed", message: expect.stringContaining("cannot be used in open") as string })
    })

    test("a close that throws is reported, and changes nothing", async () => {
      await pool.worker({
        open: () => "resource",
        close: () => {
          throw new Error("no close")
        },
        run: (job: any) => job.done("end"),
      })
      const handle = await pool.client.sample.start({ id: "close" })
      expect(await handle.result({ timeout: 10_000 })).toBe("end")
      await until(() => pool.events.some((event) => event.type === "failed" && event.error.message === "no close"), "the report")
    })

    test("a run at its journal limit is blocked, says so, keeps what it has, and can be cancelled", async () => {
      let ran = 0
      await pool.worker(
        {
          run: async (job: any) => {
            for (let i = 0; ; i++) await job.step(`s${i}`, () => ran++)
          },
        },
        { journalLimit: 10 },
      )
      const handle = await pool.client.sample.start({ id: "full" })
      const seen = await until(async () => {
        const described = await handle.describe()
        return described.blocked === undefined ? undefined : described
      }, "it is blocked")
      expect(seen.blocked).toContain("JournalFull")
      expect(seen.blocked).toContain("would exceed 10 entries")
      expect(pool.events.filter((event) => event.type === "blocked")).toHaveLength(1)
      expect(ran).toBe(11)
      await handle.cancel()
      await expect(handle.result({ timeout: 10_000 })).rejects.toMatchObject({ _tag: "Cancelled" })
    })

    test("a handler that only waits leaves memory, and goes on from its journal: no step runs again", async () => {
      const log: Array<string> = []
      const worker = await pool.worker(
        {
          run: async (job: any) => {
            const one = await job.step("one", () => (log.push("one"), job.state.count + 1))
            const note = await job.receive("note", { timeout: "1 day" }).catch((error: Error) => {
              log.push(error.name)
              throw error
            })
            return job.done(`${one} ${note.payload}`)
          },
          updates: { add: (job: any, by: number) => (job.state.count += by) },
        },
        { parkAfterMs: 100 },
      )
      const handle = await pool.client.sample.start({ id: "waits" })
      await until(async () => (await handle.describe()).phase === "parked", "it left memory")
      expect((await handle.describe()).nextWake.getTime()).toBeGreaterThan(Date.now() + 80_000_000)
      // told as when its shard moves
      expect(log).toEqual(["one", "Deposed"])
      // an update brings it back, is applied at its await, and it leaves again
      expect(await handle.update.add(5)).toBe(5)
      await until(async () => (await handle.describe()).phase === "parked", "it left memory again")
      await handle.signal.note("hi")
      expect(await handle.result({ timeout: 10_000 })).toBe("1 hi")
      expect(log.filter((line) => line === "one")).toHaveLength(1)
      await worker.close()
    })

    test("one that holds a resource stays, and one that sleeps is woken in time", async () => {
      const closed: Array<string> = []
      await pool.worker(
        {
          open: (job: any) => (job.key === "holds" ? job.key : Promise.reject(new Error("no resource"))),
          close: (key: string) => closed.push(key),
          run: async (job: any) => {
            await job.receive("stop")
            return job.done(closed.join())
          },
        },
        { parkAfterMs: 100 },
      )
      const handle = await pool.client.sample.start({ id: "holds" })
      await until(async () => (await handle.history()).journal.length > 0, "it waits")
      // several looks of the slow cycle
      await new Promise((resolve) => setTimeout(resolve, 2_500))
      expect((await handle.describe()).phase).toBe("active")
      await handle.signal.stop()
      expect(await handle.result({ timeout: 10_000 })).toBe("")
    })

    test("handlers that sleep do not keep others from running when all places are taken", async () => {
      await pool.worker(
        {
          run: async (job: any) => {
            if (job.key.startsWith("sleeper")) await job.sleep("1 hour")
            return job.done(job.key)
          },
        },
        { concurrency: 5 },
      )
      const sleepers = await Promise.all(Array.from({ length: 20 }, (_, i) => pool.client.sample.start({ id: `sleeper ${i}` })))
      const quick = await pool.client.sample.start({ id: "quick" })
      expect(await quick.result({ timeout: 20_000 })).toBe("quick")
      for (const sleeper of sleepers) await sleeper.terminate()
    })

    test("a state of older code is upgraded, version by version, and stays as it is until its run is written; older code leaves a newer one alone", async () => {
      const run = (job: any): unknown => {
        const [note] = [job.poll("note")]
        if (note !== undefined) job.state.log = [...job.state.log, note.payload]
        return job.poll("stop") === undefined ? job.again({ on: ["note", "stop"] }) : job.done(`${job.state.count} ${job.state.log.join()}`)
      }
      const queries = { count: (view: any) => view.state.count }
      const first = await pool.worker({ run, queries, init: () => ({ count: 1, log: ["one"] }) })
      const handle = await pool.client.sample.start({ id: "evolves" })
      await until(async () => (await handle.describe()).phase === "parked", "it waits")
      await first.close()
      const upgrade = {
        1: ({ count, log }: any) => ({ total: count * 10, log }),
        2: ({ total, log }: any) => ({ count: total + 1, log: [...log, "three"] }),
      }
      const third = await pool.worker({ run, queries, upgrade }, { stateVersion: 3 })
      expect(await handle.query.count()).toBe(11)
      expect(await handle.describe()).toMatchObject({ stateVersion: 1, state: { count: 1, log: ["one"] } })
      await handle.signal.note("two")
      await until(async () => (await handle.describe()).stateVersion === 3, "its next iteration wrote it anew")
      // a client of another version does not guess
      expect((await handle.describe()).state).toBeUndefined()
      await third.close()
      const second = await pool.worker({ run, queries, upgrade }, { stateVersion: 2 })
      await handle.signal.note("seen by newer code only")
      await until(async () => (await handle.describe()).blocked?.includes("StateTooNew"), "it waits for newer code")
      await second.close()
      await expect(pool.worker({ run, queries, upgrade }, { stateVersion: 4 })).rejects.toMatchObject({
        message: expect.stringContaining("upgrade[3]") as unknown,
      })
    })

    test("describe and lists tell what wakes a run, what failed before, and why it ended", async () => {
      await pool.worker({
        run: async (job: any) => {
          if (job.iteration === 1 && job.attempt < 3) throw new Error(`attempt ${job.attempt} failed`)
          if (job.iteration < 3) return job.again()
          if (job.input.limit === 1) throw new GoneError({ status: 410 })
          return job.again({ on: ["stop", "add"], after: "1 hour" })
        },
      })
      const list = async (): Promise<ReadonlyArray<any>> => (await pool.client.sample.page()).runs
      const handle = await pool.client.sample.start({ id: "told" })
      await until(async () => (await handle.describe()).iteration === 4, "it sleeps")
      const lastFailure = { iteration: 1, attempts: 3, error: "attempt 2 failed" }
      const sleeping = { phase: "parked", attempt: 1, wakesOn: ["stop", "add"], lastError: undefined, lastFailure, reason: undefined }
      expect(await handle.describe()).toMatchObject({ ...sleeping, key: "told", updatedAt: expect.any(Date) as Date })
      expect(await list()).toMatchObject([{ ...sleeping, key: "told", nextWake: expect.any(Date) as Date }])
      await handle.cancel("no longer needed")
      await handle.result().catch(() => undefined)
      const ended = { phase: "ended", outcome: "cancelled", reason: "no longer needed", wakesOn: [], nextWake: undefined }
      expect(await handle.describe()).toMatchObject(ended)
      const failing = await pool.client.sample.start({ id: "told", limit: 1 })
      await failing.result().catch(() => undefined)
      const failed = { outcome: "failed", lastError: expect.stringContaining("410") as string, reason: undefined, lastFailure }
      expect(await failing.describe()).toMatchObject(failed)
      expect(await list()).toMatchObject([failed])
    })

    test("runs are listed by phase, outcome, label and time, whole or page by page", async () => {
      await pool.worker({
        run: async (job: any) => {
          if (job.input.limit === 1) return job.done("")
          if (job.input.limit === 2) throw new GoneError({ status: 1 })
          return job.iteration === 1 ? job.again() : job.again({ on: ["stop"], after: "1 hour" })
        },
      })
      const begin = new Date(Date.now() - 60_000)
      for (let i = 0; i < 30; i++)
        await pool.client.sample.start({ id: `key-${i}`, limit: i % 3 }, { labels: { plan: i < 10 ? "pro" : "free", zone: `z${i % 2}` } })
      const all = async (options: object): Promise<ReadonlyArray<any>> => {
        const runs: Array<any> = []
        for await (const run of pool.client.sample.list(options)) runs.push(run)
        return runs
      }
      await until(async () => (await all({ phase: ["parked", "ended"] })).length === 30, "all rest")
      expect((await all({ phase: "parked" })).length).toBe(10)
      expect((await all({ outcome: "done" })).length).toBe(10)
      expect((await all({ outcome: ["done", "failed"] })).length).toBe(20)
      const pro = await all({ labels: { plan: "pro" } })
      expect(new Set(pro.map(({ key }) => key as string))).toEqual(new Set(Array.from({ length: 10 }, (_, i) => `key-${i}`)))
      // labels stay over iterations
      const [parked] = await all({ labels: { plan: "pro", zone: "z0" }, phase: "parked" })
      expect(parked).toMatchObject({ iteration: 3, labels: { plan: "pro", zone: "z0" }, outcome: undefined, blocked: undefined })
      expect(parked.nextWake.getTime()).toBeGreaterThan(Date.now() + 3_000_000)
      expect(await all({ blocked: true })).toEqual([])
      expect(await all({ updatedBefore: begin })).toEqual([])
      expect((await all({ updatedAfter: begin })).length).toBe(30)
      expect((await all({ limit: 7 })).length).toBe(7)
      const seen: Array<string> = []
      for (let cursor: string | undefined = "", pages = 0; cursor !== undefined; pages++) {
        const page: { runs: ReadonlyArray<{ key: string }>; cursor?: string } = await pool.client.sample.page({ cursor, limit: 5 })
        seen.push(...page.runs.map(({ key }) => key))
        cursor = page.cursor
        expect(pages).toBeLessThan(40)
      }
      expect(new Set(seen).size).toBe(30)
      await expect(all({ phase: "sleeping" })).rejects.toMatchObject({ _tag: "BadOption" })
      await expect(pool.client.sample.page({ cursor: "x" })).rejects.toMatchObject({ _tag: "BadOption" })
      await expect(pool.client.sample.start({ id: "x" }, { labels: { a: 1 } })).rejects.toMatchObject({ _tag: "BadOption" })
    })

    test("an input over the limit, or with a field that its type does not have, is refused at the call", async () => {
      await expect(pool.client.sample.start({ id: "x", extra: "y".repeat(2_000_000) })).rejects.toMatchObject({
        _tag: "BadInput",
        details: { path: "extra" },
      })
      await pool.client.sample.start({ id: "x" })
      await expect(pool.client.sample.get("x").signal.stop({ by: "me" })).rejects.toMatchObject({ _tag: "BadInput" })
      await expect(pool.client.sample.get("x").signal.note("y".repeat(2_000_000))).rejects.toMatchObject({ _tag: "PayloadTooLarge" })
    })

    test("an Effect's typed error is a declared error", async () => {
      expect(await failure(() => Effect.fail(new GoneError({ status: 404 })))).toMatchObject({ _tag: "Gone", status: 404 })
    })

    test("an Effect is interrupted by a cancel, and cleans up with durable steps", async () => {
      const log: Array<string> = []
      // a cancel is seen at an await of job.*: the Effect's own wait stands beside a durable one
      await pool.worker({
        run: (job: any) =>
          Effect.gen(function* () {
            yield* job.step("begin", () => log.push("begin")) as Effect.Effect<unknown>
            return yield* Effect.race(job.receive("stop") as Effect.Effect<unknown>, Effect.never)
          }).pipe(Effect.onInterrupt(() => Effect.promise(() => job.step("clean", () => log.push("clean")) as Promise<unknown>))),
      })
      const handle = await pool.client.sample.start({ id: "effect" })
      await until(() => log.includes("begin"), "it began")
      await handle.cancel("enough")
      await expect(handle.result({ timeout: 10_000 })).rejects.toMatchObject({ _tag: "Cancelled" })
      expect(log).toEqual(["begin", "clean"])
    })

    test("handlers get services from the worker's layer", async () => {
      await pool.worker(
        {
          run: (job: any) =>
            Effect.gen(function* () {
              const { greet } = yield* Greeter
              const shouted = yield* job.activities.shout("you") as Effect.Effect<string>
              return job.done(`${greet(job.key)} ${shouted}`) as unknown
            }),
        },
        {
          layer: Layer.succeed(Greeter, { greet: (who: string) => `hello ${who}` }),
          activities: { shout: (_: unknown, input: string) => Effect.map(Greeter, ({ greet }) => greet(input)) },
        },
      )
      const handle = await pool.client.sample.start({ id: "layer" })
      expect(await handle.result({ timeout: 10_000 })).toBe("hello layer hello you")
    })
  })
}
