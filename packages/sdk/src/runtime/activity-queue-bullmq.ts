/**
 * The task queue on Redis: one BullMQ queue per kind (rate limits, priorities, existing dashboards). BullMQ never holds the truth about a job:
 * one attempt, no stalled retries, nothing kept, no return value (T2).
 */
import { Queue, Worker } from "bullmq"
import type { Job } from "bullmq"
import { queueConnection, type QueueConnection } from "../engine/redis/queue-connection.ts"
import type { Task, TaskHandler, TaskQueue } from "./task.ts"

export interface BullTaskQueueOptions {
  readonly url: string
  /** The store is a Redis Cluster: each queue is in one slot. */
  readonly cluster: boolean
  readonly pool: string
  readonly onError: (error: Error) => void
}

/** How long a try keeps its BullMQ lock without renewal, and how often lost ones are looked for, ms. */
const lockMs = 5_000
const stalledMs = 2_500

export class BullTaskQueue implements TaskQueue {
  readonly #options: BullTaskQueueOptions
  readonly #store: QueueConnection
  readonly #queues = new Map<string, Queue<Task>>()
  readonly #workers: Array<Worker<Task>> = []
  readonly #abort = new AbortController()

  private constructor(options: BullTaskQueueOptions, store: QueueConnection) {
    this.#options = options
    this.#store = store
  }

  static async open(options: BullTaskQueueOptions): Promise<BullTaskQueue> {
    return new BullTaskQueue(options, await queueConnection(options.url, options.cluster))
  }

  #prefix(kind: string): string {
    return `{ponos:${this.#options.pool}:${kind}}`
  }

  #queue(kind: string): Queue<Task> {
    let queue = this.#queues.get(kind)
    if (queue === undefined) {
      queue = new Queue<Task>(kind, {
        connection: this.#store.connection,
        prefix: this.#prefix(kind),
        defaultJobOptions: { attempts: 1, removeOnComplete: true, removeOnFail: true },
      })
      queue.on("error", this.#options.onError)
      this.#queues.set(kind, queue)
    }
    return queue
  }

  /** The queue is shared: what waits there is not this process's to know. */
  readonly pending = 0

  async add(task: Task): Promise<void> {
    await this.#queue(task.kind).add(task.name, task, { jobId: task.id })
  }

  async serve(kinds: ReadonlyArray<string>, concurrency: number, handler: TaskHandler, onLost: (task: Task) => void): Promise<void> {
    const process = async (job: Job<Task>): Promise<void> => {
      await handler(job.data, {
        abortSignal: this.#abort.signal,
        heartbeat: (details) => void job.updateProgress(JSON.parse(JSON.stringify(details ?? {})) as object).catch(this.#options.onError),
      })
    }
    for (const kind of kinds) {
      const worker = new Worker<Task>(kind, process, {
        connection: this.#store.connection,
        prefix: this.#prefix(kind),
        concurrency,
        maxStalledCount: 0,
        // a try whose worker died is seen within lockMs + stalledMs, instead of BullMQ's 60 s, and its owner is told
        lockDuration: lockMs,
        stalledInterval: stalledMs,
      })
      worker.on("error", this.#options.onError)
      worker.on("failed", (job) => job !== undefined && onLost(job.data))
      this.#workers.push(worker)
    }
    await Promise.all(this.#workers.map((worker) => worker.waitUntilReady()))
  }

  async drain(deadline: number): Promise<void> {
    const timer = setTimeout(
      () => this.#abort.abort(new Error("the worker is going away: this try was stopped and runs again elsewhere")),
      deadline,
    )
    await Promise.allSettled(this.#workers.map((worker) => worker.close()))
    clearTimeout(timer)
    await Promise.allSettled([...this.#queues.values()].map((queue) => queue.close()))
    this.#store.close()
  }
}
