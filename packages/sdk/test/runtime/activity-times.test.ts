/** When an activity is given to its queue: where a worker's bounds of the store's clock are apart (C1, C2), and again where that may lose it. */
import { Schema } from "effect"
import { describe, expect, test } from "vitest"
import { startActivity } from "../../src/runtime/activity-call.ts"
import type { Attempt } from "../../src/runtime/attempt.ts"
import type { Entry } from "../../src/runtime/journal.ts"
import type { Outstanding } from "../../src/runtime/outstanding.ts"
import type { Task } from "../../src/runtime/task.ts"
import type { Wait } from "../../src/runtime/timer.ts"
import { activityPlan } from "../../src/runtime/activity-limits.ts"
import { activity, defineJob, retry, type } from "../../src/define/index.ts"

/** The later bound is 7 ms ahead of the earlier one. */
const call = (options: object, entries: ReadonlyArray<Entry> = [], mayLose = false) => {
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
    mayLose,
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
  const made = startActivity(attempt as unknown as Attempt, 1, "act", "x", undefined) as unknown as Outstanding
  const to = (time: number): void => {
    now = time
    for (const wait of waits) wait.check()
  }
  const turn = () => new Promise((resolve) => setImmediate(resolve))
  return { made, noted, given, waits, to, turn, fail: (message: string) => fail.shift()?.(new Error(message)) }
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

describe("a queue that may lose what it was given", () => {
  const ids = (given: ReadonlyArray<Task>) => given.map(({ id }) => id)

  test("is given a try again until it is heard to have begun, less and less often", async () => {
    const { made, given, to, turn } = call({}, [], true)
    await turn()
    to(11_000)
    expect(given).toHaveLength(1)
    to(11_007)
    expect(ids(given)).toEqual(["r.1.1.1", "r.1.1.1"])
    to(31_013)
    expect(given).toHaveLength(2)
    to(31_014)
    expect(given).toHaveLength(3)
    expect(made.hear?.({ id: "r.1.1.1", queue: "feed", run: "r", address: "feed/a", worker: "w", elapsed: 5 })).toBe(true)
    to(200_000)
    expect(given).toHaveLength(3)
  })

  test("is given no try that has failed or ended, and nothing is waited for any more", async () => {
    const { given, made, to, turn, fail, waits } = call({}, [], true)
    await turn()
    fail("no queue")
    await turn()
    to(1_027)
    to(11_020)
    expect(ids(given)).toEqual(["r.1.1.1", "r.1.1.2"])
    made.stop?.()
    expect(waits.size).toBe(0)
    to(200_000)
    expect(given).toHaveLength(2)
  })

  test("another one is asked once", async () => {
    const { given, to, turn } = call({})
    await turn()
    to(200_000)
    expect(given).toHaveLength(1)
  })
})
