/** The task queue of an embedded store: in this process, with the interface of the other one. A crash loses it: the shard's owner adds again (T2). */
import type { Task, TaskHandler, TaskQueue } from "./task.ts"

export class LocalTaskQueue implements TaskQueue {
  readonly #waiting: Array<Task> = []
  readonly #known = new Set<string>()
  readonly #kinds = new Set<string>()
  readonly #running = new Map<string, Promise<void>>()
  readonly #abort = new AbortController()
  #handler: TaskHandler | undefined
  #concurrency = 0
  #draining = false

  add(task: Task): Promise<void> {
    if (!this.#known.has(task.id) && !this.#draining) {
      this.#known.add(task.id)
      this.#waiting.push(task)
      this.#pump()
    }
    return Promise.resolve()
  }

  serve(kinds: ReadonlyArray<string>, concurrency: number, handler: TaskHandler): Promise<void> {
    for (const kind of kinds) this.#kinds.add(kind)
    this.#concurrency = concurrency
    this.#handler = handler
    this.#pump()
    return Promise.resolve()
  }

  #pump(): void {
    const handler = this.#handler
    if (handler === undefined || this.#draining) return
    while (this.#running.size < this.#concurrency) {
      const index = this.#waiting.findIndex((task) => this.#kinds.has(task.kind))
      if (index < 0) return
      const task = this.#waiting.splice(index, 1)[0]
      if (task === undefined) return
      const done = handler(task, { abortSignal: this.#abort.signal, heartbeat: () => undefined })
        // a result that could not be written: the shard's deadline, or its next owner, runs the try again
        .catch(() => undefined)
        .finally(() => {
          this.#running.delete(task.id)
          this.#known.delete(task.id)
          this.#pump()
        })
      this.#running.set(task.id, done)
    }
  }

  get pending(): number {
    return this.#known.size
  }

  async drain(deadline: number): Promise<void> {
    this.#draining = true
    const timer = setTimeout(
      () => this.#abort.abort(new Error("the worker is going away: this try was stopped and runs again elsewhere")),
      deadline,
    )
    await Promise.allSettled(this.#running.values())
    clearTimeout(timer)
  }
}
