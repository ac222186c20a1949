/** What a run keeps of an iteration that ends badly, and what goes on where another worker left it. */
import { randomUUID } from "node:crypto"
import { afterEach, describe, expect, test } from "vitest"
import type { Timeouts } from "../../src/define/index.ts"
import { retry } from "../../src/define/index.ts"
import { makeClient } from "../../src/gen.ts"
import type { TestEnv, TestFaults } from "../../src/testing/index.ts"
import { createTestEnv, replay } from "../../src/testing/index.ts"
import { uniqueName } from "../../../../tools/with-redis.ts"
import type { Engine } from "../../src/engine/engine.ts"
import { openEngine } from "../../src/engine/open.ts"
import { contract, GoneError, RejectedError, startPool, stubWith, until, wrapEngine } from "./fixture.ts"

describe("an iteration that ends badly", () => {
  let env: TestEnv
  afterEach(() => env.close())

  const started = async (run: (job: any) => unknown, timeout: Timeouts = {}, faults: TestFaults = {}): Promise<any> => {
    const updates = {
      add: (job: any, by: number) => {
        if (by < 0 && job.state.count < 100) throw new RejectedError({ reason: "below 0" })
        return (job.state.count += by)
      },
    }
    const handlers = { init: () => ({ count: 1, log: [] }), run, updates }
    const policy = retry.fixed({ every: "1 second", attempts: 2 })
    env = await createTestEnv({ jobs: [stubWith(policy, timeout).implement(handlers as never)], faults })
    return makeClient(env, { sample: contract }).sample.start({ id: "x" })
  }
  const answered = async (handle: any, by: number): Promise<unknown> => {
    const answer = handle.update.add(by).catch((error: any) => error._tag)
    await env.settle()
    return answer
  }
  const ended = async (handle: any): Promise<{ readonly tag: string; readonly state: any }> => {
    const tag = await handle.result().catch((error: any) => error._tag)
    return { tag, state: (await handle.describe()).state }
  }

  /** What the handler itself made of the state is gone with its iteration: 100 is never seen. */
  const afterUpdates = (how: (job: any) => unknown) => async (job: any) => {
    job.state.count += 100
    await job.receive("stop")
    return how(job)
  }
  const fails = (error: () => Error) => () => {
    throw error()
  }

  test.each([
    ["a declared error", "Gone", afterUpdates(fails(() => new GoneError({ status: 410 })))],
    ["its last attempt", "RunFailed", afterUpdates(fails(() => new Error("boom")))],
  ])("J4 keeps the updates that were answered meanwhile: %s", async (_, tag, run) => {
    const handle = await started(run)
    expect(await answered(handle, 2)).toBe(103)
    expect(await answered(handle, 3)).toBe(106)
    await handle.signal.stop()
    await env.advance("1 minute")
    expect(await ended(handle)).toEqual({ tag, state: { count: 6, log: [] } })
  })

  test("J4 keeps them when it is cancelled, and those that came while it cleaned up", async () => {
    const handle = await started(async (job) => {
      try {
        await job.receive("stop")
      } finally {
        await job.sleep("10 seconds")
      }
    })
    expect(await answered(handle, 2)).toBe(3)
    await handle.cancel("enough")
    await env.settle()
    expect(await answered(handle, 3)).toBe(6)
    await env.advance("10 seconds")
    expect(await ended(handle)).toEqual({ tag: "Cancelled", state: { count: 6, log: [] } })
  })

  test("J4 keeps them when a limit in time ends it, also without its handler", async () => {
    const slow = async (job: any): Promise<unknown> => {
      try {
        return await job.sleep("2 hours")
      } finally {
        await job.sleep("2 hours")
      }
    }
    const handle = await started(slow, { iteration: "1 hour" })
    expect(await answered(handle, 2)).toBe(3)
    await env.advance("2 hours")
    expect(await ended(handle)).toEqual({ tag: "TimedOut", state: { count: 3, log: [] } })
  })

  test("J4 keeps them when it is cancelled in a back-off; one that was refused stays so", async () => {
    const handle = await started(afterUpdates(fails(() => new Error("boom"))))
    expect(await answered(handle, 2)).toBe(103)
    await handle.signal.stop()
    await env.settle()
    await handle.cancel("enough")
    await env.settle()
    expect(await ended(handle)).toEqual({ tag: "Cancelled", state: { count: 3, log: [] } })
  })

  test("J4 an update that was refused inside it is not applied after it", async () => {
    const handle = await started(async (job) => {
      await job.receive("stop")
      throw new GoneError({ status: 410 })
    })
    expect(await answered(handle, -1)).toBe("Rejected")
    expect(await answered(handle, 200)).toBe(201)
    await handle.signal.stop()
    await env.settle()
    expect(await ended(handle)).toEqual({ tag: "Gone", state: { count: 201, log: [] } })
  })

  test.each(["before", "after"] as const)("the time to clean up goes on where its worker died %s a write", async (kind) => {
    const cleaned: Array<string> = []
    const slow = async (job: any): Promise<unknown> => {
      try {
        return await job.receive("stop")
      } finally {
        for (const name of ["one", "two"]) {
          await job.sleep("40 seconds")
          cleaned.push(name)
        }
      }
    }
    // writes: the receive, the cancel, a sleep, its end
    const handle = await started(slow, {}, { fault: { verb: "write", at: 3, kind } })
    await env.settle()
    await handle.cancel("enough")
    await env.advance("59 seconds")
    expect(env.struck).toBe(true)
    expect(new Set(cleaned)).toEqual(new Set(["one"]))
    expect((await handle.describe()).phase).not.toBe("ended")
    await env.advance("1 second")
    expect((await ended(handle)).tag).toBe("Cancelled")
    expect(new Set(cleaned)).toEqual(new Set(["one"]))
  })

  /** Nothing is recorded while a step waits for its next try. */
  const stuckStep = (job: any): Promise<unknown> =>
    job.step(
      "stuck",
      fails(() => new Error("not yet")),
      { retry: retry.fixed({ every: "10 seconds", attempts: 100 }) },
    )

  test.each([["run"], ["iteration"]] as const)(
    "the limit of the %s counts from its begin, though nothing else was recorded",
    async (of) => {
      // writes: the begin, the update
      const handle = await started(stuckStep, { [of]: "1 minute" }, { fault: { verb: "write", at: 1, kind: "before" } })
      await env.advance("35 seconds")
      const answer = answered(handle, 2)
      await env.settle()
      expect(env.struck).toBe(true)
      expect(await answer).toBe(3)
      await env.advance("24 seconds")
      expect((await handle.describe()).phase).not.toBe("ended")
      await env.advance("1 second")
      expect((await ended(handle)).tag).toBe("TimedOut")
    },
  )

  test("an attempt that recorded nothing but its begin leaves no iteration under way", async () => {
    const handle = await started(
      async (job) => {
        await new Promise(setImmediate)
        await new Promise(setImmediate)
        if (job.attempt === 1) throw new Error("boom")
        return job.done(String(job.state.count))
      },
      { iteration: "1 minute" },
    )
    await env.settle()
    expect((await handle.history()).journal).toEqual([])
    // applied to the run as it is parked: no handler is needed for it
    expect(await answered(handle, 2)).toBe(3)
    await env.advance("1 second")
    expect(await handle.result()).toBe("3")
  })

  test("a limit that passed while the handler was not in memory rejects the same waits in every attempt", async () => {
    for (const kind of ["before", "after"] as const)
      for (let at = 0; at < 9; at++) {
        const handle = await started(
          async (job) => {
            job.poll("note")
            for (let hop = 0; hop < 9; hop++) await Promise.resolve()
            try {
              return job.done((await job.receive("stop")).name)
            } finally {
              await job.step("one", () => 1)
              await job.sleep("10 seconds")
              await job.step("two", () => 2)
            }
          },
          { run: "1 hour" },
          { parking: 1, fault: { verb: "write", at, kind } },
        )
        await env.advance("2 hours")
        expect({ kind, at, ...(await ended(handle)) }).toMatchObject({ kind, at, tag: "TimedOut" })
        await env.close()
      }
  })
})

test("a call that is made while a cancel is on its way to the store waits no longer than those before it", async () => {
  const store = `memory:${randomUUID()}`
  const pool = startPool(store, uniqueName("cancel"))
  const engine = await openEngine(store)
  const gate = Promise.withResolvers<void>()
  let calls = 0
  const commit: Engine["commit"] = async (of, groups) => {
    if (groups.some(({ items }) => items.some(({ append }) => append.some((entry) => entry.includes('"t":"cancel"'))))) {
      gate.resolve()
      await until(() => calls === 2, "the handler goes on")
    }
    return await engine.commit(of, groups)
  }
  const hold = Promise.withResolvers<void>()
  let cleaned = false
  const handlers = {
    init: () => ({ count: 0, log: [] }),
    run: async (job: any) => {
      await job.step("first", () => 1)
      calls = 1
      await gate.promise
      for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate)
      const asleep = job.sleep("1 day")
      calls = 2
      try {
        await asleep
      } finally {
        await job.step("clean", () => 2)
        cleaned = true
        await hold.promise
      }
      return job.done("never")
    },
  }
  await pool.worker(handlers, { engine: wrapEngine(engine, { commit }), store: undefined })
  const handle = await pool.client.sample.start({ id: "x" })
  await until(() => calls === 1, "it has begun")
  await handle.cancel("enough")
  await until(() => cleaned, "it cleans up")
  // what another worker would find fits: the same call is rejected
  const history = JSON.parse(JSON.stringify(await handle.history()))
  hold.resolve()
  expect(await replay(history, stubWith().implement(handlers as never))).toMatchObject({ handler: "threw", error: { _tag: "Cancelled" } })
  await expect(handle.result({ timeout: 10_000 })).rejects.toMatchObject({ _tag: "Cancelled" })
  await pool.close()
  await engine.close()
})
