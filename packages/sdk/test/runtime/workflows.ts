/**
 * Workflows that, with those of the files beside this one, use every feature of the runtime, each with what its client does meanwhile. Their results
 * do not depend on timing; those that are about time are in crash-time.test.ts.
 */
import { Effect } from "effect"
import { retry } from "../../src/define/index.ts"
import { shared } from "../../src/index.ts"
import { activities } from "./activity-workflows.ts"
import { GoneError, RejectedError, until } from "./fixture.ts"
import type { Workflow } from "./world.ts"

const at = (handle: any, iteration: number): Promise<unknown> =>
  until(async () => {
    const seen = await handle.describe()
    return seen.iteration === iteration && seen.phase === "parked"
  }, `the run is parked before iteration ${iteration}`)

export const workflows: ReadonlyArray<Workflow> = [
  {
    name: "steps, one after another, at once, in a race; a caught failure; failed attempts with back-off",
    result: "a b c d fails e",
    handlers: (world) => ({
      run: async (job: any) => {
        const a = await world.step(job, "a")
        const [b, c] = await Promise.all([world.step(job, "b"), world.step(job, "c")])
        if (job.attempt < 2) throw new Error("boom")
        const d = await world.step(job, "d", true).catch((error: Error) => error.message)
        const fast = await Promise.race([job.sleep("1 hour").then(() => "slow"), world.step(job, "e")])
        if (job.attempt < 3) throw new Error("boom")
        job.state.log = [a, b, c]
        return job.done([a, b, c, d, fast].join(" "))
      },
    }),
  },
  {
    name: "steps: allSettled, no result, results of many types, a typed error, retries, a time-out",
    result: "fulfilled rejected undefined 1970-01-02 7 1 410 WaitTimeout",
    handlers: (world) => ({
      run: async (job: any) => {
        const settled = await Promise.allSettled([world.step(job, "a"), world.step(job, "b", true)])
        const nothing = await job.step("nothing", () => void world.does("nothing"))
        const rich = await job.step("rich", () => {
          world.does("rich")
          return { at: new Date(86_400_000), big: 7n, map: new Map([["k", 1]]) }
        })
        const gone = await job
          .step("typed", () => {
            world.does("typed")
            throw new GoneError({ status: 410 })
          })
          .catch((error: unknown) => (error instanceof GoneError ? error.status : error))
        await world.step(job, "again", (count) => count < 3, { retry: retry.fixed({ every: 1, attempts: 9 }) })
        const slow = await job.step("slow", () => new Promise(() => undefined), { timeout: 5 }).catch((error: any) => error._tag)
        await world.step(job, "last")
        const types = [rich.at.toISOString().slice(0, 10), rich.big, rich.map.get("k")]
        return job.done([...settled.map(({ status }) => status), String(nothing), ...types, gone, slow].join(" "))
      },
    }),
  },
  {
    name: "now, random and uuid: what they gave, they give again",
    result: "4 true true",
    handlers: (world) => ({
      run: async (job: any) => {
        const drawn = [job.random(), job.uuid()]
        await world.step(job, "a")
        const begun = job.now().getTime()
        await job.sleep(5)
        drawn.push(job.uuid(), job.random())
        if (job.attempt === 1) throw new Error("boom")
        const later = job.now().getTime()
        await world.step(job, "b")
        for (const [n, value] of [...drawn, begun, later].entries()) world.note(`value ${n}`, String(value))
        return job.done(`${new Set(drawn).size} ${drawn[0] < 1} ${later - begun >= 5}`)
      },
    }),
  },
  {
    name: "a failure that ends attempts after a clean-up step",
    result: "last",
    handlers: (world) => ({
      run: async (job: any) => {
        await world.step(job, "first")
        try {
          await world.step(job, "flaky", job.attempt < 3)
        } catch (error) {
          await world.step(job, `clean ${job.attempt}`)
          throw error
        }
        return job.done(await world.step(job, "last"))
      },
    }),
  },
  {
    name: "sleep, receive with and without timeout, poll, updates inside an iteration",
    result: "undefined one two 7",
    handlers: (world) => ({
      run: async (job: any) => {
        await job.sleep(5)
        const none = await job.receive("stop", { timeout: 5 })
        await world.step(job, "between")
        const one = await job.receive("note")
        await job.receive("stop", { timeout: "1 hour" })
        const two = job.poll("note")
        await world.step(job, "polled")
        return job.done(`${none} ${one.payload} ${two?.payload} ${job.state.count}`)
      },
      updates: { add: (job: any, by: number) => (job.state.count += by) },
    }),
    script: async ({ handle, world }) => {
      await handle.signal.note("one")
      await handle.signal.note("two")
      await handle.update.add(3)
      await handle.update.add(4)
      await until(() => world.seen.has("1.between"), "the first receive has timed out")
      await handle.signal.stop()
    },
  },
  {
    name: "iterations: at once, after a time, on a signal, on an update; updates in between",
    result: "1:start::0 2:again::0 3:time::0 4:message:note:1 5:message:add:3",
    handlers: (world) => ({
      run: async (job: any) => {
        job.state.log = [...job.state.log, `${job.iteration}:${job.wake.by}:${job.wake.name ?? ""}:${job.state.count}`]
        await world.step(job, "s")
        switch (job.iteration) {
          case 1:
            return job.again()
          case 2:
            return job.again({ after: 5 })
          case 3:
            return job.again({ on: ["note"], after: "1 hour" })
          case 4:
            if (job.poll()?.payload !== "go") throw new Error("the signal is missing")
            await world.step(job, "after the poll")
            return job.again({ on: ["add"] })
          default:
            return job.done(job.state.log.join(" "))
        }
      },
      updates: { add: (job: any, by: number) => (job.state.count += by) },
    }),
    script: async ({ handle }) => {
      await at(handle, 4)
      await handle.update.add(1)
      await handle.signal.note("go")
      await at(handle, 5)
      await handle.update.add(2)
    },
  },
  {
    name: "a start with a signal; ids with which messages count once; updates that are refused; a query",
    result: "first second none 3",
    start: { signal: { name: "note", payload: "first", id: "s1" } },
    handlers: (world) => ({
      run: async (job: any) => {
        if (job.iteration === 1) {
          job.state.log = [job.poll("note").payload]
          await world.step(job, "a")
          const { payload } = await job.receive("note")
          job.state.log = [...job.state.log, payload]
          await job.receive("stop")
          return job.again({ on: ["stop"] })
        }
        const third = job.poll("note")?.payload ?? "none"
        await world.step(job, "b")
        return job.done([...job.state.log, third, job.state.count].join(" "))
      },
      updates: {
        add: (job: any, by: number) => {
          if (by < 0) throw new RejectedError({ reason: "below 0" })
          return (job.state.count += by)
        },
      },
      queries: { count: (view: any) => view.state.count },
    }),
    script: async ({ handle, world }) => {
      for (const id of ["s1", "s2", "s2"]) await handle.signal.note("second", { id })
      const answers: Array<unknown> = []
      const told = (error: any): string => `${error._tag} ${error.reason}`
      for (const by of [3, 3, -1, -1]) answers.push(await handle.update.add(by, { id: `u ${by}` }).catch(told))
      world.note("answers", answers.join(" "))
      world.note("of another type", await handle.update.add("x").catch((error: any) => error._tag))
      await handle.signal.stop()
      await at(handle, 2)
      world.note("query", String(await handle.query.count()))
      await handle.signal.stop()
    },
  },
  {
    name: "a state of older code, upgraded and read",
    result: "10 old,up",
    stateVersion: 2,
    earlier: () => ({
      run: (job: any) => {
        job.state = { count: 1, log: ["old"] }
        return job.again({ on: ["note"] })
      },
    }),
    handlers: (world) => ({
      upgrade: { 1: ({ count, log }: any) => ({ count: count * 10, log: [...log, "up"] }) },
      run: async (job: any) => {
        await world.step(job, `s${job.iteration}`)
        return job.iteration === 2 ? job.again() : job.done(`${job.state.count} ${job.state.log.join()}`)
      },
    }),
    script: ({ handle }) => handle.signal.note("go"),
  },
  {
    name: "an Effect: durable calls in a generator, all at once, a typed error caught, a resource",
    result: "a b c Rejected resource",
    activities,
    handlers: (world) => ({
      open: () => Effect.succeed({ name: "resource" }),
      close: () => Effect.void,
      run: (job: any, resource: { name: string }) =>
        Effect.gen(function* () {
          const a = yield* job.step("a", () => Effect.succeed("a")) as Effect.Effect<string>
          const both = yield* Effect.all([Effect.promise(() => world.step(job, "b")), job.step("c", () => "c") as Effect.Effect<string>], {
            concurrency: "unbounded",
          })
          yield* job.sleep(3) as Effect.Effect<void>
          const bad = yield* (job.activities.shout("bad") as Effect.Effect<string, { _tag: string }>).pipe(
            Effect.catch((error) => Effect.succeed(error._tag)),
          )
          return job.done([a, ...both, bad, resource.name].join(" ")) as unknown
        }),
    }),
  },
  {
    name: "a changed input: at the next iteration, with another resource, and init runs no more",
    result: "start:1:1 input:2:2",
    handlers: (world) => ({
      open: (job: any) => ({ limit: job.input.limit }),
      run: async (job: any, resource: { limit: number }) => {
        await world.step(job, "s")
        job.state.log = [...job.state.log, `${job.wake.by}:${job.input.limit}:${resource.limit}`]
        return job.iteration < 2 ? job.again({ after: "1 hour" }) : job.done(job.state.log.join(" "))
      },
    }),
    script: async ({ handle, changeInput }) => {
      await at(handle, 2)
      await changeInput({ id: handle.key, limit: 2 })
    },
  },
  {
    name: "what the jobs of a tenant share, in `open` and in `run`, over iterations and failed attempts",
    result: "key key a key b",
    handlers: (world) => {
      const db = shared({ open: (key) => Promise.resolve(key), close: () => Promise.resolve(), idle: 5 })
      return {
        open: (job: any) => job.use(db),
        run: async (job: any, resource: string) => {
          const mine = await job.use(db)
          job.state.log = [...job.state.log, mine, await world.step(job, job.iteration === 1 ? "a" : "b")]
          if (job.attempt === 1) throw new Error("boom")
          return job.iteration === 1 ? job.again({ after: 5 }) : job.done([resource, ...job.state.log].join(" "))
        },
      }
    },
  },
  {
    name: "the time for which an iteration was scheduled",
    result: "true true",
    handlers: (world) => ({
      run: async (job: any) => {
        if (job.iteration === 1) return job.again({ after: 5, on: ["note"] })
        const scheduled = job.wake.scheduled.getTime()
        const same = (await job.step("first", () => scheduled)) === scheduled
        await world.step(job, "s")
        if (job.attempt < 3) throw new Error("boom")
        return job.done(`${same} ${scheduled <= job.now().getTime()}`)
      },
    }),
  },
  {
    name: "deferred steps, a sleep until a time, a receive with a filter, a version",
    result: "1 3 6 kept go 2 rest",
    handlers: (world) => ({
      run: async (job: any) => {
        job.version("more", 1, 2)
        // idempotent: a worker that takes over may run them again
        const one = await job.step("one", () => 1, { commit: "deferred" })
        const [two, three] = await Promise.all([
          job.step("two", () => one + 2, { commit: "deferred" }),
          job.step("three", () => one + 5, { commit: "deferred" }),
        ])
        const kept = await world.step(job, "kept")
        await job.sleepUntil(new Date(job.now().getTime() + 5))
        const go = await job.receive("note", { filter: (payload: string) => payload.startsWith("go") })
        const rest = job.poll("note")
        await world.step(job, "end")
        return job.done([one, two, three, kept, go.payload, job.version("more", 1, 2), rest.payload].join(" "))
      },
    }),
    script: async ({ handle }) => {
      await handle.signal.note("rest")
      await handle.signal.note("go")
    },
  },
]
