import { randomUUID } from "node:crypto"
import { Context } from "effect"
import { PrometheusMetrics } from "effect/observability"
import { afterEach, expect, test } from "vitest"
import { uniqueName } from "../../../../tools/with-redis.ts"
import { retry } from "../../src/define/index.ts"
import type { WorkerEvent } from "../../src/index.ts"
import type { WorkPool } from "../runtime/activity-fixture.ts"
import { workPool } from "../runtime/activity-fixture.ts"
import { RejectedError, until } from "../runtime/fixture.ts"

let pool: WorkPool | undefined
afterEach(() => pool?.close())

test("a try that fails is told with kind, key, run and try, and counted; a declared error is an answer", async () => {
  const events: Array<WorkerEvent> = []
  pool = workPool(`memory:${randomUUID()}`, uniqueName("tries"), { act: { retry: retry.fixed({ every: 5, attempts: 3 }) }, answer: {} })
  const { worker, work, pool: own } = pool
  const started = await worker(
    {
      run: async (job: any) => {
        const said = await job.activities.answer("x").catch((error: any) => error._tag)
        return job.done(`${said} ${await job.activities.act("x")}`)
      },
      activities: {
        act: (call: any) => {
          if (call.attempt < 3) throw new TypeError("not yet")
          return "done"
        },
        answer: () => {
          throw new RejectedError({ reason: "no" })
        },
      },
    },
    { onEvent: (event: WorkerEvent) => events.push(event) },
  )
  const handle = await work.start({ id: "told" })
  expect(await handle.result({ timeout: 10_000 })).toBe("Rejected done")
  const { run } = await handle.describe()
  const told = { type: "activityFailed", kind: "work", key: "told", run, activity: "act" }
  expect(events.filter(({ type }) => type === "activityFailed")).toMatchObject([
    { ...told, attempt: 1, error: { name: "TypeError", message: "not yet" } },
    { ...told, attempt: 2 },
  ])
  const lines = (): ReadonlyArray<string> =>
    PrometheusMetrics.formatUnsafe(Context.empty())
      .split("\n")
      .filter((line) => line.startsWith("ponos_activity") && line.includes(`pool="${own}"`))
  const value = (metric: string, activity: string): number =>
    Number(
      lines()
        .find((line) => line.startsWith(`${metric}{`) && line.includes(`activity="${activity}"`))
        ?.split(" ")
        .at(-1),
    )
  const [total, failed, running, ended] = ["tries_total", "tries_failed_total", "tries_running", "try_ms_count"]
  const values = (activity: string) => [total, failed, running, ended].map((metric) => value(`ponos_activity_${metric}`, activity))
  await until(() => values("act")[2] === 0, "the last try is over")
  expect([values("act"), values("answer")]).toEqual([
    [3, 2, 0, 3],
    [1, 0, 0, 1],
  ])
  await started.close()
  expect(lines()).toEqual([])
})
