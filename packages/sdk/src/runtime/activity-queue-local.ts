/** The task queue of an embedded store: in this process, with the interface of the other one. A crash loses it: the shard's owner adds again (T2). */
import { Cancelled } from "../errors.ts"
import type { QueueLimits } from "./activity-limits.ts"
import { leaving } from "./activity-leaving.ts"
import type { Rates } from "./activity-rates.ts"
import type { ServeOptions, Task, TaskQueue, TaskRef } from "./task.ts"

interface LocalQueue {
  readonly limits: QueueLimits
  /** In the order in which they are taken. */
  readonly waiting: Array<Task>
  running: number
  /** Of the rate limit: how many more may begin, until when, and when there may be others. */
  left: number
  windowEnd: number
  heldUntil: number
  /** Starts are being asked for. */
  asking: boolean
}

const newQueue = (limits: QueueLimits, waiting: Array<Task> = []): LocalQueue => {
  return { limits, waiting, running: 0, left: 0, windowEnd: 0, heldUntil: 0, asking: false }
}

const isUsedUp = ({ limits, left, asking, heldUntil }: LocalQueue, now: number): boolean =>
  limits.rate !== undefined && left === 0 && !asking && heldUntil > now

/** Before a store that did not answer is asked again, ms. */
const retryMs = 250

interface Running {
  readonly abort: AbortController
  readonly done: Promise<void>
}

/** What is added before its queue is served waits. */
const unlimited: QueueLimits = { rate: undefined, concurrency: undefined }

export class LocalTaskQueue implements TaskQueue {
  readonly mayLose = false
  readonly #now: () => number
  readonly #rates: Rates | undefined
  readonly #queues = new Map<string, LocalQueue>()
  /** Tasks that wait or run. */
  readonly #known = new Set<string>()
  readonly #running = new Map<string, Running>()
  #serving: ServeOptions | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  #draining = false

  /** `now`: the clock of rate limits, ms. `rates`: who keeps them for all workers; without it, this one counts for itself. */
  constructor(now: () => number = () => performance.now(), rates?: Rates) {
    this.#now = now
    this.#rates = rates
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
      this.#queues.set(name, (queue = newQueue(limits)))
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
      this.#queues.set(name, newQueue(limits, this.#queues.get(name)?.waiting))
    }
    this.#pump()
    return Promise.resolve()
  }

  #pump(): void {
    const serving = this.#serving
    if (serving === undefined || this.#draining) return
    // One look at the clock: what was held a moment before its time, and is not a moment after it, would be waited for by nobody.
    const now = this.#now()
    for (const name of serving.queues.keys()) {
      const queue = this.#queue(name)
      for (;;) {
        const room = Math.min(queue.waiting.length, (queue.limits.concurrency ?? serving.concurrency) - queue.running)
        if (room <= 0 || this.#isHeld(name, queue, room, now)) break
        if (queue.limits.rate !== undefined) queue.left--
        this.#run(serving, queue, queue.waiting.shift() as Task)
      }
    }
    clearTimeout(this.#timer)
    const wake = this.#nextWake(now)
    if (wake < Number.POSITIVE_INFINITY) this.#timer = setTimeout(() => this.#pump(), Math.min(60_000, Math.max(1, Math.ceil(wake - now))))
  }

  /** The queue's rate limit is used up, or not known yet. Windows are fixed, as in BullMQ: one begins with the first start after the last one's end. */
  #isHeld(name: string, queue: LocalQueue, wanted: number, now: number): boolean {
    const { rate } = queue.limits
    if (rate === undefined) return false
    if (now >= queue.windowEnd) {
      queue.left = this.#rates === undefined ? rate.max : 0
      if (this.#rates === undefined) queue.windowEnd = queue.heldUntil = now + rate.perMs
    }
    if (queue.left > 0) return false
    if (this.#rates !== undefined && !queue.asking && now >= queue.heldUntil) void this.#ask(this.#rates, name, queue, wanted)
    return true
  }

  async #ask(rates: Rates, name: string, queue: LocalQueue, wanted: number): Promise<void> {
    const { rate } = queue.limits
    if (rate === undefined) return
    queue.asking = true
    const from = this.#now()
    try {
      const { starts, leftMs } = await rates.take(name, rate, wanted)
      queue.left = starts
      queue.windowEnd = from + leftMs
      queue.heldUntil = starts < wanted ? queue.windowEnd : from
    } catch {
      // Nothing starts that is not counted: the shard's own deadlines decide how long that may be.
      queue.heldUntil = this.#now() + retryMs
    }
    queue.asking = false
    this.#pump()
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
    return this.#nextWake(this.#now())
  }

  #nextWake(now: number): number {
    let next = Number.POSITIVE_INFINITY
    if (this.#serving !== undefined)
      for (const queue of this.#queues.values())
        if (queue.waiting.length > 0 && isUsedUp(queue, now)) next = Math.min(next, queue.heldUntil)
    return next
  }

  timeMoved(): void {
    this.#pump()
  }

  get pending(): number {
    const now = this.#now()
    let held = 0
    for (const queue of this.#queues.values()) if (isUsedUp(queue, now)) held += queue.waiting.length
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
    await this.#rates?.close()
  }
}
