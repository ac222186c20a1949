/** Sharded channels of one link (E6, W2): who listens, and what their texts mean. */
import type { Hint, ShardEvent, Unsubscribe } from "../engine.ts"
import type { Connection } from "./connection.ts"
import type { Link } from "./link.ts"
import { parseMessage } from "./record.ts"

type Listener = (text: string) => void
/** Channels in one SSUBSCRIBE when they are restored (B2). */
const restoreBatch = 200
const restoreTimeout = 2500

/** Text by which a listener learns that hints may have been lost with the connection. */
const gap = "r\t0"

export class Bus {
  readonly #link: Link
  readonly #listeners = new Map<string, Set<Listener>>()
  /** Channels whose listeners want to know of a gap. */
  readonly #pulling = new Set<string>()

  constructor(link: Link) {
    this.#link = link
    if (link.connection) this.#listen(link.connection)
    link.onConnected((connection) => this.#restore(connection))
  }

  async subscribe(channel: string, listener: Listener, options: { readonly pulls?: boolean } = {}): Promise<Unsubscribe> {
    // A listener of its own even when the same function comes twice.
    const own: Listener = (text) => listener(text)
    const present = this.#listeners.get(channel)
    if (present) present.add(own)
    else this.#listeners.set(channel, new Set([own]))
    if (options.pulls) this.#pulling.add(channel)
    // Also for a channel that has listeners: the answer proves that the first one's subscription stands.
    await this.#link.command("ssubscribe", [channel]).catch(async (error: unknown) => {
      await this.#unsubscribe(channel, own)
      throw error
    })
    return () => this.#unsubscribe(channel, own)
  }

  async publish(channel: string, text: string): Promise<void> {
    await this.#link.command("spublish", [channel, text])
  }

  async #unsubscribe(channel: string, listener: Listener): Promise<void> {
    const present = this.#listeners.get(channel)
    if (!present?.delete(listener) || present.size > 0) return
    this.#listeners.delete(channel)
    this.#pulling.delete(channel)
    // Without a connection there is nothing to undo: only channels with listeners are restored.
    await this.#link.connection?.command("sunsubscribe", [channel], restoreTimeout).catch(() => {})
  }

  #listen(connection: Connection): void {
    connection.onMessage((channel, text) => {
      for (const listener of this.#listeners.get(channel) ?? []) listener(text)
    })
  }

  async #restore(connection: Connection): Promise<void> {
    this.#listen(connection)
    const channels = [...this.#listeners.keys()]
    const size = connection.info.cluster ? 1 : restoreBatch
    const calls: Promise<unknown>[] = []
    for (let at = 0; at < channels.length; at += size)
      calls.push(connection.command("ssubscribe", channels.slice(at, at + size), restoreTimeout))
    await Promise.all(calls)
    // W7: on every subscription the owner pulls.
    queueMicrotask(() => {
      for (const channel of this.#pulling) for (const listener of this.#listeners.get(channel) ?? []) listener(gap)
    })
  }
}

export function parseHint(shard: number, text: string): Hint | undefined {
  const [type, first = "", second = "", third = ""] = text.split("\t", 4)
  if (type === "r") return { type: "ready", shard, epoch: Number(first) }
  if (type === "l") return { type: "released", shard, epoch: Number(first) }
  if (type === "t") return { type: "terminated", shard, address: first, run: second }
  if (type !== "m") return undefined
  const message = parseMessage(Number(third), text.slice(2 + first.length + 1 + second.length + 1 + third.length + 1))
  return { type: "message", shard, address: first, run: second, message }
}

/** One text carries all that ended and was answered with one group. */
export function parseEvents(shard: number, text: string): ReadonlyArray<ShardEvent> {
  return text.split("\n").flatMap((line): ReadonlyArray<ShardEvent> => {
    const [type, first = "", second = ""] = line.split("\t", 3)
    if (type === "e") return [{ type: "ended", shard, address: first, run: second }]
    return type === "a" ? [{ type: "answered", shard, id: first }] : []
  })
}
