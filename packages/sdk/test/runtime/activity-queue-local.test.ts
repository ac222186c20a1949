/** What docs/activities.md promises of a rate limit on a file: for each worker, and what that means where another one takes over. */
import { expect, test } from "vitest"
import { LocalTaskQueue } from "../../src/runtime/activity-queue-local.ts"
import type { Task } from "../../src/runtime/task.ts"

const perMs = 1_000
const max = 3

/** A queue on a clock that the test moves, and when its tasks began. */
const worker = (clock: { now: number }) => {
  const queue = new LocalTaskQueue(() => clock.now)
  const begun: number[] = []
  void queue.serve({
    queues: new Map([["work", { rate: { max, perMs }, concurrency: undefined }]]),
    concurrency: 100,
    handler: async () => void begun.push(clock.now),
    onLost: () => undefined,
  })
  let added = 0
  const add = async (count: number): Promise<void> => {
    for (let n = 0; n < count; n++) await queue.add({ id: `a.${added++}`, queue: "work", priority: 0, name: "act" } as Task)
  }
  return { queue, begun, add }
}

const inWindow = (begun: ReadonlyArray<number>, from: number): number => begun.filter((at) => at >= from && at < from + perMs).length

test("one worker starts at most so many in each window, which begins with the first start after the last one", async () => {
  const clock = { now: 5_000 }
  const { queue, begun, add } = worker(clock)
  await add(8)
  expect(begun).toEqual([5_000, 5_000, 5_000])
  clock.now = 5_999
  queue.timeMoved()
  await add(1)
  expect(begun).toHaveLength(3)
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

test("a worker that takes over begins with an unused window: up to twice as many around it, and no more", async () => {
  const clock = { now: 5_000 }
  const dead = worker(clock)
  await dead.add(8)
  clock.now = 5_300
  const heir = worker(clock)
  await heir.add(8)
  clock.now = 5_900
  heir.queue.timeMoved()
  expect(inWindow([...dead.begun, ...heir.begun], 5_000)).toBe(2 * max)
  await dead.queue.drain(0)
  await heir.queue.drain(0)
})
