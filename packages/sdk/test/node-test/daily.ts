/** A test as users of node:test write it; run by node-test.int.test.ts. */
import assert from "node:assert/strict"
import { afterEach, describe, test } from "node:test"
import { makeClient } from "../../src/gen.ts"
import { createTestEnv, withFaults } from "../../src/testing/index.ts"
import type { TestEnv } from "../../src/testing/index.ts"
import { contract, stub } from "../runtime/fixture.ts"

void describe("under node:test", () => {
  let env: TestEnv | undefined
  afterEach(() => env?.close())

  const daily = stub.implement({
    init: () => ({ count: 0, log: [] }),
    run: async (job: any) => {
      if (job.wake.by !== "start") job.state.log = [await job.activities.shout(`day ${++job.state.count}`)]
      return job.again({ cron: "0 3 * * *" })
    },
  })
  // a stub of an activity is an implementation that does nothing outside
  const activities = [stub.activities({ shout: (_: any, text: string) => text.toUpperCase() })]

  void test("a month of a daily job, with a stub for its activity", async () => {
    env = await createTestEnv({ jobs: [daily], activities, now: new Date("2026-01-01T00:00:00Z") })
    const handle = await makeClient(env, { sample: contract }).sample.start({ id: "daily" })
    await env.advance("30 days")
    assert.deepEqual((await handle.describe()).state, { count: 30, log: ["DAY 30"] })
  })

  void test("the same under faults", async () => {
    const { result } = await withFaults(
      { jobs: [daily], activities, now: new Date("2026-01-01T00:00:00Z") },
      async (world) => {
        const handle = await makeClient(world, { sample: contract }).sample.start({ id: "daily" })
        await world.advance("2 days")
        return (await handle.describe()).state
      },
      { sample: 12, seed: 3 },
    )
    assert.deepEqual(result, { count: 2, log: ["DAY 2"] })
  })
})
