import { afterEach, describe, expect, test } from "vitest"
import { makeClient } from "../src/gen.ts"
import type { History } from "../src/gen.ts"
import type { TestEnv } from "../src/testing/index.ts"
import { createTestEnv, replay } from "../src/testing/index.ts"
import { contract, stub } from "./runtime/fixture.ts"

const job = (handlers: object) => stub.implement({ init: () => ({ count: 0, log: [] }), ...handlers })
const activities = stub.activities({ shout: (_: unknown, input: string) => input.toUpperCase() })

describe("a history replayed", () => {
  let env: TestEnv | undefined
  afterEach(() => env?.close())

  /** The history of a run of these handlers, as it comes out of a file. */
  const record = async (handlers: object, script: (handle: any, env: TestEnv) => Promise<void> = async () => {}): Promise<History> => {
    env = await createTestEnv({ jobs: [job(handlers)], activities: [activities], now: new Date("2026-01-01T00:00:00Z") })
    const handle = await makeClient(env, { sample: contract }).sample.start({ id: "acme" })
    await env.settle()
    await script(handle, env)
    await env.settle()
    return JSON.parse(JSON.stringify(await handle.history())) as History
  }

  const ran: Array<string> = []
  const waiting = {
    run: async (job: any) => {
      const [one, loud] = await Promise.all([job.step("one", () => (ran.push("one"), 1)), job.activities.shout("x")])
      await job.sleep("1 hour")
      job.state.log = [`${one} ${loud} ${job.now().toISOString()}`]
      const { payload } = await job.receive("note")
      await job.step("two", () => ran.push(payload))
      await job.receive("stop")
      await job.step("three", () => ran.push("three"))
      return job.done("done")
    },
    updates: { add: (job: any, by: number) => (job.state.count += by) },
  }
  const script = async (handle: any, env: TestEnv): Promise<void> => {
    await handle.update.add(3)
    await env.advance("2 hours")
    await handle.signal.note("hello")
  }

  test("fits the code that made it: all entries are met, no body runs, and the handler waits where the history ends", async () => {
    const history = await record(waiting, script)
    expect(history).toMatchObject({ kind: "sample", key: "acme", iteration: 1, attempt: 1, phase: "active" })
    ran.length = 0
    expect(await replay(history, job(waiting))).toEqual({ entries: history.journal.length, handler: "waits" })
    expect(ran).toEqual([])
  })

  test("fits code that only adds something after its end", async () => {
    const history = await record({ run: async (job: any) => (await job.step("one", () => 1), await job.receive("stop"), job.done("")) })
    const longer = {
      run: async (job: any) => {
        await job.step("one", () => 1)
        await job.receive("stop")
        await job.step("more", () => ran.push("more"))
        return job.done("")
      },
    }
    expect(await replay(history, job(longer))).toMatchObject({ handler: "waits" })
  })

  test.each([
    ["another step", async (job: any) => (await job.step("other", () => 1), job.done("")), 'step "one"', 'step "other"'],
    ["an early end", async (job: any) => job.done(""), 'step "one"', "the end of the iteration"],
    [
      "an error before what was recorded",
      async () => {
        throw new Error("broken")
      },
      'step "one"',
      "the end of the iteration",
    ],
    ["no further call", async (job: any) => (await job.step("one", () => 1), await new Promise(() => {})), "sleep", "no such call"],
  ])("does not fit: %s", async (_, run, expected, found) => {
    const history = await record({
      run: async (job: any) => (await job.step("one", () => 1), await job.sleep("1 hour"), await job.receive("stop"), job.done("")),
    })
    await expect(replay(history, job({ run }))).rejects.toMatchObject({ _tag: "ReplayMismatch", details: { expected, found } })
  })

  test("opens and closes the resource, with the state as it was when the iteration began", async () => {
    const handlers = (log: Array<string>) => ({
      open: (job: any) => (log.push(`open ${job.key}`), "resource"),
      close: (resource: string) => void log.push(`close ${resource}`),
      run: async (job: any, resource: string) => {
        job.state.count += 1
        log.push(`${resource} ${job.iteration}:${job.state.count}:${job.wake.by}`)
        if (job.iteration < 3) return job.again()
        await job.receive("stop")
        return job.done("")
      },
    })
    const history = await record(handlers([]))
    const log: Array<string> = []
    expect(await replay(history, job(handlers(log)))).toEqual({ entries: 1, handler: "waits" })
    expect(log).toEqual(["open acme", "resource 3:3:again", "close resource"])
  })

  test("refuses what is no history, or of another kind", async () => {
    await expect(replay({} as History, job(waiting))).rejects.toMatchObject({ _tag: "BadInput" })
    const history = await record(waiting)
    await expect(replay({ ...history, kind: "other" }, job(waiting))).rejects.toMatchObject({ _tag: "BadInput" })
  })
})
