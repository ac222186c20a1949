/** From when the times of an activity count, where a worker's bounds of the store's clock are apart (C1, C2). */
import { Schema } from "effect"
import { expect, test } from "vitest"
import { startActivity } from "../../src/runtime/activity-call.ts"
import type { Attempt } from "../../src/runtime/attempt.ts"
import type { Entry } from "../../src/runtime/journal.ts"
import type { Task } from "../../src/runtime/task.ts"
import type { Wait } from "../../src/runtime/timer.ts"
import { activityPlan } from "../../src/runtime/activity-limits.ts"
import { activity, defineJob, retry, type } from "../../src/define/index.ts"

/** The later bound is 7 ms ahead of the earlier one. */
const call = (options: object, entries: ReadonlyArray<Entry> = []) => {
  let now = 1_000
  const noted: Array<Entry> = []
  const given: Array<Task> = []
  const fail: Array<(error: Error) => void> = []
  const waits = new Set<Wait>()
  const act = activity<string, string>({ retry: retry.fixed({ every: 20, attempts: 2 }), ...options })
  const job = defineJob({ kind: "feed", input: type<{ id: string }>(), key: "id", activities: { act } })
  const tasks = {
    add: (task: Task) => {
      given.push(task)
      return new Promise<void>((_, reject) => fail.push(reject))
    },
    cancel: () => undefined,
  }
  const attempt = {
    options: {
      kind: {
        kind: "feed",
        activities: activityPlan(job as never),
        contract: { schemas: { activities: { act: { in: Schema.String, out: Schema.String, errors: {} } } } },
      },
      body: {},
      inbox: { unread: () => [] },
      limits: { payloadBytes: 1_000 },
      run: "r",
      tasks,
    },
    shard: { shard: 1, now: () => now, timeAfter: (ms: number) => now + 7 + ms },
    generation: 0,
    fence: 1n,
    waits,
    note: (entry: Entry) => Promise.resolve(void noted.push(entry)),
    start: (_: string, __: string, make: (started: object) => unknown) => make({ index: 1, entries, resolve: () => 0, reject: () => 0 }),
  }
  void startActivity(attempt as unknown as Attempt, 1, "act", "x", undefined)
  const to = (time: number): void => {
    now = time
    for (const wait of waits) wait.check()
  }
  const turn = () => new Promise((resolve) => setImmediate(resolve))
  return { noted, given, to, turn, fail: (message: string) => fail.shift()?.(new Error(message)) }
}

test("a delay has passed in full when the try starts", async () => {
  const { noted, given, to, turn } = call({ delay: 50 })
  await turn()
  expect(noted).toEqual([{ t: "act", c: 1, n: "act", at: 1_007, due: 1_057 }])
  to(1_056)
  expect(given).toEqual([])
  to(1_057)
  expect(given).toMatchObject([{ id: "r.1.1.1", try: 1 }])
})

test("without a delay it starts at once, also where the call is recorded as a little later than this worker's clock", async () => {
  const { noted, given, turn } = call({})
  await turn()
  expect(noted).toEqual([{ t: "act", c: 1, n: "act", at: 1_007 }])
  expect(given).toHaveLength(1)
  expect(call({}, noted).given).toHaveLength(1)
})

test("a retry waits for its back-off in full", async () => {
  const { noted, given, to, turn, fail } = call({})
  await turn()
  fail("no queue")
  await turn()
  expect(noted[1]).toMatchObject({ t: "retry", try: 2, due: 1_027 })
  to(1_026)
  expect(given).toHaveLength(1)
  to(1_027)
  expect(given).toHaveLength(2)
})

test("the time that it may take in all counts from the later bound", async () => {
  const { noted, to, turn } = call({ totalTimeout: 100 })
  await turn()
  to(1_106)
  await turn()
  expect(noted).toHaveLength(1)
})
