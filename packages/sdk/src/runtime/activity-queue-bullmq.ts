/**
 * The task queue on Redis: BullMQ queues, one per job or group of its activities (rate limits, priorities, existing dashboards). BullMQ never
 * holds the truth about a job: one attempt, no stalled retries, nothing kept, no return value (T2).
 */
import { Queue, Worker } from "bullmq"
import type { Job } from "bullmq"
import { queueConnection, type QueueConnection } from "../engine/redis/queue-connection.ts"
import { ShortLivedMap, ShortLivedSet } from "../engine/short-lived.ts"
import { Cancelled } from "../errors.ts"
import { settlesWithin } from "../pool/loop.ts"
import { leaving } from "./activity-leaving.ts"
import type { QueueLimits } from "./activity-limits.ts"
import { Watchdog } from "./activity-watchdog.ts"
import type { ServeOptions, Task, TaskQueue, TaskRef } from "./task.ts"

/** The store's bus: what is published may be lost. */
export interface Bus {
  publish(channel: string, text: string): Promise<void>
  subscribe(channel: string, listener: (text: string) => void): Promise<() => Promise<void>>
}

export interface BullTaskQueueOptions {
  readonly url: string
  /** The store is a Redis Cluster: each queue is in one slot. */
  readonly cluster: boolean
  readonly pool: string
  readonly bus: Bus
  readonly onError: (error: Error) => void
  /**
   * Deadline of one call of the store, ms. So long is waited for consumers to be ready, and when the worker leaves for the results of tries that it
   * has aborted and for its consumers to end: BullMQ itself would wait for ever.
   */
  readonly callTimeoutMs: number
  /** Of tests: how often consumers are looked after, ms, and how they are made. */
  readonly watchMs?: number
  readonly newWorker?: (...args: ConstructorParameters<typeof Worker<Task>>) => Worker<Task>
}

interface Served extends Pick<ServeOptions, "handler" | "onLost"> {
  readonly name: string
  readonly rate: QueueLimits["rate"]
  readonly concurrency: number
}

/** How long a try keeps its BullMQ lock without renewal, and how often lost ones are looked for, ms. */
const lockMs = 5_000
const stalledMs = 2_500
/** Between two looks at whether a consumer takes what waits: two of them are far below a `startTimeout`, and one call each. */
const watchMs = 5_000

/** Where those who run tries of a queue hear that one counts no more. */
const cancelChannel = (queue: string): string => `cancels:${queue}`

export class BullTaskQueue implements TaskQueue {
  readonly #options: BullTaskQueueOptions
  readonly #store: QueueConnection
  readonly #queues = new Map<string, Queue<Task>>()
  readonly #workers = new Set<Worker<Task>>()
  readonly #watchdogs = new Set<Watchdog>()
  readonly #running = new ShortLivedMap<string, AbortController>()
  readonly #tries = new ShortLivedSet<Promise<void>>()
  readonly #subscriptions: Array<() => Promise<void>> = []

  private constructor(options: BullTaskQueueOptions, store: QueueConnection) {
    this.#options = options
    this.#store = store
  }

  static async open(options: BullTaskQueueOptions): Promise<BullTaskQueue> {
    return new BullTaskQueue(options, await queueConnection(options.url, options.cluster))
  }

  #prefix(queue: string): string {
    return `{ponos:${this.#options.pool}:${queue}}`
  }

  #queue(name: string): Queue<Task> {
    let queue = this.#queues.get(name)
    if (queue === undefined) {
      queue = new Queue<Task>(name, {
        connection: this.#store.connection,
        prefix: this.#prefix(name),
        defaultJobOptions: { attempts: 1, removeOnComplete: true, removeOnFail: true },
      })
      queue.on("error", this.#options.onError)
      this.#queues.set(name, queue)
    }
    return queue
  }

  readonly mayLose = true
  /** The queue is shared: what waits there is not this process's to know. */
  readonly pending = 0
  /** BullMQ keeps the time of its rate limits. */
  readonly nextWake = Number.POSITIVE_INFINITY
  timeMoved(): void {}

  async add(task: Task): Promise<void> {
    await this.#queue(task.queue).add(task.name, task, { jobId: task.id, priority: task.priority })
  }

  cancel({ id, queue }: TaskRef, reason: string): void {
    this.#options.bus.publish(cancelChannel(queue), JSON.stringify({ id, reason })).catch(() => undefined)
    // one that runs is locked, and stays until its result is written
    this.#queue(queue)
      .remove(id)
      .catch(() => undefined)
  }

  async serve({ queues, concurrency, handler, onLost }: ServeOptions): Promise<void> {
    for (const [name, limits] of queues) {
      this.#consume({ name, rate: limits.rate, concurrency: limits.concurrency ?? concurrency, handler, onLost })
      this.#subscriptions.push(await this.#options.bus.subscribe(cancelChannel(name), (text) => this.#onCancel(text)))
    }
    const { callTimeoutMs, onError } = this.#options
    const ready = Promise.all(Array.from(this.#workers, (worker) => worker.waitUntilReady()))
    if (!(await settlesWithin(ready, callTimeoutMs)))
      return onError(
        new Error(`the consumers could not reach Redis within ${callTimeoutMs} ms: they go on trying, and take nothing until then`),
      )
    await ready
  }

  #consume(served: Served): void {
    const tally = { taken: 0, running: 0 }
    const worker = this.#worker(served, tally)
    this.#workers.add(worker)
    const { name, concurrency, rate } = served
    const watchdog = new Watchdog(
      {
        concurrency,
        look: async () => {
          const queue = this.#queue(name)
          const next = await queue.getRanges(["wait", "prioritized"], 0, 0, true)
          const held = next.length > 0 && rate !== undefined && (await queue.getRateLimitTtl(rate.max)) > 0
          return { ...tally, next, held }
        },
        replace: () => {
          this.#options.onError(
            new Error(`the consumer of queue ${name} took nothing while tasks waited and it had room: it was replaced by another one`),
          )
          watchdog.stop()
          this.#watchdogs.delete(watchdog)
          this.#workers.delete(worker)
          // what it runs may end; where its connection hangs, closing may never end
          worker.close().catch(() => undefined)
          this.#consume(served)
        },
      },
      this.#options.watchMs ?? watchMs,
    )
    this.#watchdogs.add(watchdog)
  }

  #worker({ name, concurrency, rate, handler, onLost }: Served, tally: { taken: number; running: number }): Worker<Task> {
    const run = async (job: Job<Task>): Promise<void> => {
      const abort = new AbortController()
      tally.taken++
      tally.running++
      this.#running.set(job.data.id, abort)
      try {
        await handler(job.data, { abortSignal: abort.signal })
      } finally {
        tally.running--
        this.#running.delete(job.data.id)
      }
    }
    const process = async (job: Job<Task>): Promise<void> => {
      const tried = run(job)
      this.#tries.add(tried)
      try {
        await tried
      } finally {
        this.#tries.delete(tried)
      }
    }
    const { newWorker = (...args) => new Worker<Task>(...args) } = this.#options
    const worker = newWorker(name, process, {
      connection: this.#store.connection,
      prefix: this.#prefix(name),
      concurrency,
      ...(rate === undefined ? {} : { limiter: { max: rate.max, duration: rate.perMs } }),
      maxStalledCount: 0,
      // a try whose worker died is seen within lockMs + stalledMs, instead of BullMQ's 60 s, and its owner is told
      lockDuration: lockMs,
      stalledInterval: stalledMs,
    })
    worker.on("error", this.#options.onError)
    worker.on("failed", (job) => job !== undefined && onLost(job.data))
    return worker
  }

  #onCancel(text: string): void {
    const { id, reason } = JSON.parse(text) as { id: string; reason: string }
    this.#running.get(id)?.abort(new Cancelled(reason))
  }

  /** Ends within `deadline` and twice `callTimeoutMs`, also when Redis says nothing. */
  async drain(deadline: number): Promise<void> {
    const { callTimeoutMs, onError } = this.#options
    const timer = setTimeout(() => {
      for (const abort of this.#running.values()) abort.abort(leaving())
    }, deadline)
    for (const watchdog of this.#watchdogs) watchdog.stop()
    const closing = Promise.allSettled(Array.from(this.#workers, (worker) => worker.close()))
    // while something runs; after that nothing but goodbyes is waited for
    await settlesWithin(Promise.race([closing, this.#idle()]), deadline)
    const ended = await settlesWithin(closing, callTimeoutMs)
    clearTimeout(timer)
    if (!ended)
      onError(
        new Error(
          `the consumers did not end within ${deadline + callTimeoutMs} ms, or ${callTimeoutMs} ms after their last try: their connections are cut, and tries that ran count as lost`,
        ),
      )
    const rest = [
      ...this.#subscriptions.splice(0).map((unsubscribe) => unsubscribe()),
      ...[...this.#queues.values()].map((queue) => queue.close()),
    ]
    await settlesWithin(Promise.allSettled(rest), callTimeoutMs)
    this.#store.close()
  }

  /** When no try runs any more. */
  async #idle(): Promise<void> {
    while (this.#tries.items.size > 0) await Promise.allSettled(this.#tries.items)
  }
}
