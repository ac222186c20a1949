import { AsyncLocalStorage } from "node:async_hooks"

/** Of one item of a batch that was sent: its call rejects. */
export class Refused {
  readonly error: unknown

  constructor(error: unknown) {
    this.error = error
  }
}

/** Calls under way at once, to each server: the next batch gathers and travels while the store works on the last one. */
export const callsMax = 4
/**
 * Items of a batch, which is sent as soon as it has them. A burst that went out as one would come back as one, and caller and store would take
 * turns instead of working side by side (measured: 39,000 and 50,000 commits a second, 120,000 and 178,000 starts).
 */
export const itemsMax = 200

/**
 * Coalesces items into batches, as a data loader does: those added in one event-loop turn travel together. While `maxInFlight` batches are
 * under way, items gather, so that batches grow with the load instead of the queue (measured: one call per item 100,000 a second and
 * Node process, batches of 50 and more 250,000 items a second).
 */
export class Gathering<Item> {
  readonly #send: (items: ReadonlyArray<Item>) => Promise<void>
  readonly #maxInFlight: number
  #items: Array<Item> = []
  #inFlight = 0
  #scheduled = false

  /** `send` never rejects. */
  constructor(send: (items: ReadonlyArray<Item>) => Promise<void>, maxInFlight = callsMax) {
    this.#send = send
    this.#maxInFlight = maxInFlight
  }

  add(item: Item): void {
    this.#items.push(item)
    if (this.#items.length >= itemsMax && this.#inFlight < this.#maxInFlight) this.#flush()
    else this.#schedule()
  }

  #schedule(): void {
    if (this.#scheduled || this.#inFlight >= this.#maxInFlight || this.#items.length === 0) return
    this.#scheduled = true
    setImmediate(this.#flush)
  }

  /** In the context of whoever made this, and not of the job that happens to add first. */
  readonly #flush = AsyncLocalStorage.bind((): void => {
    this.#scheduled = false
    while (this.#inFlight < this.#maxInFlight && this.#items.length > 0) {
      const items = this.#items.length <= itemsMax ? this.#items : this.#items.slice(0, itemsMax)
      this.#items = this.#items.slice(items.length)
      this.#inFlight++
      void this.#send(items).then(this.#answered)
    }
  })

  readonly #answered = (): void => {
    this.#inFlight--
    this.#schedule()
  }
}

interface Waiting<Item, Reply> {
  readonly item: Item
  readonly resolve: (reply: Reply) => void
  readonly reject: (error: unknown) => void
}

/** Coalesces single calls, each of which gets its own reply. */
export class Batcher<Item, Reply> {
  readonly #gathering: Gathering<Waiting<Item, Reply>>

  constructor(send: (items: ReadonlyArray<Item>) => Promise<ReadonlyArray<Reply | Refused>>, maxInFlight = callsMax) {
    const settle = (waiting: ReadonlyArray<Waiting<Item, Reply>>): Promise<void> =>
      send(waiting.map(({ item }) => item)).then(
        (replies) => {
          for (let i = 0; i < waiting.length; i++) {
            const reply = replies[i]
            if (reply instanceof Refused) waiting[i]?.reject(reply.error)
            else waiting[i]?.resolve(reply as Reply)
          }
        },
        (error: unknown) => {
          for (const { reject } of waiting) reject(error)
        },
      )
    this.#gathering = new Gathering(settle, maxInFlight)
  }

  add(item: Item): Promise<Reply> {
    return new Promise<Reply>((resolve, reject) => this.#gathering.add({ item, resolve, reject }))
  }
}
