import { setImmediate } from "node:timers"
import type { Hint, ShardEvent } from "../engine.ts"

/** What a write has to say, and on which channel. Other processes get it as JSON. */
export type Note = readonly [channel: string, value: unknown]
export type Listener = (value: unknown) => void

/** Names of channels. E5: a pool's name has no control characters, so that a line feed separates. */
export const hintChannel = (pool: string, shard: number): string => `${pool}\nh${shard}`
export const eventChannel = (pool: string, shard: number): string => `${pool}\ne${shard}`
export const textChannel = (pool: string, channel: string): string => `${pool}\nc${channel}`
export const mapChannel = (pool: string, map: string): string => `${pool}\nm${map}`
export const appendChannel = (pool: string, stream: string): string => `${pool}\ns${stream}`

export type ShardNote = Hint | ShardEvent

/** Listeners of one store in this process (E6). */
export class Bus {
  readonly #listeners = new Map<string, Set<Listener>>()

  get idle(): boolean {
    return this.#listeners.size === 0
  }

  has(channel: string): boolean {
    return this.#listeners.has(channel)
  }

  /** Returns what ends the subscription. The listener must not throw. */
  subscribe(channel: string, listener: Listener): () => void {
    // A wrapper of its own, so that one function subscribed twice is two subscriptions.
    const entry: Listener = (value) => listener(value)
    const set = this.#listeners.get(channel) ?? new Set()
    this.#listeners.set(channel, set.add(entry))
    return () => {
      if (set.delete(entry) && set.size === 0) this.#listeners.delete(channel)
    }
  }

  /** In a later turn: whoever publishes never runs a listener inside of its own call, and hints that answer hints cannot starve timers. */
  deliverSoon(notes: ReadonlyArray<Note>): void {
    if (notes.length > 0) setImmediate(() => this.deliver(notes))
  }

  deliver(notes: ReadonlyArray<Note>): void {
    for (const [channel, value] of notes) {
      for (const listener of this.#listeners.get(channel) ?? []) listener(value)
    }
  }

  clear(): void {
    this.#listeners.clear()
  }
}
