/** Workflows with activities. */
import { Effect } from "effect"
import { RejectedError, until } from "./fixture.ts"
import type { Workflow, World } from "./world.ts"

export const activities = (world: World) => ({
  shout: (call: any, input: string) => {
    world.call(call)
    if (input === "flaky" && call.attempt < 3) throw new Error("flaky")
    if (input === "bad") throw new RejectedError({ reason: "bad" })
    if (input === "never") throw new Error("never")
    return Effect.succeed(input.toUpperCase())
  },
})

/** Stops a try that was left to itself; its owner wants no result any more. */
const hang = (call: any): Promise<string> =>
  new Promise((resolve) => call.abortSignal.addEventListener("abort", () => resolve("stopped"), { once: true }))

const worked = (world: World) => ({
  ...activities(world),
  work: (call: any, input: string) => {
    world.call(call)
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
})

export const activityWorkflows: ReadonlyArray<Workflow> = [
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
      await until(() => world.ran.has("activity 1.1"), "the activity runs")
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
]

/** Some take a second and more, so that they have a file of their own. */
export const deadlineWorkflows: ReadonlyArray<Workflow> = [
  {
    name: "activities that miss their deadlines of a try and of heartbeats, and are told to stop",
    result: "ActivityFailed close+close ActivityFailed heartbeat",
    activities: (world) => {
      const stuck = (call: any): Promise<string> => {
        world.call(call)
        return hang(call)
      }
      return { late: stuck, silent: stuck }
    },
    handlers: (world) => ({
      run: async (job: any) => {
        const missed = async (name: string): Promise<string> => {
          const error = await job.activities[name]("x").catch((caught: unknown) => caught)
          return `${error._tag} ${error.details.tries.map((one: any) => one.missed).join("+")}`
        }
        const all = await Promise.all(["late", "silent"].map(missed))
        await world.step(job, "s")
        return job.done(all.join(" "))
      },
    }),
  },
  {
    name: "an activity that nobody serves",
    result: "ActivityFailed start",
    handlers: (world) => ({
      run: async (job: any) => {
        await world.step(job, "s")
        const error = await job.activities.absent("x").catch((caught: unknown) => caught)
        return job.done(`${error._tag} ${error.details.tries.map((one: any) => one.missed).join("+")}`)
      },
    }),
  },
]
