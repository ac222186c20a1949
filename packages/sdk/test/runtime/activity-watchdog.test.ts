import { Queue, Worker, type WorkerOptions } from "bullmq"
import { afterEach, describe, expect, test, vi } from "vitest"
import { describeRedis, redisUrl, uniqueName } from "../../../../tools/with-redis.ts"
import { openEngine } from "../../src/engine/open.ts"
import { BullTaskQueue } from "../../src/runtime/activity-queue-bullmq.ts"
import type { QueueLimits } from "../../src/runtime/activity-limits.ts"
import type { BullTaskQueueOptions } from "../../src/runtime/activity-queue-bullmq.ts"
import type { Look } from "../../src/runtime/activity-watchdog.ts"
import { isStuck } from "../../src/runtime/activity-watchdog.ts"
import type { Task } from "../../src/runtime/task.ts"
import { removePool } from "./cleanup.ts"
import { until } from "./fixture.ts"

describe("a consumer is stuck", () => {
  const idle: Look = { taken: 3, running: 0, next: ["a"], held: false }
  test("G1 when what was next is so again, and it took nothing though it had room at both looks", () => {
    expect(isStuck(idle, { ...idle, next: ["b", "a"] }, 1)).toBe(true)
  })
  test.each<readonly [string, Look | undefined, Look]>([
    ["G1 not at the first look", undefined, idle],
    ["G1 not when it took something", idle, { ...idle, taken: 4 }],
    ["G1 not when something else comes next", idle, { ...idle, next: ["b"] }],
    ["G1 not when nothing waits", { ...idle, next: [] }, { ...idle, next: [] }],
    ["G1 not when all its places were taken", { ...idle, running: 1 }, idle],
    ["G1 not when all its places are taken", idle, { ...idle, running: 1 }],
    ["G2 not when a rate limit holds the queue", idle, { ...idle, held: true }],
    ["G2 not when a rate limit held the queue", { ...idle, held: true }, idle],
  ])("%s", (_, before, now) => expect(isStuck(before, now, 1)).toBe(false))
})

describeRedis("the consumers of a queue on Redis", () => {
  const close: Array<() => Promise<unknown>> = []
  afterEach(async () => {
    vi.restoreAllMocks()
    for (const end of close.splice(0).reverse()) await end()
  })

  const open = async (options: Partial<BullTaskQueueOptions>) => {
    const pool = uniqueName("watchdog")
    const engine = await openEngine(redisUrl())
    close.push(
      () => removePool(redisUrl(), pool),
      () => engine.close(),
    )
    const errors: Array<string> = []
    const queue = await BullTaskQueue.open({
      url: redisUrl(),
      cluster: false,
      pool,
      bus: {
        publish: (channel, text) => engine.publish(pool, channel, text),
        subscribe: (channel, listener) => engine.subscribe(pool, channel, listener),
      },
      onError: (error) => errors.push(error.message),
      watchMs: 50,
      callTimeoutMs: 5_000,
      ...options,
    })
    close.push(() => queue.drain(1_000))
    const ran: Array<string> = []
    const serve = (concurrency: number, { rate, until: gate }: { rate?: QueueLimits["rate"]; until?: Promise<void> } = {}) =>
      queue.serve({
        queues: new Map([["work", { rate, concurrency }]]),
        concurrency,
        handler: async ({ id }) => (ran.push(id), await gate),
        onLost: () => undefined,
      })
    const add = (id: string, priority = 0) => queue.add({ id, queue: "work", priority, name: "act" } as Task)
    return { queue, serve, add, ran, errors }
  }

  test("one that takes nothing while tasks wait is replaced, and that is told", async () => {
    const made: Array<Worker<Task>> = []
    const { serve, add, ran, errors } = await open({
      newWorker: (...args) => {
        const worker = new Worker<Task>(...args)
        // the first one is as one whose connection hangs: it lives, and takes nothing
        if (made.push(worker) === 1) void worker.pause(true)
        return worker
      },
    })
    await serve(1)
    await add("a.1")
    await add("b.1", 5)
    await until(() => ran.length === 2, "the other one runs them")
    expect(ran).toEqual(["a.1", "b.1"])
    expect(made).toHaveLength(2)
    expect(errors).toEqual([expect.stringContaining("consumer of queue work took nothing")])
  })

  test("one that does not become ready holds nobody up: that is told, and it takes what waits when it is", async () => {
    const ready = Promise.withResolvers<void>()
    const { serve, add, ran, errors } = await open({
      callTimeoutMs: 50,
      newWorker: (name, process, options) => {
        const worker = new Worker<Task>(name, process, { ...(options as WorkerOptions), autorun: false })
        vi.spyOn(worker, "waitUntilReady").mockImplementation(() => ready.promise as never)
        void ready.promise.then(() => worker.run())
        return worker
      },
    })
    await serve(1)
    expect(errors).toEqual([expect.stringContaining("the consumers could not reach Redis within 50 ms")])
    await add("a.1")
    expect(ran).toEqual([])
    ready.resolve()
    await until(() => ran.length === 1, "it runs")
  })

  test("one that never ends is left by a drain, once what it ran has ended", async () => {
    const made: Array<Worker<Task>> = []
    const gate = Promise.withResolvers<void>()
    const { queue, serve, add, ran } = await open({
      callTimeoutMs: 200,
      newWorker: (...args) => {
        const worker = new Worker<Task>(...args)
        made.push(worker)
        close.push(() => worker.disconnect())
        // as one whose server went away
        vi.spyOn(worker, "close").mockReturnValue(new Promise(() => undefined))
        return worker
      },
    })
    await serve(1, { until: gate.promise })
    await add("a.1")
    await until(() => ran.length === 1, "it runs")
    let drained = false
    const draining = queue.drain(60_000).then(() => (drained = true))
    const from = performance.now()
    // Longer than it would be given after its tries have ended.
    await until(() => performance.now() - from > 500, "it had its time")
    expect(drained).toBe(false)
    gate.resolve()
    await draining
    expect(made).toHaveLength(1)
  })

  test("one that is idle, works, or is held by a rate limit stays", async () => {
    const looks = vi.spyOn(Queue.prototype, "getRanges")
    const more = (count: number, what: string) => {
      const from = looks.mock.calls.length
      return until(() => looks.mock.calls.length >= from + count, what)
    }
    let made = 0
    const gate = Promise.withResolvers<void>()
    const { serve, add, ran, errors } = await open({ newWorker: (...args) => (made++, new Worker<Task>(...args)) })
    await serve(1, { rate: { max: 1, perMs: 3_600_000 }, until: gate.promise })
    await more(4, "it was looked at while it was idle")
    await add("a.1")
    await until(() => ran.length === 1, "the first runs")
    await add("b.1")
    await add("c.1", 3)
    await more(4, "it was looked at while it worked")
    gate.resolve()
    await more(6, "it was looked at while its rate limit held it")
    expect([made, ran, errors]).toEqual([1, ["a.1"], []])
  })
})
