/** Sinks: named groups of consumers that share the events of their streams. */
import { randomUUID } from "node:crypto"
import { Batcher } from "../engine/batcher.ts"
import type { Engine } from "../engine/engine.ts"
import type { StreamEvent as StoredEvent } from "../engine/event-streams.ts"
import { NotAllowed } from "../errors.ts"
import type { Options } from "../options.ts"
import { StreamEvent, topicMatcher, type TopicFilter } from "./event.ts"
import { Peers } from "./peers.ts"
import { pageBytes } from "./reader.ts"
import { startPositions, type StreamStart } from "./start.ts"
import { Waker } from "./waker.ts"

/** Beats in a lease: two may be lost. */
const beatsPerLease = 3

export interface SinkOptions {
  /** Where a sink begins that does not exist yet; default: `"oldest"`. */
  readonly start?: StreamStart
  /** Only events of these topics; the others count as acknowledged. All consumers of a sink should say the same. Default: all. */
  readonly topic?: TopicFilter
}

export interface SinkHost {
  readonly engine: Engine
  readonly pool: string
  readonly options: Pick<Options, "streamPollMs" | "sinkBatch" | "ackGraceMs" | "consumerLeaseMs">
  readonly onClose: (sink: Sink) => void
}

export class SinkEvent extends StreamEvent {
  /** How often it was given to a consumer; above 1, an earlier one may have begun with it. */
  readonly deliveries: number
  readonly #ack: () => Promise<void>

  constructor(stream: string, stored: StoredEvent & { readonly deliveries: number }, ack: () => Promise<void>) {
    super(stream, stored)
    this.deliveries = stored.deliveries
    this.#ack = ack
  }

  /** Done: it is not given again. May be repeated. Without it within `ackGraceMs` the event goes to some consumer again. */
  async ack(): Promise<void> {
    await this.#ack()
  }
}

interface Held {
  readonly event: SinkEvent
  /** On the monotonic clock: then it may be given to another one. */
  readonly until: number
}
interface Ack {
  readonly stream: string
  readonly position: string
}

/** One consumer of a sink. */
export class Sink {
  readonly name: string
  readonly streams: ReadonlyArray<string>
  readonly #host: SinkHost
  readonly #consumer = randomUUID()
  readonly #matches: (topic: string) => boolean
  readonly #peers: ReadonlyArray<Peers>
  readonly #acks: Batcher<Ack, void>
  #buffer: Held[] = []
  /** Of the take under way: kept until it is answered, so that its repetition gives the same events. */
  #takes = 0
  #answered = true
  #reclaimAt = 0
  /** Until when nobody can have removed this consumer. */
  #trustUntil = 0
  #timer: NodeJS.Timeout | undefined
  #reading = false
  #closed = false

  private constructor(host: SinkHost, name: string, streams: ReadonlyArray<string>, options: SinkOptions) {
    this.#host = host
    this.name = name
    this.streams = streams
    this.#matches = topicMatcher(options.topic)
    this.#peers = streams.map(() => new Peers(host.options.consumerLeaseMs))
    this.#acks = new Batcher(async (acks) => await this.#sendAcks(acks))
  }

  /** Used by `streams.sink`. */
  static async join(host: SinkHost, name: string, streams: ReadonlyArray<string>, options: SinkOptions): Promise<Sink> {
    const sink = new Sink(host, name, streams, options)
    const positions = await startPositions(host.engine, host.pool, streams, options.start ?? "oldest")
    await sink.#join(streams.map((stream, n) => ({ stream, start: positions[n] ?? "" })))
    sink.#beatLater()
    return sink
  }

  /**
   * Events for this consumer, until the signal aborts or the sink is closed: then it ends, without an error. At most `sinkBatch` events of
   * each stream wait here; one that waits over `ackGraceMs` is dropped here, since it goes to some consumer again.
   */
  async *events(options: { readonly abortSignal?: AbortSignal } = {}): AsyncGenerator<SinkEvent, void, undefined> {
    if (this.#reading) throw new NotAllowed(`this consumer of sink "${this.name}" is being read already: make a second one`)
    this.#reading = true
    const { engine, pool } = this.#host
    const signal = options.abortSignal
    let waker: Waker | undefined
    try {
      waker = await Waker.open(engine, pool, this.streams, this.#host.options.streamPollMs, signal)
      while (signal?.aborted !== true && !this.#closed) {
        if (performance.now() >= this.#trustUntil) await this.#renewTrust()
        const held = this.#buffer.shift()
        if (held === undefined) {
          waker.arm()
          if (!(await this.#take())) await waker.wait(this.#reclaimAt - performance.now())
        } else if (performance.now() < held.until) yield held.event
      }
    } finally {
      this.#reading = false
      await waker?.close()
    }
  }

  /** Leaves the sink: what was not acknowledged goes to the other consumers at once, or waits for the next one. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    clearTimeout(this.#timer)
    this.#buffer = []
    this.#host.onClose(this)
    await this.#host.engine.leaveSinks(
      this.#host.pool,
      this.streams.map((stream) => this.#at(stream)),
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #at(stream: string): { readonly stream: string; readonly sink: string; readonly consumer: string } {
    return { stream, sink: this.name, consumer: this.#consumer }
  }

  async #join(items: ReadonlyArray<{ readonly stream: string; readonly start: string }>): Promise<void> {
    const before = performance.now()
    await this.#host.engine.joinSinks(
      this.#host.pool,
      items.map(({ stream, start }) => ({ ...this.#at(stream), start })),
    )
    this.#trustUntil = before + this.#host.options.consumerLeaseMs
  }

  /** Whether there was anything, also if no topic matched. */
  async #take(): Promise<boolean> {
    const { engine, pool, options } = this.#host
    const before = performance.now()
    const reclaims = before >= this.#reclaimAt
    if (this.#answered) this.#takes++
    this.#answered = false
    const replies = await engine.takeEvents(
      pool,
      this.streams.map((stream) => ({
        ...this.#at(stream),
        request: String(this.#takes),
        limit: options.sinkBatch,
        maxBytes: pageBytes,
        ...(reclaims ? { graceMs: options.ackGraceMs } : {}),
      })),
    )
    this.#answered = true
    let found = false
    const removed: string[] = []
    const others: Array<Promise<void>> = []
    for (const [n, reply] of replies.entries()) {
      const stream = this.streams[n] ?? ""
      if (reply.status === "removed") {
        removed.push(stream)
        continue
      }
      for (const stored of reply.events) {
        found = true
        const ack = (): Promise<void> => this.#acks.add({ stream, position: stored.position })
        if (!this.#matches(stored.topic)) others.push(ack())
        else this.#buffer.push({ event: new SinkEvent(stream, stored, ack), until: before + options.ackGraceMs })
      }
    }
    // A full look may have left more to give again.
    if (reclaims && !found) this.#reclaimAt = before + Math.min(options.streamPollMs, options.ackGraceMs / 4)
    await Promise.all(others)
    // Removed while it was away, or the sink was destroyed: from its beginning, because none of it was seen.
    if (removed.length > 0 && !this.#closed) await this.#join(removed.map((stream) => ({ stream, start: "" })))
    if (this.streams.length > 1) this.#buffer.sort((a, b) => a.event.at - b.event.at)
    return found || removed.length > 0
  }

  async #sendAcks(acks: ReadonlyArray<Ack>): Promise<ReadonlyArray<void>> {
    const positions = new Map<string, string[]>()
    for (const { stream, position } of acks) {
      const of = positions.get(stream)
      if (of === undefined) positions.set(stream, [position])
      else of.push(position)
    }
    const items = [...positions].map(([stream, some]) => ({ stream, sink: this.name, positions: some }))
    await this.#host.engine.ackEvents(this.#host.pool, items)
    return acks.map(() => {})
  }

  /** After a silence (a blocked loop, a store that was away) nothing is handed out before the store says that this consumer is there still. */
  async #renewTrust(): Promise<void> {
    await this.#beat()
    if (performance.now() >= this.#trustUntil) await this.#take()
  }

  #beatLater(): void {
    if (this.#closed) return
    this.#timer = setTimeout(() => {
      // A beat that fails is made up for by the next one; meanwhile trust runs out.
      this.#beat()
        .catch(() => {})
        .finally(() => this.#beatLater())
    }, this.#host.options.consumerLeaseMs / beatsPerLease).unref()
  }

  async #beat(): Promise<void> {
    const { engine, pool, options } = this.#host
    const before = performance.now()
    const replies = await engine.beatSinks(
      pool,
      this.streams.map((stream) => this.#at(stream)),
    )
    if (this.#closed) return
    // Where it was removed, the next take finds it and joins again; what it held of that stream belongs to others by now.
    const gone = this.streams.filter((_, n) => replies[n]?.has(this.#consumer) !== true)
    if (gone.length === 0) this.#trustUntil = before + options.consumerLeaseMs
    else this.#buffer = this.#buffer.filter(({ event }) => !gone.includes(event.stream))
    const now = performance.now()
    const dead = replies.flatMap((counters, n) =>
      (this.#peers[n]?.look(counters, now) ?? [])
        .filter(({ consumer }) => consumer !== this.#consumer)
        .map(({ consumer, counter }) => ({ ...this.#at(this.streams[n] ?? ""), consumer, counter })),
    )
    if (dead.length === 0) return
    await engine.leaveSinks(pool, dead)
    this.#reclaimAt = 0
  }
}
