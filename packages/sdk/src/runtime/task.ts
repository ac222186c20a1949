/** The task queue: where activities wait for a worker. It never holds the truth about a job: deadlines and retries are the shard's (T1). */

export interface Task {
  /** `<activity id>.<try>`: a known id is ignored (T2). No colon. */
  readonly id: string
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
}

export interface TaskControl {
  /** The try should stop: the worker goes away. */
  readonly abortSignal: AbortSignal
  heartbeat(details: unknown): void
}

/** Runs one task; resolves when its result is in the store. */
export type TaskHandler = (task: Task, control: TaskControl) => Promise<void>

export interface TaskQueue {
  /** Adds tasks; adding a known id again does nothing while it is pending. */
  add(task: Task): Promise<void>
  /** Begins to take tasks of these kinds. `onLost` is told of a task whose worker died, or whose result could not be written. */
  serve(kinds: ReadonlyArray<string>, concurrency: number, handler: TaskHandler, onLost: (task: Task) => void): Promise<void>
  /** Tasks that wait or run here, as far as this process knows. */
  readonly pending: number
  /** Takes nothing new, lets running tasks end until `deadline` ms passed, then aborts them. */
  drain(deadline: number): Promise<void>
}
