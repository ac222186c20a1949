/** Of one item of a batch that was sent: its call rejects. */
export class Refused {
  readonly error: unknown

  constructor(error: unknown) {
    this.error = error
  }
}

/**
 * Coalesces single calls into batches, as a data loader does: the items added in one event-loop turn travel together. While `maxInFlight`
 * batches are under way, items gather, so that batches grow with the load instead of the queue (measured: one call per item 100,000
 * a second and Node process, batches of 50 and more 250,000 items a second).
 */
export class Batcher<Item, Reply> {
  readonly #send: (items: ReadonlyArray<Item>) => Promise<ReadonlyArray<Reply | Refused>>
  readonly #maxInFlight: number
  #items: Array<Item> = []
  #waiters: Array<{ readonly resolve: (reply: Reply) => void; readonly reject: (error: unknown) => void }> = []
  #inFlight = 0
  #scheduled = false

  constructor(send: (items: ReadonlyArray<Item>) => Promise<ReadonlyArray<Reply | Refused>>, maxInFlight = 2) {
    this.#send = send
    this.#maxInFlight = maxInFlight
  }

  add(item: Item): Promise<Reply> {
    return new Promise<Reply>((resolve, reject) => {
      this.#items.push(item)
      this.#waiters.push({ resolve, reject })
      this.#schedule()
    })
  }

  #schedule(): void {
    if (this.#scheduled || this.#inFlight >= this.#maxInFlight || this.#items.length === 0) return
    this.#scheduled = true
    setImmediate(this.#flush)
  }

  readonly #flush = (): void => {
    this.#scheduled = false
    const items = this.#items
    const waiters = this.#waiters
    if (items.length === 0) return
    this.#items = []
    this.#waiters = []
    this.#inFlight++
    this.#send(items).then(
      (replies) => {
        this.#inFlight--
        for (let i = 0; i < waiters.length; i++) {
          const reply = replies[i]
          if (reply instanceof Refused) waiters[i]?.reject(reply.error)
          else waiters[i]?.resolve(reply as Reply)
        }
        this.#schedule()
      },
      (error: unknown) => {
        this.#inFlight--
        for (const waiter of waiters) waiter.reject(error)
        this.#schedule()
      },
    )
  }
}
