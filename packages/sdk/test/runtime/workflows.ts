/** Workflows that together use every feature of the runtime, each with what its client does meanwhile. Their results do not depend on timing. */
import { Effect } from "effect"
import { shared } from "../../src/index.ts"
import { childWorkflows } from "./child-workflows.ts"
import { GoneError, RejectedError, until } from "./fixture.ts"
import type { Script, Workflow } from "./world.ts"

const activities = {
  shout: (call: any, input: string) => {
    if (input === "flaky" && call.attempt < 3) throw new Error("flaky")
    if (input === "bad") throw new RejectedError({ reason: "bad" })
    if (input === "never") throw new Error("never")
    return Effect.succeed(input.toUpperCase())
  },
}

/** Stops a try that was left to itself; its owner wants no result any more. */
const hang = (call: any): Promise<string> =>
  new Promise((resolve) => call.abortSignal.addEventListener("abort", () => resolve("stopped"), { once: true }))

const worked = {
  ...activities,
  work: (call: any, input: string) => {
    if (input === "hang") return hang(call)
    if (input === "fatal") throw Object.assign(new Error("fatal"), { _tag: "Fatal" })
    // each try goes on where the one before told that it was; a try that is lost tells nothing more
    const from = (call.lastHeartbeat as number | undefined) ?? 0
    if (from < 2) {
      call.heartbeat(from + 1)
      throw new Error(`at ${from}`)
    }
    return `${input} from ${from}`
  },
}

const taken = ({ handle }: Script): Promise<unknown> => until(async () => (await handle.describe()).phase !== "ready", "the run is taken")
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
    name: "activities: at once, with retries, declared and final errors",
    result: "A B FLAKY Rejected bad ActivityFailed 3",
    activities,
    handlers: (world) => ({
      run: async (job: any) => {
        const [a, b] = await Promise.all([job.activities.shout("a"), job.activities.shout("b")])
        const flaky = await job.activities.shout("flaky")
        await world.step(job, "s")
        const bad = await job.activities.shout("bad").catch((error: any) => `${error._tag} ${error.reason}`)
        const never = await job.activities.shout("never").catch((error: any) => `${error._tag} ${error.details.tries.length}`)
        return job.done([a, b, flaky, bad, never].join(" "))
      },
    }),
  },
  {
    name: "activities with every option: delayed, with heartbeats that later tries read, errors not tried again, one that is left",
    result: "a from 2 b from 2 ActivityFailed 1 Fatal 2:start",
    activities: worked,
    handlers: (world) => ({
      run: async (job: any) => {
        if (job.iteration === 2) return job.done(job.state.log.join(" "))
        const [a, b] = await Promise.all([job.activities.work("a"), job.activities.work("b")])
        await world.step(job, "s")
        const fatal = await job.activities
          .work("fatal")
          .catch((error: any) => `${error._tag} ${error.details.tries.length} ${error.details.tries[0].tag}`)
        void job.activities.work("hang")
        await job.sleep(10)
        job.state.log = [a, b, fatal, `2:${job.wake.by}`]
        return job.again()
      },
    }),
  },
  {
    name: "a cancel while an activity runs",
    activities: worked,
    handlers: (world) => ({
      run: async (job: any) => {
        await world.step(job, "begin")
        try {
          await job.activities.work("hang")
        } finally {
          await world.step(job, "clean")
        }
        return job.done("never")
      },
    }),
    script: async ({ handle, world }) => {
      await until(() => world.seen.has("1.begin"), "it began")
      await handle.cancel("enough")
    },
  },
  {
    name: "an activity's final error ends attempts until it is caught",
    result: "GOOD 3",
    activities,
    handlers: (world) => ({
      run: async (job: any) => {
        await world.step(job, "first")
        const result = await job.activities.shout(job.attempt < 3 ? "bad" : "good").catch((error: unknown) => {
          if (job.attempt < 3) throw new Error("wrapped", { cause: error })
        })
        return job.done(`${result} ${job.attempt}`)
      },
    }),
  },
  {
    name: "cancel with clean-up",
    handlers: (world) => ({
      run: async (job: any) => {
        await world.step(job, "begin")
        try {
          await job.receive("stop")
        } finally {
          await world.step(job, "clean")
          await job.sleep(1)
          await world.step(job, "clean more")
        }
        return job.done("never")
      },
    }),
    script: async ({ handle, world }) => {
      await until(() => world.seen.has("1.begin"), "it began")
      await handle.cancel("enough")
    },
  },
  {
    name: "a declared error",
    handlers: (world) => ({
      run: async (job: any) => {
        await world.step(job, "s")
        throw new GoneError({ status: 410 })
      },
    }),
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
    name: "a saga undone by a declared error",
    handlers: (world) => ({
      run: async (job: any) => {
        await job.saga(async (saga: any) => {
          for (const name of ["car", "room"]) {
            await world.step(job, name)
            saga.undo(name, () => {})
          }
          throw new GoneError({ status: 409 })
        })
        return job.done("never")
      },
    }),
  },
  {
    name: "a limit in time, with clean-up",
    timeout: { iteration: 400 },
    handlers: (world) => ({
      run: async (job: any) => {
        await world.step(job, "begin")
        try {
          await job.receive("stop")
        } finally {
          await world.step(job, "clean")
          await world.step(job, "clean more")
        }
        return job.done("never")
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
  {
    name: "the end answers updates, lists unread signals",
    result: "end",
    handlers: (world) => ({
      run: async (job: any) => {
        await job.receive("stop")
        await world.step(job, "s")
        return job.done("end")
      },
    }),
    script: async (script) => {
      const { handle } = script
      await taken(script)
      await handle.signal.note("unread")
      await handle.signal.stop()
    },
  },
  ...childWorkflows,
]
