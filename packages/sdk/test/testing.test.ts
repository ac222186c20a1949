import { afterEach, describe, expect, test } from "vitest"
import { makeClient } from "../src/gen.ts"
import type { TestEnv } from "../src/testing/index.ts"
import { createTestEnv } from "../src/testing/index.ts"
import { retry } from "../src/define/index.ts"
import type { WorkerEvent } from "../src/index.ts"
import { workStub } from "./runtime/activity-fixture.ts"
import { contract, helperContract, helperStub, stub, stubWith } from "./runtime/fixture.ts"

describe("the test environment", () => {
  let env: TestEnv | undefined
  afterEach(() => env?.close())

  const start = async (handlers: object, activities?: object) => {
    env = await createTestEnv({
      jobs: [stub.implement({ init: () => ({ count: 0, log: [] }), ...handlers })],
      activities: activities === undefined ? [] : [stub.activities(activities)],
      now: new Date("2026-01-01T00:00:00Z"),
    })
    return { env, client: makeClient(env, { sample: contract }) }
  }

  test("a year of a daily job passes in a moment, each run at its time", async () => {
    const { env, client } = await start({
      run: (job: any) => {
        if (job.wake.by !== "start") job.state.log = [...job.state.log.slice(-2), job.now().toISOString()]
        if (job.wake.by !== "start") job.state.count += 1
        return job.again({ cron: "0 3 * * *" })
      },
    })
    const handle = await client.sample.start({ id: "daily" })
    await env.advance("365 days")
    const { state } = await handle.describe()
    expect(state.count).toBe(365)
    expect(state.log.at(-1)).toBe("2026-12-31T03:00:00.000Z")
    expect(env.now().toISOString()).toBe("2027-01-01T00:00:00.000Z")
  })

  test("a run pinned to code that no worker has waits for as long as it takes, is reported, and never fails", async () => {
    const events: Array<WorkerEvent> = []
    let deployed: readonly [min: number, max: number] = [3, 4]
    let calls = 0
    env = await createTestEnv({
      // the worker that takes over has later code; a failed attempt would be the end of the run
      faults: { fault: { verb: "write", at: 0, kind: "after" } },
      jobs: [
        stubWith(retry.none).implement({
          init: () => ({ count: 0, log: [] }),
          run: async (job: any) => {
            const [min, max] = calls++ === 0 ? [1, 2] : deployed
            const version = job.version("change", min, max)
            await job.receive("stop")
            return job.done(`version ${version}`)
          },
        }),
      ],
      onEvent: (event) => events.push(event),
    })
    const handle = await makeClient(env, { sample: contract }).sample.start({ id: "pinned" })
    await env.settle()
    await handle.signal.stop()
    await env.advance("30 minutes")
    const { phase, blocked, attempt, outcome } = await handle.describe()
    expect([phase, attempt, outcome]).toEqual(["active", 1, undefined])
    expect(blocked).toContain('version 2 of the change "change"')
    expect(events.filter(({ type }) => type === "failed")).toEqual([])
    expect(events).toContainEqual(expect.objectContaining({ type: "blocked", kind: "sample", key: "pinned" }))
    deployed = [2, 4]
    await env.advance("1 minute")
    expect(await handle.result({ timeout: 1_000 })).toBe("version 2")
  })

  test("a parent rests while its child sleeps, and is told when that ends; others wake at their times", async () => {
    env = await createTestEnv({
      jobs: [
        stub.implement({
          init: () => ({ count: 0, log: [] }),
          run: async (job: any) => {
            const child = await job.jobs.helper.start({ id: "child" })
            const late = job.sleep("10 days").then(() => "late")
            return job.done(`${await Promise.race([child.result(), late])} ${job.now().toISOString()}`)
          },
        }),
        helperStub.implement({ run: (job: any) => job.sleep("3 days").then(() => job.done("slept")) }),
      ],
      now: new Date("2026-01-01T00:00:00Z"),
    })
    const client = makeClient(env, { sample: contract, helper: helperContract })
    const handle = await client.sample.start({ id: "parent" })
    await env.advance("2 days")
    expect((await client.helper.get("child").describe()).outcome).toBeUndefined()
    await env.advance("2 days")
    expect(await handle.result({ timeout: 1_000 })).toMatch(/^slept 2026-01-01/)
  })

  test("sleeps, receives with a timeout and back-offs follow the clock", async () => {
    let tries = 0
    const { env, client } = await start(
      {
        run: async (job: any) => {
          await job.sleep("30 days")
          const none = await job.receive("stop", { timeout: "1 day" })
          const loud = await job.activities.shout("x")
          return job.done(`${none} ${loud} ${job.now().toISOString()}`)
        },
      },
      {
        shout: (_: unknown, input: string) => {
          if (tries++ < 2) throw new Error("flaky")
          return input.toUpperCase()
        },
      },
    )
    const handle = await client.sample.start({ id: "slow" })
    await env.advance("29 days")
    expect((await handle.describe()).phase).toBe("active")
    await env.advance("3 days")
    expect(await handle.result({ timeout: 1_000 })).toMatch(/^undefined X 2026-01-31/)
  })

  test("handlers that only wait leave memory if so asked, and come back when it has come", async () => {
    let attempts = 0
    env = await createTestEnv({
      jobs: [
        stub.implement({
          init: () => ({ count: 0, log: [] }),
          run: async (job: any) => {
            attempts++
            await job.sleep("1 hour")
            const { payload } = await job.receive("note")
            return job.done(`${payload} ${job.attempt}`)
          },
        }),
      ],
      faults: { parking: 1 },
    })
    const handle = await makeClient(env, { sample: contract }).sample.start({ id: "parks" })
    await env.settle()
    expect((await handle.describe()).phase).toBe("parked")
    await env.advance("1 hour")
    expect((await handle.describe()).phase).toBe("parked")
    expect(attempts).toBe(2)
    await handle.signal.note("here")
    await env.settle()
    expect(await handle.result()).toBe("here 1")
    await expect(createTestEnv({ jobs: [], faults: { parking: 0 } })).rejects.toMatchObject({ _tag: "BadOption" })
  })

  test("what a handler saw before it left memory, it finds when it comes back", async () => {
    env = await createTestEnv({
      jobs: [
        stub.implement({
          init: () => ({ count: 0, log: [] }),
          run: async (job: any) => {
            const slept = job.sleep("1 hour")
            const note = await Promise.race([slept, job.receive("note")])
            if (note === undefined) return job.done("saw nothing")
            // a wait that was begun before: nothing more is written until it ends
            await slept
            return job.done(`saw ${note.payload}`)
          },
        }),
      ],
      faults: { parking: 1 },
    })
    const handle = await makeClient(env, { sample: contract }).sample.start({ id: "saw" })
    await env.settle()
    await handle.signal.note("it")
    await env.settle()
    await env.settle()
    expect((await handle.describe()).phase).toBe("parked")
    await env.advance("1 hour")
    expect(await handle.result()).toBe("saw it")
  })

  test("delays, deadlines and rate limits of activities follow the clock", async () => {
    const { stub: paced, contract: work } = workStub({
      later: { delay: "1 hour" },
      paced: { rateLimit: { max: 1, per: "1 day" }, startTimeout: "5 days", retry: retry.none },
    })
    const at = (): string => (env as TestEnv).now().toISOString().slice(5, 16)
    env = await createTestEnv({
      jobs: [
        paced.implement({
          run: async (job: any) => {
            const later = await job.activities.later("x")
            const calls = Array.from({ length: 7 }, () => job.activities.paced("x").catch((error: any) => error.details.tries[0].missed))
            return job.done([later, ...(await Promise.all(calls)), at()].join(" "))
          },
        }),
      ],
      activities: [paced.activities({ later: at, paced: at })],
      now: new Date("2026-01-01T00:00:00Z"),
    })
    const handle = await makeClient(env, { work }).work.start({ id: "paced" })
    await env.advance("8 days")
    const days = ["01-01T01:00", "01-02T01:00", "01-03T01:00", "01-04T01:00", "01-05T01:00", "01-06T01:00"]
    expect(await handle.result({ timeout: 1_000 })).toBe(["01-01T01:00", ...days, "start 01-06T01:00"].join(" "))
  })

  test("a delayed start keeps its delay when an update wakes it, and begins as a start", async () => {
    const { env, client } = await start({
      run: (job: any) => job.done(`${job.wake.by} ${job.state.count} ${job.now().toISOString()}`),
      updates: { add: (job: any, by: number) => (job.state.count += by) },
    })
    const handle = await client.sample.start({ id: "later" }, { after: "1 hour" })
    expect(await handle.update.add(2)).toBe(2)
    expect(await handle.update.add(3)).toBe(5)
    const { phase, nextWake } = await handle.describe()
    expect([phase, nextWake?.toISOString()]).toEqual(["parked", "2026-01-01T01:00:00.000Z"])
    await env.advance("1 hour")
    expect(await handle.result({ timeout: 1_000 })).toBe("start 5 2026-01-01T01:00:00.000Z")
  })
})
