/** The task queue: where activities wait for a worker. It never holds the truth about a job: deadlines and retries are the shard's (T1). */
import type { QueueLimits } from "./activity-limits.ts"
import type { Headers } from "./interceptors.ts"

export interface Task {
  /** `<activity id>.<try>`: a known id is ignored (T2). No colon. */
  readonly id: string
  readonly queue: string
  /** Smaller ones first. */
  readonly priority: number
  readonly kind: string
  readonly name: string
  readonly shard: number
  readonly address: string
  readonly key: string
  readonly run: string
  /** Id of the activity: the same for all tries. */
  readonly activity: string
  readonly try: number
  /** Fence of the attempt that scheduled it, decimal. */
  readonly fence: string
  /** Encoded input. */
  readonly input: unknown
  /** Start to close, ms. */
  readonly timeout: number
  /** Longest silence between two heartbeats, ms. */
  readonly heartbeatTimeout?: number
  /** Encoded details of the last heartbeat of the tries before. */
  readonly last?: unknown
  /** What the client's interceptors gave to the run. */
  readonly headers?: Headers
}

/** Where a try is, for whoever wants it stopped. */
export type TaskRef = Pick<Task, "id" | "queue">

/** What is told of a try while it runs. Volatile: told again every few seconds, and complete each time. */
export interface Beat {
  readonly id: string
  readonly queue: string
  readonly run: string
  readonly address: string
  /** Host and process id of the worker. */
  readonly worker: string
  /** Since the start of the try, ms. */
  readonly elapsed: number
  /** Since its last heartbeat, ms; absent: there was none. */
  readonly age?: number
  /** Encoded details of that heartbeat. */
  readonly details?: unknown
}

export interface TaskControl {
  /** The try should stop: the worker goes away, or the try counts no more. */
  readonly abortSignal: AbortSignal
}

/** Runs one task; resolves when its result is in the store. */
export type TaskHandler = (task: Task, control: TaskControl) => Promise<void>

export interface ServeOptions {
  readonly queues: ReadonlyMap<string, QueueLimits>
  /** Tries of one queue at the same time, where the queue does not say. */
  readonly concurrency: number
  readonly handler: TaskHandler
  /** Told of a task whose worker died, or whose result could not be written. */
  readonly onLost: (task: Task) => void
}

export interface TaskQueue {
  /** Adds tasks; adding a known id again does nothing while it is pending. */
  add(task: Task): Promise<void>
  /** What was added may be lost without a word, with a primary that was replaced before it had copied it: who waits for it adds it again. */
  readonly mayLose: boolean
  /** The try counts no more: it leaves the queue if it waits there; where it runs, its signal fires. Volatile: nothing depends on it. */
  cancel(task: TaskRef, reason: string): void
  /** Begins to take tasks of these queues. */
  serve(options: ServeOptions): Promise<void>
  /** Tasks that wait or run here, as far as this process knows; those that a rate limit holds back are not counted. */
  readonly pending: number
  /** When a rate limit lets the next task go, on the queue's clock; infinity: none waits. */
  readonly nextWake: number
  /** A test moved the clock. */
  timeMoved(): void
  /** Takes nothing new, lets running tasks end until `deadline` ms passed, then aborts them. */
  drain(deadline: number): Promise<void>
}
