/**
 * Updates that were applied and answered inside an iteration. A run that ends badly leaves the state with which its iteration began, for what the
 * handler made of it was never whole, and these applied to it: they were answered, and are not the handler's to lose (J4).
 */
import type { Message } from "../engine/engine.ts"
import type { Inbox } from "./inbox.ts"
import type { Entry } from "./journal.ts"

export class KeptUpdates {
  /** Made with the first one: most iterations have none. */
  #messages: Map<number, Message> | undefined

  keep(message: Message): void {
    this.#messages ??= new Map()
    this.#messages.set(message.number, message)
  }

  /** Those of an earlier attempt. A failure that was taken back takes none of them along. */
  recall(entries: ReadonlyArray<Entry>, inbox: Inbox): void {
    for (const entry of entries) {
      const message = entry.t === "update" && entry.no !== true ? inbox.get(entry.m) : undefined
      if (message !== undefined) this.keep(message)
    }
  }

  get any(): boolean {
    return this.#messages !== undefined
  }

  /** In the order in which they came. */
  inOrder(): ReadonlyArray<Message> {
    return [...(this.#messages ?? [])].toSorted(([a], [b]) => a - b).map(([, message]) => message)
  }
}
