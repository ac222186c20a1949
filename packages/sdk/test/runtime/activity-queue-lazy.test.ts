import { expect, test } from "vitest"
import { LazyTaskQueue } from "../../src/runtime/activity-queue-lazy.ts"
import type { Task, TaskQueue } from "../../src/runtime/task.ts"

const task = { id: "a.1" } as Task

/** Fails to open so many times; tells what was done to it. */
const queueThatFails = (times: number) => {
  const done: Array<string> = []
  const opened: TaskQueue = {
    pending: 7,
    mayLose: true,
    add: async ({ id }) => void done.push(`add ${id}`),
    cancel: ({ id }) => void done.push(`cancel ${id}`),
    serve: async ({ queues }) => void done.push(`serve ${[...queues.keys()].join()}`),
    nextWake: 5,
    timeMoved: () => void done.push("time"),
    drain: async () => void done.push("drain"),
  }
  const open = async (): Promise<TaskQueue> => {
    done.push("open")
    if (times-- > 0) throw new Error("no store")
    return opened
  }
  return { queue: new LazyTaskQueue(open), done }
}

test("a queue that is not used is not opened, nor is it by a drain", async () => {
  const { queue, done } = queueThatFails(0)
  expect(queue.pending).toBe(0)
  await queue.drain(10)
  expect(done).toEqual([])
  await expect(queue.add(task)).rejects.toThrow("has drained")
})

test("it is opened once, by its first use", async () => {
  const { queue, done } = queueThatFails(0)
  await Promise.all([
    queue.serve({
      queues: new Map([["feed", { rate: undefined, concurrency: undefined }]]),
      concurrency: 1,
      handler: async () => {},
      onLost: () => {},
    }),
    queue.add(task),
  ])
  expect(done).toEqual(["open", "serve feed", "add a.1"])
  expect([queue.pending, queue.nextWake]).toEqual([7, 5])
  await queue.drain(10)
  expect(done.at(-1)).toBe("drain")
})

test("a failure to open it is its user's, and the next use tries again", async () => {
  const { queue, done } = queueThatFails(1)
  await expect(queue.add(task)).rejects.toThrow("no store")
  await queue.add(task)
  expect(done).toEqual(["open", "open", "add a.1"])
})
