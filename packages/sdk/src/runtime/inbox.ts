/** The messages of one run that this worker knows: in order, with what was read. Pure bookkeeping. */
import type { Message } from "../engine/engine.ts"

const none: ReadonlyArray<never> = []

export class Inbox {
  /** Messages consumed in all, as stored. */
  consumed: number
  /** Number of the newest known message. */
  last: number
  #messages: Array<Message> = []
  /** Made when something was read: most runs have no messages. */
  #read: Set<number> | undefined

  constructor(consumed: number, messages: ReadonlyArray<Message>, read?: ReadonlyArray<number>) {
    this.consumed = consumed
    this.last = consumed
    this.#read = read === undefined || read.length === 0 ? undefined : new Set(read)
    this.add(messages)
  }

  /** Adds messages that are not known yet; a gap (false) means that the store must be asked (W4). */
  add(messages: ReadonlyArray<Message>): boolean {
    for (const message of messages) {
      if (message.number <= this.last) continue
      if (message.number !== this.last + 1) return false
      this.#messages.push(message)
      this.last = message.number
    }
    return true
  }

  get(number: number): Message | undefined {
    return this.#messages[number - this.consumed - 1]
  }

  #isRead(number: number): boolean {
    return this.#read?.has(number) === true
  }

  get hasUnread(): boolean {
    return this.#messages.length > 0 && this.#messages.some((message) => !this.#isRead(message.number))
  }

  unread(): ReadonlyArray<Message> {
    return this.#messages.length === 0 ? none : this.#messages.filter((message) => !this.#isRead(message.number))
  }

  /** The next unread signal of a name; "": of any. */
  nextSignal(name: string): Message | undefined {
    return this.#messages.find(
      (message) => message.kind === "signal" && (name === "" || message.name === name) && !this.#isRead(message.number),
    )
  }

  markRead(number: number): void {
    this.#read ??= new Set()
    this.#read.add(number)
  }

  /** The handler that was to read it ended first. */
  markUnread(number: number): void {
    this.#read?.delete(number)
  }

  /** Messages that may be trimmed now: all up to the first unread one. Read ones beyond it are listed, to be remembered. */
  settle(): { readonly consumed: number; readonly read: ReadonlyArray<number> } {
    let consumed = this.consumed
    if (this.#read === undefined) return { consumed, read: none }
    while (this.#isRead(consumed + 1)) consumed++
    return { consumed, read: [...this.#read].filter((number) => number > consumed).sort((a, b) => a - b) }
  }

  /** After a commit that trimmed up to `consumed`. */
  trimTo(consumed: number): void {
    this.#messages = this.#messages.slice(consumed - this.consumed)
    this.consumed = consumed
    for (const number of this.#read ?? none) if (number <= consumed) this.#read?.delete(number)
  }
}
