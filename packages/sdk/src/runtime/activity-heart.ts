/**
 * The heart of one try: tells its owner over the bus that it began, that it still runs, and its heartbeats, throttled; and notices when user
 * code gives none. Nothing of it is written to the store: the last details travel with the next try.
 */
import { PayloadTooLarge } from "../errors.ts"
import { aliveMs } from "./activity-deadline.ts"
import type { Beat, Task } from "./task.ts"
import { encodeValue } from "./value.ts"

/** Limit of the details of a heartbeat, in bytes of their JSON: they travel with each message about the try. */
export const heartbeatBytes = 16_384
/** Heartbeats closer than this travel together, ms; a short `heartbeatTimeout` makes it shorter. */
const throttleMs = 1_000
/** Most tries end before: those need not tell that they began. One with a `heartbeatTimeout` tells at once, so that its silence is noticed. */
const firstMs = 100

export interface HeartOptions {
  readonly task: Task
  readonly worker: string
  readonly send: (beat: Beat) => void
  /** No heartbeat came within the task's `heartbeatTimeout`. */
  readonly onSilent: () => void
}

export class Heart {
  readonly #options: HeartOptions
  readonly #began = performance.now()
  readonly #gap: number
  readonly #alive: ReturnType<typeof setInterval>
  #silence: ReturnType<typeof setTimeout> | undefined
  #trailing: ReturnType<typeof setTimeout> | undefined
  #beatAt: number | undefined
  #sentAt = Number.NEGATIVE_INFINITY
  #details: unknown
  #stopped = false

  constructor(options: HeartOptions) {
    this.#options = options
    const { heartbeatTimeout } = options.task
    this.#gap = Math.min(throttleMs, (heartbeatTimeout ?? Number.POSITIVE_INFINITY) / 4)
    const every = Math.max(20, Math.min(aliveMs, (heartbeatTimeout ?? Number.POSITIVE_INFINITY) / 3))
    this.#alive = setInterval(() => this.#send(), every)
    if (heartbeatTimeout === undefined) this.#trailing = setTimeout(() => this.#send(), firstMs)
    else {
      this.#send()
      this.#listen(heartbeatTimeout)
    }
  }

  /** Since the start of the try, ms. */
  get elapsed(): number {
    return Math.round(performance.now() - this.#began)
  }

  /** Encoded details of the last heartbeat; `undefined`: there was none with details. */
  get details(): unknown {
    return this.#details
  }

  /** User code lives. Throws when the details are no plain data, or too large. */
  beat(details: unknown): void {
    if (this.#stopped) return
    const what = `the heartbeat of activity ${this.#options.task.name}`
    const encoded = details === undefined ? undefined : encodeValue(details, what)
    const bytes = encoded === undefined ? 0 : Buffer.byteLength(JSON.stringify(encoded))
    if (bytes > heartbeatBytes)
      throw new PayloadTooLarge(`expected ${what} to have at most ${heartbeatBytes} bytes, got ${bytes}. Keep large progress elsewhere.`, {
        limit: heartbeatBytes,
        bytes,
      })
    if (encoded !== undefined) this.#details = encoded
    this.#beatAt = performance.now()
    const wait = this.#sentAt + this.#gap - this.#beatAt
    if (wait <= 0) this.#send()
    else this.#trailing ??= setTimeout(() => this.#send(), wait)
  }

  stop(): void {
    this.#stopped = true
    clearInterval(this.#alive)
    clearTimeout(this.#silence)
    clearTimeout(this.#trailing)
  }

  #listen(timeout: number): void {
    const left = (this.#beatAt ?? this.#began) + timeout - performance.now()
    if (left <= 0) this.#options.onSilent()
    else this.#silence = setTimeout(() => this.#listen(timeout), Math.ceil(left))
  }

  #send(): void {
    clearTimeout(this.#trailing)
    this.#trailing = undefined
    this.#sentAt = performance.now()
    const { task, worker, send } = this.#options
    const { id, queue, run, address } = task
    send({
      id,
      queue,
      run,
      address,
      worker,
      elapsed: this.elapsed,
      ...(this.#beatAt === undefined ? {} : { age: Math.round(this.#sentAt - this.#beatAt) }),
      ...(this.#details === undefined ? {} : { details: this.#details }),
    })
  }
}
