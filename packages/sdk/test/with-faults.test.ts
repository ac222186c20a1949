import { describe, expect, test } from "vitest"
import { makeClient } from "../src/gen.ts"
import type { TestEnv } from "../src/testing/index.ts"
import { withFaults } from "../src/testing/index.ts"
import { contract, helperContract, helperStub, stub } from "./runtime/fixture.ts"

/** A bank outside, whose transfers are idempotent by id where the job gives one. */
const bank = () => {
  const transfers = new Map<string, number>()
  return {
    transfers,
    pay: (id: string, amount: number) => void transfers.set(id, amount),
    payAnew: (amount: number) => void transfers.set(`${transfers.size}`, amount),
    sum: () => [...transfers.values()].reduce((all, amount) => all + amount, 0),
  }
}

describe("a scenario under every fault", () => {
  const scenario = (accounts: () => ReturnType<typeof bank>) => async (env: TestEnv) => {
    const client = makeClient(env, { sample: contract })
    const handle = await client.sample.start({ id: "acme" })
    await env.advance("2 hours")
    await handle.signal.note("go")
    await env.settle()
    return { result: await handle.result({ timeout: 5_000 }), paid: accounts().sum() }
  }

  test("children are started, told and ended once", async () => {
    let account = bank()
    const { result } = await withFaults(
      () => {
        account = bank()
        return {
          jobs: [
            stub.implement({
              init: () => ({ count: 0, log: [] }),
              run: async (job: any) => {
                const { helper } = job.jobs
                const [fast, left] = await Promise.all([helper.start({ id: "fast" }), helper.start({ id: "left" })])
                const sum = `${await fast.result()}`
                await left.signal.go("7")
                await job.sleep("1 hour")
                return job.done(sum)
              },
            }),
            helperStub.implement({
              run: async (job: any) => {
                // an id of the run, so that a child that is started twice pays twice
                account.pay(job.run, 5)
                if (job.key === "fast") return job.done("told")
                account.pay(`${job.run} signal`, Number((await job.receive("go")).payload))
                await job.sleep("30 days")
                return job.done("not cancelled")
              },
            }),
          ],
        }
      },
      async (env) => {
        const client = makeClient(env, { sample: contract, helper: helperContract })
        const handle = await client.sample.start({ id: "acme" })
        await env.advance("2 hours")
        const left = await client.helper
          .get("left")
          .result({ timeout: 5_000 })
          .catch((error: any) => error._tag)
        return { result: await handle.result({ timeout: 5_000 }), left, paid: account.sum() }
      },
      { sample: 60 },
    )
    expect(result).toEqual({ result: "told", left: "Cancelled", paid: 17 })
  })

  test("gives the same each time when its effects are idempotent", async () => {
    let account = bank()
    const { result, trials } = await withFaults(
      () => {
        account = bank()
        return {
          jobs: [
            stub.implement({
              init: () => ({ count: 0, log: [] }),
              run: async (job: any) => {
                await job.step("first", () => account.pay(`${job.run}.first`, 5))
                await job.sleep("1 hour")
                const { payload } = await job.receive("note")
                await job.activities.shout(payload)
                return job.done(payload)
              },
            }),
          ],
          activities: [stub.activities({ shout: (call: any, text: string) => (account.pay(call.id, 7), text.toUpperCase()) })],
        }
      },
      scenario(() => account),
    )
    expect(result).toEqual({ result: "go", paid: 12 })
    // four for each write at the least
    expect(trials).toBeGreaterThan(20)
  })

  test("messages and results of activities whose hints were lost are there when the clock has moved", async () => {
    const { result } = await withFaults(
      {
        jobs: [
          stub.implement({
            init: () => ({ count: 0, log: [] }),
            run: async (job: any) => {
              const { payload } = await job.receive("note")
              const loud = await job.activities.shout(payload)
              return job.done(await job.activities.shout(`${loud}!`))
            },
          }),
        ],
        activities: [stub.activities({ shout: (_: any, text: string) => text.toUpperCase() })],
      },
      async (env) => {
        const handle = await makeClient(env, { sample: contract }).sample.start({ id: "acme" })
        await env.advance("1 second")
        await handle.signal.note("go")
        await env.advance("1 second")
        return (await handle.describe()).phase
      },
      { sample: 200 },
    )
    expect(result).toBe("ended")
  })

  test("tells which fault gives something else when they are not", async () => {
    let account = bank()
    const trials = withFaults(
      () => {
        account = bank()
        return {
          jobs: [
            stub.implement({
              init: () => ({ count: 0, log: [] }),
              run: async (job: any) => {
                await job.step("pay", () => account.payAnew(5))
                await job.receive("note")
                return job.done("")
              },
            }),
          ],
        }
      },
      scenario(() => account),
    )
    await expect(trials).rejects.toMatchObject({
      _tag: "ScenarioDiffers",
      details: { faults: { fault: { verb: "write" } }, expected: { paid: 5 }, found: { paid: 10 } },
    })
  })

  test("a sample is drawn by its seed", async () => {
    const job = { jobs: [stub.implement({ init: () => ({ count: 0, log: [] }), run: (one: any) => one.done("x") })] }
    const run = async (env: TestEnv) => {
      const handle = await makeClient(env, { sample: contract }).sample.start({ id: "a" })
      return await handle.result({ timeout: 5_000 })
    }
    expect(await withFaults(job, run, { sample: 3, seed: 7 })).toEqual({ result: "x", trials: 4 })
    await expect(withFaults(job, run, { sample: 0 })).rejects.toMatchObject({ _tag: "BadOption" })
  })
})
