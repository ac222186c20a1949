/** What docs/activities.md promises of a rate limit where there is no Redis: on a file over all workers and their lives, in memory in each worker. */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import fc from "fast-check"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { uniqueName } from "../../../../tools/with-redis.ts"
import type { Engine } from "../../src/engine/engine.ts"
import { openEngine } from "../../src/engine/open.ts"
import { StoreUnavailable } from "../../src/errors.ts"
import { LocalTaskQueue } from "../../src/runtime/activity-queue-local.ts"
import { grantIn, type Rates, StoredRates } from "../../src/runtime/activity-rates.ts"
import type { Task } from "../../src/runtime/task.ts"
import { workPool } from "./activity-fixture.ts"
import { until } from "./fixture.ts"

const max = 3

let names = 0
/** A queue, and when its tasks began on its clock. */
const worker = (perMs: number, now?: () => number, rates?: Rates, concurrency = 100) => {
  const clock = now ?? (() => performance.now())
  const queue = new LocalTaskQueue(clock, rates)
  const begun: number[] = []
  void queue.serve({
    queues: new Map([["work", { rate: { max, perMs }, concurrency: undefined }]]),
    concurrency,
    handler: async () => void begun.push(clock()),
    onLost: () => undefined,
  })
  const add = async (count: number): Promise<void> => {
    for (let n = 0; n < count; n++) await queue.add({ id: `a.${names++}`, queue: "work", priority: 0, name: "act" } as Task)
  }
  return { queue, begun, add }
}

describe("in memory", () => {
  const perMs = 1_000
  const inWindow = (begun: ReadonlyArray<number>, from: number): number => begun.filter((at) => at >= from && at < from + perMs).length

  test("one worker starts at most so many in each window, which begins with the first start after the last one", async () => {
    const clock = { now: 5_000 }
    const { queue, begun, add } = worker(perMs, () => clock.now)
    await add(8)
    expect(begun).toEqual([5_000, 5_000, 5_000])
    clock.now = 5_999
    queue.timeMoved()
    await add(1)
    expect([begun.length, queue.pending]).toEqual([3, 0])
    expect(queue.nextWake).toBe(6_000)
    clock.now = 6_400
    queue.timeMoved()
    expect(begun.slice(3)).toEqual([6_400, 6_400, 6_400])
    clock.now = 7_399
    queue.timeMoved()
    expect(begun).toHaveLength(6)
    clock.now = 7_400
    queue.timeMoved()
    expect([inWindow(begun, 5_000), inWindow(begun, 6_400), inWindow(begun, 7_400)]).toEqual([3, 3, 3])
    await queue.drain(0)
  })

  test("a timer that fires a moment before the end of its window leaves nobody waiting", async () => {
    let looks: ReadonlyArray<number> = [0]
    const { queue, begun, add } = worker(perMs, () => {
      const [now = 0, ...rest] = looks
      if (rest.length > 0) looks = rest
      return now
    })
    await add(4)
    expect(begun).toHaveLength(3)
    // the window ends while the queue looks at what may begin
    looks = [perMs - 0.1, perMs + 0.1]
    queue.timeMoved()
    await until(() => begun.length === 4, "the last one begins")
    await queue.drain(0)
  })

  test("each worker counts for itself", async () => {
    const clock = { now: 5_000 }
    const [one, two] = [worker(perMs, () => clock.now), worker(perMs, () => clock.now)]
    await one.add(8)
    await two.add(8)
    expect(inWindow([...one.begun, ...two.begun], 5_000)).toBe(2 * max)
    await one.queue.drain(0)
    await two.queue.drain(0)
  })
})

test("grants of one window are never more than the rate allows, whoever asks, and a clock that was set back begins anew", () => {
  const asks = fc.array(fc.record({ later: fc.nat(400), wanted: fc.integer({ min: 1, max: 5 }) }), { maxLength: 60 })
  fc.assert(
    fc.property(asks, (given) => {
      const rate = { max, perMs: 1_000 }
      const windows = new Map<number, number>()
      let text: string | undefined
      let now = 1_000
      for (const { later, wanted } of given) {
        now += later
        const { starts, end, begun } = grantIn(text, now, rate, wanted)
        expect(end).toBeGreaterThan(now)
        expect(end).toBeLessThanOrEqual(now + 1_000)
        windows.set(end, (windows.get(end) ?? 0) + starts)
        if (starts > 0) text = `${end} ${begun}`
      }
      expect(Math.max(0, ...windows.values())).toBeLessThanOrEqual(max)
      const ends = [...windows].filter(([, starts]) => starts > 0).map(([end]) => end)
      for (let n = 1; n < ends.length; n++) expect((ends[n] ?? 0) - (ends[n - 1] ?? 0)).toBeGreaterThanOrEqual(1_000)
      expect(grantIn(`${now + 5_000} ${max}`, now, rate, 1)).toEqual({ starts: 1, end: now + 1_000, begun: 1 })
    }),
  )
})

describe("on a file", () => {
  const hour = 3_600_000
  let folder = ""
  let pool = ""
  let engines: Array<Engine> = []
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "ponos-rates-"))
    pool = uniqueName("rates")
    engines = []
  })
  afterEach(async () => {
    for (const engine of engines) await engine.close()
    await rm(folder, { recursive: true, force: true })
  })
  const rates = async (change: (engine: Engine) => Engine = (engine) => engine): Promise<StoredRates> => {
    const engine = await openEngine(`file:${join(folder, "ponos.db")}`)
    engines.push(engine)
    return new StoredRates(change(engine), pool)
  }

  test("workers share one limit, and who takes over from one that died begins where it was", async () => {
    const [a, b] = [worker(hour, undefined, await rates()), worker(hour, undefined, await rates())]
    await a.add(2)
    await until(() => a.begun.length === 2, "those of the first begin")
    await b.add(5)
    await until(() => b.begun.length === 1 && b.queue.pending === 0, "one more begins, the rest is held")
    expect(b.queue.nextWake - performance.now()).toBeGreaterThan(hour - 60_000)
    // a is gone without a word: its heir has another connection, and nothing of its memory
    const heir = worker(hour, undefined, await rates())
    await heir.add(5)
    await until(() => heir.queue.nextWake < Number.POSITIVE_INFINITY, "it has asked")
    expect([a.begun.length, b.begun.length, heir.begun.length]).toEqual([2, 1, 0])
    for (const { queue } of [a, b, heir]) await queue.drain(0)
  })

  test("windows follow each other, and no more begin in them", async () => {
    const perMs = 300
    const [a, b] = [worker(perMs, undefined, await rates()), worker(perMs, undefined, await rates(), 1)]
    const from = performance.now()
    await Promise.all([a.add(6), b.add(6)])
    await until(() => a.begun.length + b.begun.length === 12, "all begin in the end")
    const windows = Math.floor((performance.now() - from) / perMs) + 1
    expect(12).toBeLessThanOrEqual(max * windows)
    for (const { queue } of [a, b]) await queue.drain(0)
  })

  test("nothing begins that the store has not counted: it is asked again when it answers", async () => {
    let down = true
    const { queue, begun, add } = worker(
      hour,
      undefined,
      await rates((engine) => {
        const changeMaps: Engine["changeMaps"] = async (...given) => {
          if (down) throw new StoreUnavailable("cut by the test")
          return await engine.changeMaps(...given)
        }
        return new Proxy(engine, {
          get: (target, name) => {
            if (name === "changeMaps") return changeMaps
            const own: unknown = Reflect.get(target, name)
            return typeof own === "function" ? (own.bind(target) as unknown) : own
          },
        })
      }),
    )
    await add(4)
    await until(() => queue.nextWake < Number.POSITIVE_INFINITY, "it was refused")
    expect(begun).toEqual([])
    down = false
    await until(() => begun.length === max, "as many begin as may")
    await queue.drain(0)
  })

  test("jobs of several workers start so many of their activities, and no more after one has left", async () => {
    const jobs = workPool(`file:${join(folder, "ponos.db")}`, pool, { act: { rateLimit: { max: 2, per: "1 hour" } } })
    try {
      let begun = 0
      const both = { run: async (job: any) => job.done(await job.activities.act("x")), activities: { act: () => `${++begun}` } }
      const [one] = [await jobs.worker(both), await jobs.worker(both)]
      const handles = await Promise.all(Array.from({ length: 8 }, (_, n) => jobs.work.start({ id: `job-${n}` })))
      await until(() => begun === 2, "two begin")
      await one.close()
      await until(
        async () => (await Promise.all(handles.map((handle) => handle.describe()))).filter(({ phase }) => phase === "ended").length === 2,
        "their jobs end",
      )
      await jobs.worker(both)
      await until(
        async () =>
          (await Promise.all(handles.map((handle) => handle.describe()))).every(
            ({ phase, activities }) => phase === "ended" || activities[0]?.attempt === 1,
          ),
        "all others wait for their first try",
      )
      expect(begun).toBe(2)
    } finally {
      await jobs.close()
    }
  })
})
