/** Sharded channels (E6, W2): who listens, and what their texts mean. Each is subscribed to at the server that has its slot. */
import type { Hint, ShardEvent, Unsubscribe } from "../engine.ts"
import type { Connection } from "./connection.ts"
import { isPassing } from "./faults.ts"
import type { Link } from "./link.ts"
import { parseMessage } from "./record.ts"
import type { Servers } from "./servers.ts"

type Listener = (text: string) => void
/** Channels in one SSUBSCRIBE when they are restored (B2). */
const restoreBatch = 200
const restoreTimeout = 2500
/** Channels whose slots moved are subscribed to together, and again while a server does not take them. */
const followMs = 50

/** Text by which a listener learns that hints may have been lost with the connection. */
const gap = "r\t0"

export class Bus {
  readonly #servers: Servers
  readonly #listeners = new Map<string, Set<Listener>>()
  /** Channels whose listeners want to know of a gap. */
  readonly #pulling = new Set<string>()
  /** Those that were subscribed to at some time: before it nothing could be lost. */
  readonly #begun = new Set<string>()
  /** On a cluster: where a channel is subscribed to. */
  readonly #at = new Map<string, Link>()
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(servers: Servers) {
    this.#servers = servers
    servers.onLink((link) => {
      if (link.connection) this.#listen(link, link.connection)
      link.onConnected((connection) => this.#restore(link, connection))
    })
    servers.onMoved(() => this.#followSoon())
  }

  async subscribe(channel: string, listener: Listener, options: { readonly pulls?: boolean } = {}): Promise<Unsubscribe> {
    // A listener of its own even when the same function comes twice.
    const own: Listener = (text) => listener(text)
    const present = this.#listeners.get(channel)
    if (present) present.add(own)
    else this.#listeners.set(channel, new Set([own]))
    if (options.pulls) this.#pulling.add(channel)
    // Also for a channel that has listeners: the answer proves that the first one's subscription stands.
    await this.#subscribe(channel).catch(async (error: unknown) => {
      await this.#unsubscribe(channel, own)
      throw error
    })
    return () => this.#unsubscribe(channel, own)
  }

  async publish(channel: string, text: string): Promise<void> {
    await this.#servers.command("spublish", [channel, text])
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
  }

  async #subscribe(channel: string): Promise<void> {
    await this.#servers.command("ssubscribe", [channel])
    if (this.#listeners.has(channel)) this.#stands(channel, this.#servers.linkOf(channel))
  }

  #stands(channel: string, link: Link | undefined): void {
    this.#begun.add(channel)
    if (this.#servers.cluster && link) this.#at.set(channel, link)
  }

  async #unsubscribe(channel: string, listener: Listener): Promise<void> {
    const present = this.#listeners.get(channel)
    if (!present?.delete(listener) || present.size > 0) return
    this.#listeners.delete(channel)
    this.#pulling.delete(channel)
    this.#begun.delete(channel)
    const link = this.#at.get(channel) ?? this.#servers.linkOf(channel)
    this.#at.delete(channel)
    // Without a connection there is nothing to undo: only channels with listeners are restored.
    await link?.connection?.command("sunsubscribe", [channel], restoreTimeout).catch(() => {})
  }

  #listen(link: Link, connection: Connection): void {
    connection.onMessage((channel, text) => {
      for (const listener of this.#listeners.get(channel) ?? []) listener(text)
    })
    // Which of them it was, is not told.
    connection.onMoved(() => {
      for (const [channel, at] of this.#at) if (at === link) this.#at.delete(channel)
      this.#servers.refresh()
      this.#followSoon()
    })
  }

  async #restore(link: Link, connection: Connection): Promise<void> {
    this.#listen(link, connection)
    const { cluster } = this.#servers
    const channels = [...this.#listeners.keys()].filter((channel) => !cluster || this.#servers.linkOf(channel) === link)
    const begun = channels.filter((channel) => this.#begun.has(channel))
    const size = cluster ? 1 : restoreBatch
    const calls: Promise<unknown>[] = []
    for (let at = 0; at < channels.length; at += size) {
      const some = channels.slice(at, at + size)
      const call = connection.command("ssubscribe", some, restoreTimeout)
      calls.push(cluster ? this.#settle(some[0] ?? "", link, call) : call)
    }
    await Promise.all(calls)
    this.#tellGap(begun)
  }

  /** One channel of many: that its slot is elsewhere must not cost the others their connection. */
  async #settle(channel: string, link: Link, call: Promise<unknown>): Promise<void> {
    try {
      await call
      if (this.#listeners.has(channel)) this.#stands(channel, link)
    } catch (error) {
      if (!(error instanceof Error) || error.name !== "ReplyError" || !isPassing(error)) throw error
      this.#servers.refresh()
      this.#followSoon()
    }
  }

  #followSoon(): void {
    if (this.#timer !== undefined || this.#closed) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      void this.#follow()
    }, followMs)
  }

  /** Subscribes to what is not subscribed to where it belongs. */
  async #follow(): Promise<void> {
    const channels = [...this.#listeners.keys()].filter((channel) => {
      const link = this.#servers.linkOf(channel)
      return link === undefined || this.#at.get(channel) !== link
    })
    const followed = await Promise.all(
      channels.map(async (channel) => {
        const begun = this.#begun.has(channel)
        try {
          await this.#subscribe(channel)
        } catch {
          return false
        }
        // Not together with the others: one of their servers may not answer.
        if (begun) this.#tellGap([channel])
        return true
      }),
    )
    if (followed.includes(false)) this.#followSoon()
  }

  /** W7: on every subscription the owner pulls. */
  #tellGap(channels: ReadonlyArray<string>): void {
    queueMicrotask(() => {
      for (const channel of channels)
        if (this.#pulling.has(channel)) for (const listener of this.#listeners.get(channel) ?? []) listener(gap)
    })
  }
}

export function parseHint(shard: number, text: string): Hint | undefined {
  const [type, first = "", second = "", third = ""] = text.split("\t", 4)
  if (type === "r") return { type: "ready", shard, epoch: Number(first) }
  if (type === "l") return { type: "released", shard, epoch: Number(first) }
  if (type === "x") return { type: "outbox", shard }
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
