/**
 * The task queue on Redis: one BullMQ queue per kind (rate limits, priorities, existing dashboards). BullMQ never holds the truth about a job:
 * one attempt, no stalled retries, nothing kept, no return value (T2).
 */
import { Queue, Worker } from "bullmq"
import type { ConnectionOptions, Job } from "bullmq"
import type { Task, TaskHandler, TaskQueue } from "./task.ts"

export interface BullTaskQueueOptions {
  readonly url: string
  readonly pool: string
  readonly onError: (error: Error) => void
}

/** How long a try keeps its BullMQ lock without renewal, and how often lost ones are looked for, ms. */
const lockMs = 5_000
const stalledMs = 2_500

/** A connection of BullMQ's own, from the address of the store. */
const connectionOf = (url: string): ConnectionOptions => {
  const { hostname, port, username, password, pathname, protocol } = new URL(url)
  return {
    host: hostname,
    port: port === "" ? 6379 : Number(port),
    ...(username === "" ? {} : { username: decodeURIComponent(username) }),
    ...(password === "" ? {} : { password: decodeURIComponent(password) }),
    ...(pathname.length > 1 ? { db: Number(pathname.slice(1)) } : {}),
    ...(protocol === "rediss:" ? { tls: {} } : {}),
    maxRetriesPerRequest: null,
  }
}

export class BullTaskQueue implements TaskQueue {
  readonly #options: BullTaskQueueOptions
  readonly #queues = new Map<string, Queue<Task>>()
  readonly #workers: Array<Worker<Task>> = []
  readonly #abort = new AbortController()

  constructor(options: BullTaskQueueOptions) {
    this.#options = options
  }

  #prefix(kind: string): string {
    return `{ponos:${this.#options.pool}:${kind}}`
  }

  #queue(kind: string): Queue<Task> {
    let queue = this.#queues.get(kind)
    if (queue === undefined) {
      queue = new Queue<Task>(kind, {
        connection: connectionOf(this.#options.url),
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
        connection: connectionOf(this.#options.url),
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
  }
}
