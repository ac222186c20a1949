/**
 * A task queue that is opened when it is first used. Most workers neither schedule activities nor execute any, and BullMQ's modules and
 * connections are 4 to 5 MB of what a worker takes (`npm run bench -- pool`, `idleWorkerMb`).
 */
import type { ServeOptions, Task, TaskQueue, TaskRef } from "./task.ts"

export class LazyTaskQueue implements TaskQueue {
  /** It is BullMQ's. */
  readonly mayLose = true
  readonly #open: () => Promise<TaskQueue>
  #opening: Promise<TaskQueue> | undefined
  #opened: TaskQueue | undefined
  #drained = false

  constructor(open: () => Promise<TaskQueue>) {
    this.#open = open
  }

  #queue(): Promise<TaskQueue> {
    if (this.#drained) throw new Error("the activity queue of this worker is closed: the worker has drained")
    this.#opening ??= this.#open().then(
      (queue) => (this.#opened = queue),
      (error: unknown) => {
        // the next use tries again
        this.#opening = undefined
        throw error
      },
    )
    return this.#opening
  }

  get pending(): number {
    return this.#opened?.pending ?? 0
  }

  async add(task: Task): Promise<void> {
    const queue = await this.#queue()
    await queue.add(task)
  }

  cancel(task: TaskRef, reason: string): void {
    if (this.#drained) return
    // nothing depends on it
    this.#queue().then(
      (queue) => queue.cancel(task, reason),
      () => undefined,
    )
  }

  async serve(options: ServeOptions): Promise<void> {
    const queue = await this.#queue()
    await queue.serve(options)
  }

  get nextWake(): number {
    return this.#opened?.nextWake ?? Number.POSITIVE_INFINITY
  }

  timeMoved(): void {
    this.#opened?.timeMoved()
  }

  async drain(deadline: number): Promise<void> {
    this.#drained = true
    const queue = await this.#opening?.catch(() => undefined)
    await queue?.drain(deadline)
  }
}
