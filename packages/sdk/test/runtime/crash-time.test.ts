/** What is about time, under every fault: the worker dies before and after each write, is frozen there, loses replies; handlers leave memory. */
import { describe, expect, test } from "vitest"
import { retry } from "../../src/define/index.ts"
import type { Timeouts } from "../../src/define/index.ts"
import { makeClient } from "../../src/gen.ts"
import type { TestEnv } from "../../src/testing/index.ts"
import { withFaults } from "../../src/testing/index.ts"
import { workStub } from "./activity-fixture.ts"
import { contract, stubWith } from "./fixture.ts"
import { World } from "./world.ts"

const now = new Date("2026-01-01T00:00:00Z")

/** What one run of a job gives, its effects without repetition. */
const trials = async (
  handlers: (world: World) => object,
  scenario: (env: TestEnv, handle: any) => Promise<unknown>,
  timeout: Timeouts = {},
) => {
  let world = new World()
  const options = () => {
    world = new World()
    const job = stubWith(undefined, timeout).implement({ init: () => ({ count: 0, log: [] }), ...handlers(world) } as never)
    return { jobs: [job], now }
  }
  const { result } = await withFaults(options, async (env) => {
    const handle = await makeClient(env, { sample: contract }).sample.start({ id: "x" })
    const seen = await scenario(env, handle)
    await env.settle()
    const outcome = await handle.result({ timeout: 5_000 }).catch((error: any) => error._tag)
    const twice = [...world.seen].filter(([, values]) => values.size > 1)
    return { outcome, seen, effects: [...world.ran.keys()].toSorted(), twice }
  })
  return result
}

describe("under every fault", () => {
  test("a sleep of years, a time and ticks come when they are due", async () => {
    const handlers = (world: World) => ({
      run: async (job: any) => {
        await world.step(job, "s")
        if (job.iteration === 1) {
          await job.sleep("730 days")
          job.state.log = [job.now().toISOString()]
          return job.again({ at: new Date("2028-02-29T12:00:00Z") })
        }
        job.state.log = [...job.state.log, job.wake.scheduled.toISOString()]
        if (job.iteration < 4) return job.again({ cron: "0 3 * * *", zone: "Europe/Berlin" })
        await job.sleepUntil(new Date("2028-03-04T00:00:00Z"))
        return job.done([...job.state.log, job.now().toISOString()].map((time) => time.slice(0, 16)).join(" "))
      },
    })
    expect(await trials(handlers, (env) => env.advance("793 days"))).toEqual({
      outcome: "2028-01-01T00:00 2028-02-29T12:00 2028-03-01T02:00 2028-03-02T02:00 2028-03-04T00:00",
      seen: undefined,
      effects: ["1.s", "2.s", "3.s", "4.s"],
      twice: [],
    })
  })

  test("a limit of the run ends it over its iterations, after it cleaned up", async () => {
    const handlers = (world: World) => ({
      run: async (job: any) => {
        if (job.iteration === 1) {
          await world.step(job, "s")
          return job.again({ after: "40 minutes" })
        }
        try {
          await job.receive("stop")
        } finally {
          await world.step(job, `clean at ${job.now().toISOString().slice(11, 16)}`)
        }
        return job.done("never")
      },
    })
    const phases = async (env: TestEnv, handle: any): Promise<unknown> => {
      await env.advance("59 minutes")
      const { phase } = await handle.describe()
      await env.advance("1 minute")
      return phase === "ended"
    }
    expect(await trials(handlers, phases, { run: "1 hour" })).toEqual({
      outcome: "TimedOut",
      seen: false,
      effects: ["1.s", "2.clean at 00:40"],
      twice: [],
    })
  })

  test("a run whose code does not fit waits, blocked, for code that does, and loses nothing", async () => {
    /** Of the code that is deployed. */
    let version = 1
    const handlers = (world: World) => {
      version = 1
      return {
        run: async (job: any) => {
          await world.step(job, version === 2 ? "renamed" : "first")
          if (job.attempt === 1) throw new Error("boom")
          return job.done(await world.step(job, "second"))
        },
      }
    }
    const deployments = async (env: TestEnv, handle: any): Promise<unknown> => {
      // the first attempt, then its back-off of 10 ms with other code
      await env.settle()
      version = 2
      await env.advance(10)
      const { blocked, phase } = await handle.describe()
      version = 1
      await env.advance("1 minute")
      return { phase, waits: blocked.includes('"renamed"') && blocked.includes('"first"') }
    }
    expect(await trials(handlers, deployments)).toEqual({
      outcome: "second",
      seen: { phase: "active", waits: true },
      effects: ["1.first", "1.second"],
      twice: [],
    })
  })

  test("an iteration that began before a change keeps the version that it began with", async () => {
    let version = 1
    const handlers = (world: World) => {
      version = 1
      return {
        run: async (job: any) => {
          const v = version === 1 ? 1 : job.version("change", 1, 2)
          await world.step(job, `s of ${v}`)
          if (job.iteration === 1 && job.attempt === 1) throw new Error("boom")
          job.state.log = [...job.state.log, String(v)]
          return job.iteration === 1 ? job.again() : job.done(job.state.log.join(" "))
        },
      }
    }
    const deployments = async (env: TestEnv): Promise<void> => {
      await env.settle()
      version = 2
      await env.advance(10)
    }
    expect(await trials(handlers, deployments)).toEqual({
      outcome: "1 2",
      seen: undefined,
      effects: ["1.s of 1", "2.s of 2"],
      twice: [],
    })
  })

  test("an activity misses its deadline of all tries, and the dead letter has them", async () => {
    const { contract: work, stub } = workStub({
      broken: { totalTimeout: "40 seconds", retry: retry.fixed({ every: "15 seconds" }) },
    })
    let broken = new Set<string>()
    const fails = (call: { readonly id: string; readonly attempt: number }): never => {
      broken.add(`${call.id.slice(call.id.indexOf("."))} ${call.attempt}`)
      throw new Error("broken")
    }
    const { result } = await withFaults(
      () => {
        broken = new Set()
        const run = async (job: any): Promise<unknown> => {
          const error = await job.activities.broken("x").catch((caught: unknown) => caught)
          return job.done(
            `${error._tag} ${error.details.tries.map((one: any) => one.message).join("+")} ${error.message.includes("totalTimeout")}`,
          )
        }
        return { jobs: [stub.implement({ run } as never)], activities: [stub.activities({ broken: fails } as never)], now }
      },
      async (env) => {
        const handle = await makeClient(env, { work }).work.start({ id: "x" })
        await env.advance("10 minutes")
        return { outcome: await handle.result({ timeout: 5_000 }), broken: [...broken] }
      },
    )
    expect(result).toEqual({
      outcome: "ActivityFailed broken+broken+broken true",
      broken: [".1.0 1", ".1.0 2", ".1.0 3"],
    })
  })
})
