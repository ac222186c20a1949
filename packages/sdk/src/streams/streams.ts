/** The door to streams: appends, readers, sinks. */
import { randomUUID } from "node:crypto"
import { Batcher } from "../engine/batcher.ts"
import type { Engine } from "../engine/engine.ts"
import { openEngine } from "../engine/open.ts"
import type { StreamAppend } from "../engine/event-streams.ts"
import { BadInput, NotAllowed } from "../errors.ts"
import { checkKey, checkPoolName } from "../key.ts"
import { readOptions, refuseUnknown, type Options } from "../options.ts"
import { checkName } from "../rmap/options.ts"
import { encodePayload } from "./event.ts"
import { Reader, type ReaderOptions } from "./reader.ts"
import { Sink, type SinkOptions } from "./sink.ts"

const optionNames = [
  "callTimeoutMs",
  "payloadBytes",
  "streamLength",
  "streamAgeMs",
  "streamBatch",
  "streamPollMs",
  "sinkBatch",
  "ackGraceMs",
  "consumerLeaseMs",
] as const

export interface OpenStreamsOptions extends Partial<Pick<Options, (typeof optionNames)[number]>> {
  /** The name under which the streams are kept beside others; a pool of that name need not exist. */
  readonly pool: string
  /** `redis://…`, `rediss://…`, `redis+sentinel://…` (docs/redis.md), `file:…` or `memory:<name>`; default: the environment's `PONOS_STORE`. */
  readonly store?: string | undefined
  /** An engine that somebody else opened and closes: the test environment. */
  readonly engine?: Engine
}

export interface NewEvent {
  readonly payload: string | Uint8Array
  readonly topic?: string
}

/** Of `append`: where it stands, and when the store accepted it. */
export interface Appended {
  readonly id: string
  readonly at: number
}

/** A request id is kept for as long as its call may be repeated, which is callTimeoutMs and at most 60 s. */
const requestRetention = 120_000
/** Events of one append. */
const maxEvents = 1_000

export class Streams {
  readonly #engine: Engine
  readonly #ownsEngine: boolean
  readonly #pool: string
  readonly #options: Pick<Options, (typeof optionNames)[number]>
  readonly #appends: Batcher<StreamAppend, { readonly first: string; readonly last: string }>
  readonly #sinks = new Set<Sink>()
  #closed = false

  /** Used by `openStreams`. */
  constructor(engine: Engine, ownsEngine: boolean, pool: string, options: Pick<Options, (typeof optionNames)[number]>) {
    this.#engine = engine
    this.#ownsEngine = ownsEngine
    this.#pool = pool
    this.#options = options
    this.#appends = new Batcher((items) => engine.appendStreams(pool, items))
  }

  /** Appends one event. `id`: a repetition with it within two minutes appends nothing and answers as the first time. */
  async append(
    stream: string,
    payload: string | Uint8Array,
    options: { readonly topic?: string; readonly id?: string } = {},
  ): Promise<Appended> {
    const event = options.topic === undefined ? { payload } : { payload, topic: options.topic }
    return await this.appendMany(stream, [event], options.id === undefined ? {} : { id: options.id })
  }

  /** Appends at most 1,000 events together, in this order; resolves with the last one's place. */
  async appendMany(stream: string, events: ReadonlyArray<NewEvent>, options: { readonly id?: string } = {}): Promise<Appended> {
    this.#checkOpen()
    if (events.length === 0 || events.length > maxEvents)
      throw new BadInput(`expected 1 to ${maxEvents} events in one append, got: ${events.length}`, { events: events.length })
    const { last } = await this.#appends.add({
      stream: checkName(stream, "stream"),
      id: options.id === undefined ? randomUUID() : checkKey(options.id, "the request id"),
      retention: requestRetention,
      ...this.#retention(),
      events: events.map(({ payload, topic = "" }) => ({
        topic: topic === "" ? "" : checkKey(topic, "the topic"),
        payload: encodePayload(payload, this.#options.payloadBytes),
      })),
    })
    return { id: last, at: Number(last.slice(0, last.indexOf("-"))) }
  }

  /** A reader of one or more streams, which sees all of their events, whoever else reads them. Streams need not exist. */
  reader(streams: string | ReadonlyArray<string>, options: ReaderOptions = {}): Reader {
    this.#checkOpen()
    return new Reader({ engine: this.#engine, pool: this.#pool, options: this.#options }, checkStreams(streams), options)
  }

  /**
   * Joins a sink as one consumer. All consumers of this name share the events: each goes to one of them, until it is acknowledged (at least
   * once). Make one in every process that takes part; it is known to the others until it is closed, or silent for `consumerLeaseMs`.
   */
  async sink(name: string, streams: string | ReadonlyArray<string>, options: SinkOptions = {}): Promise<Sink> {
    this.#checkOpen()
    const host = { engine: this.#engine, pool: this.#pool, options: this.#options, onClose: (sink: Sink) => void this.#sinks.delete(sink) }
    const sink = await Sink.join(host, checkName(name, "sink"), checkStreams(streams), options)
    this.#sinks.add(sink)
    return sink
  }

  /** Removes a sink of a stream, for everybody: what it had not acknowledged, and how far it was. */
  async destroySink(name: string, stream: string): Promise<void> {
    this.#checkOpen()
    await this.#engine.destroySinks(this.#pool, [{ stream: checkName(stream, "stream"), sink: checkName(name, "sink") }])
  }

  /** Applies retention now. Appends do it too; only a stream without appends keeps what is over its age. */
  async trim(stream: string): Promise<void> {
    this.#checkOpen()
    await this.#engine.trimStreams(this.#pool, [{ stream: checkName(stream, "stream"), ...this.#retention() }])
  }

  /** Removes the stream with its sinks, for everybody. */
  async destroy(stream: string): Promise<void> {
    this.#checkOpen()
    await this.#engine.destroyStreams(this.#pool, [checkName(stream, "stream")])
  }

  /** Closes its sinks, and the store if it was opened here: end readers by their signals before it. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await Promise.allSettled([...this.#sinks].map((sink) => sink.close()))
    if (this.#ownsEngine) await this.#engine.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #retention(): { readonly maxLength: number; readonly maxAge: number } {
    return { maxLength: this.#options.streamLength, maxAge: this.#options.streamAgeMs }
  }

  #checkOpen(): void {
    if (this.#closed) throw new NotAllowed("these streams were closed: open them again")
  }
}

const checkStreams = (streams: string | ReadonlyArray<string>): ReadonlyArray<string> => {
  const names = typeof streams === "string" ? [streams] : [...streams]
  if (names.length === 0) throw new BadInput("expected one stream at least, got none")
  return [...new Set(names.map((name) => checkName(name, "stream")))]
}

/**
 * Opens the streams of a pool's name.
 *
 * ```ts
 * await using streams = await openStreams({ pool: "tenants", store: "memory:docs" })
 * await streams.append("orders", "first", { topic: "order.created" })
 * const reader = streams.reader("orders", { start: "oldest", topic: /^order\./ })
 * for await (const event of reader.events()) {
 *   event.text // "first"
 *   break
 * }
 * ```
 */
export async function openStreams(options: OpenStreamsOptions): Promise<Streams> {
  refuseUnknown(options, ["pool", "store", "engine", ...optionNames], "openStreams()")
  const pool = checkPoolName(options.pool)
  const values = readOptions({ ...options }, optionNames)
  const engine = options.engine ?? (await openEngine(options.store, { callTimeout: values.callTimeoutMs }))
  return new Streams(engine, options.engine === undefined, pool, values)
}
