/** A task queue in which the inputs of activities went through the codecs. */
import type { Task, TaskQueue } from "./task.ts"
import type { CodecChain } from "../codec/codec.ts"

const place = (pool: string, task: Task): string => `${pool}/${task.address}`

/** Decoded when it is read: an input that cannot be read fails its try, as one does that does not match its type. */
const decoded = (task: Task, pool: string, chain: CodecChain): Task =>
  Object.defineProperty({ ...task }, "input", {
    get: (): unknown => JSON.parse(chain.decode(task.input as string, place(pool, task))),
  })

export const codedTasks = (tasks: TaskQueue, pool: string, chain: CodecChain): TaskQueue => ({
  add: (task) => tasks.add({ ...task, input: chain.encode(JSON.stringify(task.input ?? null), place(pool, task)) }),
  serve: (kinds, concurrency, handler, onLost) =>
    tasks.serve(kinds, concurrency, (task, control) => handler(decoded(task, pool, chain), control), onLost),
  get pending() {
    return tasks.pending
  },
  drain: (deadline) => tasks.drain(deadline),
})
