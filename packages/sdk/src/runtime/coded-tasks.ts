/** A task queue in which the inputs of activities, what their heartbeats told, and headers, went through the codecs. */
import type { Task, TaskQueue } from "./task.ts"
import type { CodecChain } from "../codec/codec.ts"

const place = (pool: string, task: Task): string => `${pool}/${task.address}`

const payloads = ["input", "last", "headers"] as const

const encoded = (task: Task, pool: string, chain: CodecChain): Task => {
  const coded: Record<string, unknown> = { ...task }
  for (const name of payloads) if (task[name] !== undefined) coded[name] = chain.encode(JSON.stringify(task[name]), place(pool, task))
  return coded as unknown as Task
}

/** Decoded when it is read: an input that cannot be read fails its try, as one does that does not match its type. */
const decoded = (task: Task, pool: string, chain: CodecChain): Task => {
  const plain = { ...task }
  for (const name of payloads)
    if (task[name] !== undefined)
      Object.defineProperty(plain, name, { get: (): unknown => JSON.parse(chain.decode(task[name] as string, place(pool, task))) })
  return plain
}

export const codedTasks = (tasks: TaskQueue, pool: string, chain: CodecChain): TaskQueue => ({
  add: (task) => tasks.add(encoded(task, pool, chain)),
  mayLose: tasks.mayLose,
  cancel: (task, reason) => tasks.cancel(task, reason),
  serve: (options) => tasks.serve({ ...options, handler: (task, control) => options.handler(decoded(task, pool, chain), control) }),
  get pending() {
    return tasks.pending
  },
  get nextWake() {
    return tasks.nextWake
  },
  timeMoved: () => tasks.timeMoved(),
  drain: (deadline) => tasks.drain(deadline),
})
