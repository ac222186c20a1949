import type { Worker } from "node:worker_threads"

/**
 * A thread that keeps the process alive while somebody waits for it, as a socket would, and never else: a program whose last act is to wait for
 * an answer of the thread, or for its end, must not end before.
 */
export class ThreadHold {
  readonly #worker: Worker
  #holding = 0

  constructor(worker: Worker) {
    this.#worker = worker
    worker.unref()
  }

  begin(): void {
    if (this.#holding++ === 0) this.#worker.ref()
  }

  end(): void {
    if (--this.#holding === 0) this.#worker.unref()
  }

  async during<Value>(wait: Promise<Value>): Promise<Value> {
    this.begin()
    try {
      return await wait
    } finally {
      this.end()
    }
  }
}
