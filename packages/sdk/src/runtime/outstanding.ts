import type { Message } from "../engine/engine.ts"
import type { Waiting } from "./body.ts"
import type { Entry } from "./journal.ts"
import type { PendingActivity } from "./pending-activity.ts"
import type { Beat } from "./task.ts"

/** A durable call that was made and has not settled. */
export interface Outstanding {
  /** Settles the call with a recorded entry, or with a live one that was not settled by hand. */
  settle(entry: Entry): void
  reject(error: unknown): void
  /** A cancel rejects it (sleeps, receives, activities). */
  readonly cancellable: boolean
  /** Of a step: it waits for its next try. */
  pausing?(): boolean
  /** What it waits for, of a call that can be waited for without its handler in memory. */
  wakes?(): Waiting | undefined
  /** It does something, although a cancel may reject it. */
  busy?(): boolean
  /** Takes a message that is for this call; true if it did. */
  offer?(message: Message): boolean
  /** The attempt ended: clear timers. */
  stop?(): void
  /** Nobody will want its result: what runs elsewhere for it should stop. */
  abandon?(reason: string): void
  /** A try was heard of; true if it is this call's. */
  hear?(beat: Beat): boolean
  /** Of an activity: how it is. */
  pending?(): PendingActivity | undefined
}

/**
 * The outstanding calls of an attempt, by their numbers, which grow: mostly none or one. A `Map` makes its table anew when its only entry goes, and
 * again when the next one comes: half a microsecond of a step (Node 26.10).
 */
export class OutstandingCalls {
  #indexes: Array<number> = none
  #calls: Array<Outstanding> = none

  get size(): number {
    return this.#calls.length
  }

  add(index: number, call: Outstanding): void {
    if (this.#calls === none) {
      this.#indexes = [index]
      this.#calls = [call]
      return
    }
    this.#indexes.push(index)
    this.#calls.push(call)
  }

  get(index: number): Outstanding | undefined {
    return this.#calls[this.#find(index)]
  }

  delete(index: number): void {
    const at = this.#find(index)
    if (at === -1) return
    if (at === this.#calls.length - 1) {
      this.#indexes.pop()
      this.#calls.pop()
      return
    }
    this.#indexes.splice(at, 1)
    this.#calls.splice(at, 1)
  }

  /** Place of the number, -1 without it. */
  #find(index: number): number {
    const indexes = this.#indexes
    let low = 0
    let high = indexes.length - 1
    while (low <= high) {
      const middle = (low + high) >> 1
      const found = indexes[middle] as number
      if (found === index) return middle
      if (found < index) low = middle + 1
      else high = middle - 1
    }
    return -1
  }

  /** In the order in which they were made; what one of them adds or settles meanwhile is not seen. */
  all(): ReadonlyArray<Outstanding> {
    return [...this.#calls]
  }

  /** The same, with their numbers. */
  entries(): ReadonlyArray<readonly [index: number, call: Outstanding]> {
    return this.#calls.map((call, at) => [this.#indexes[at] as number, call])
  }

  /** Empties it, and gives what was in it. */
  clear(): ReadonlyArray<Outstanding> {
    const calls = this.#calls
    this.#indexes = none
    this.#calls = none
    return calls
  }
}

/** Never changed: a list that begins empty makes room for seventeen when it gets its first, one that begins with it for one. */
const none: Array<never> = []
