/** The task queue of an embedded store: in this process, with the interface of the other one. A crash loses it: the shard's owner adds again (T2). */
import { Cancelled } from "../errors.ts"
import type { QueueLimits } from "./activity-limits.ts"
import { leaving } from "./activity-leaving.ts"
import type { ServeOptions, Task, TaskQueue, TaskRef } from "./task.ts"

interface LocalQueue {
  readonly limits: QueueLimits
  /** In the order in which they are taken. */
  readonly waiting: Array<Task>
  running: number
  /** Of the rate limit: when its window ends, and how many began in it. */
  windowEnd: number
  begun: number
}

interface Running {
  readonly abort: AbortController
  readonly done: Promise<void>
}

/** What is added before its queue is served waits. */
const unlimited: QueueLimits = { rate: undefined, concurrency: undefined }

export class LocalTaskQueue implements TaskQueue {
  readonly #now: () => number
  readonly #queues = new Map<string, LocalQueue>()
  /** Tasks that wait or run. */
  readonly #known = new Set<string>()
  readonly #running = new Map<string, Running>()
  #serving: ServeOptions | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  #draining = false

  /** `now`: the clock of rate limits, ms. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  add(task: Task): Promise<void> {
    if (!this.#known.has(task.id) && !this.#draining) {
      this.#known.add(task.id)
      const { waiting } = this.#queue(task.queue)
      const before = waiting.findIndex((other) => other.priority > task.priority)
      waiting.splice(before < 0 ? waiting.length : before, 0, task)
      this.#pump()
    }
    return Promise.resolve()
  }

  #queue(name: string): LocalQueue {
    let queue = this.#queues.get(name)
    if (queue === undefined) {
      const limits = this.#serving?.queues.get(name) ?? unlimited
      this.#queues.set(name, (queue = { limits, waiting: [], running: 0, windowEnd: 0, begun: 0 }))
    }
    return queue
  }

  cancel({ id, queue }: TaskRef, reason: string): void {
    this.#running.get(id)?.abort.abort(new Cancelled(reason))
    const waiting = this.#queues.get(queue)?.waiting ?? []
    const index = waiting.findIndex((task) => task.id === id)
    if (index < 0) return
    waiting.splice(index, 1)
    this.#known.delete(id)
  }

  serve(options: ServeOptions): Promise<void> {
    this.#serving = options
    for (const [name, limits] of options.queues) {
      const before = this.#queues.get(name)
      this.#queues.set(name, { limits, waiting: before?.waiting ?? [], running: 0, windowEnd: 0, begun: 0 })
    }
    this.#pump()
    return Promise.resolve()
  }

  #pump(): void {
    const serving = this.#serving
    if (serving === undefined || this.#draining) return
    for (const name of serving.queues.keys()) {
      const queue = this.#queue(name)
      while (queue.waiting.length > 0 && queue.running < (queue.limits.concurrency ?? serving.concurrency) && !this.#isHeld(queue)) {
        const task = queue.waiting.shift() as Task
        queue.begun++
        this.#run(serving, queue, task)
      }
    }
    clearTimeout(this.#timer)
    const { nextWake } = this
    if (nextWake < Number.POSITIVE_INFINITY)
      this.#timer = setTimeout(() => this.#pump(), Math.min(60_000, Math.max(1, Math.ceil(nextWake - this.#now()))))
  }

  /** The queue's rate limit is used up. Windows are fixed, as in BullMQ: one begins with the first start after the last one's end. */
  #isHeld(queue: LocalQueue): boolean {
    const { rate } = queue.limits
    if (rate === undefined) return false
    const now = this.#now()
    if (now >= queue.windowEnd) {
      queue.windowEnd = now + rate.perMs
      queue.begun = 0
    }
    return queue.begun >= rate.max
  }

  #run({ handler, onLost }: ServeOptions, queue: LocalQueue, task: Task): void {
    queue.running++
    const abort = new AbortController()
    const done = handler(task, { abortSignal: abort.signal })
      .catch(() => onLost(task))
      .finally(() => {
        queue.running--
        this.#running.delete(task.id)
        this.#known.delete(task.id)
        this.#pump()
      })
    this.#running.set(task.id, { abort, done })
  }

  get nextWake(): number {
    let next = Number.POSITIVE_INFINITY
    if (this.#serving !== undefined)
      for (const queue of this.#queues.values())
        if (queue.waiting.length > 0 && this.#isUsedUp(queue)) next = Math.min(next, queue.windowEnd)
    return next
  }

  #isUsedUp({ limits, begun, windowEnd }: LocalQueue): boolean {
    return limits.rate !== undefined && begun >= limits.rate.max && windowEnd > this.#now()
  }

  timeMoved(): void {
    this.#pump()
  }

  get pending(): number {
    let held = 0
    for (const queue of this.#queues.values()) if (this.#isUsedUp(queue)) held += queue.waiting.length
    return this.#known.size - held
  }

  async drain(deadline: number): Promise<void> {
    this.#draining = true
    clearTimeout(this.#timer)
    const timer = setTimeout(() => {
      for (const { abort } of this.#running.values()) abort.abort(leaving())
    }, deadline)
    await Promise.allSettled(Array.from(this.#running.values(), ({ done }) => done))
    clearTimeout(timer)
  }
}
