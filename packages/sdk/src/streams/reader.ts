/** Independent readers: each sees all events of its streams. */
import type { Engine } from "../engine/engine.ts"
import { NotAllowed } from "../errors.ts"
import type { Options } from "../options.ts"
import { StreamEvent, topicMatcher, type TopicFilter } from "./event.ts"
import { checkStart, startPositions, type StreamStart } from "./start.ts"
import { Waker } from "./waker.ts"

/** Payload bytes of one page of one stream, beyond the event that passes it. */
export const pageBytes = 1024 * 1024

export interface ReaderOptions {
  /** Default: `"newest"`, only what is appended from the first look on. */
  readonly start?: StreamStart
  /** Only events of these topics; default: all. */
  readonly topic?: TopicFilter
  /** Told when retention removed events that this reader had not read yet: it was too slow, or away for too long. */
  readonly onLost?: (lost: { readonly stream: string; readonly events: number }) => void
}

export interface ReaderHost {
  readonly engine: Engine
  readonly pool: string
  readonly options: Pick<Options, "streamBatch" | "streamPollMs">
}

/**
 * The order of events of one stream is kept; between streams it is that of the store's time within one page. A reader asks for a page only
 * when all events of the last one were taken, so that a slow one holds no more than a page in memory: the rest waits in the store, until
 * retention takes it.
 */
export class Reader {
  readonly streams: ReadonlyArray<string>
  readonly #host: ReaderHost
  readonly #options: ReaderOptions
  readonly #matches: (topic: string) => boolean
  /** Position after which each stream is read on; absent before the first look. */
  #positions: string[] | undefined
  #buffer: StreamEvent[] = []
  #reading = false
  #lost = 0

  constructor(host: ReaderHost, streams: ReadonlyArray<string>, options: ReaderOptions) {
    this.#host = host
    this.streams = streams
    this.#options = { ...options, start: checkStart(options.start ?? "newest") }
    this.#matches = topicMatcher(options.topic)
  }

  /** How many events retention took before this reader came. */
  get lost(): number {
    return this.#lost
  }

  /**
   * Events as they come, until the signal aborts: then it ends, without an error. What was not taken by then comes first the next time. A
   * reader has one such loop at a time. Throws what the store throws (`StoreUnavailable`); a new loop goes on where this one was.
   */
  async *events(options: { readonly abortSignal?: AbortSignal } = {}): AsyncGenerator<StreamEvent, void, undefined> {
    if (this.#reading) throw new NotAllowed("this reader is being read already: make a second reader")
    this.#reading = true
    const { engine, pool } = this.#host
    const signal = options.abortSignal
    let waker: Waker | undefined
    try {
      waker = await Waker.open(engine, pool, this.streams, this.#host.options.streamPollMs, signal)
      while (signal?.aborted !== true) {
        const event = this.#buffer.shift()
        if (event !== undefined) yield event
        else {
          waker.arm()
          if (!(await this.#page())) await waker.wait()
        }
      }
    } finally {
      this.#reading = false
      await waker?.close()
    }
  }

  /** Whether there was anything, also if no topic matched. */
  async #page(): Promise<boolean> {
    const { engine, pool, options } = this.#host
    this.#positions ??= [...(await startPositions(engine, pool, this.streams, this.#options.start ?? "newest"))]
    const positions = this.#positions
    const items = this.streams.map((stream, n) => {
      return { stream, after: positions[n] ?? "", limit: options.streamBatch, maxBytes: pageBytes }
    })
    const replies = await engine.readStreams(pool, items)
    let found = false
    for (const [n, { events, lost }] of replies.entries()) {
      const stream = this.streams[n] ?? ""
      const last = events.at(-1)
      if (last === undefined) continue
      found = true
      positions[n] = last.position
      for (const event of events) if (this.#matches(event.topic)) this.#buffer.push(new StreamEvent(stream, event))
      if (lost === 0) continue
      this.#lost += lost
      this.#options.onLost?.({ stream, events: lost })
    }
    if (this.streams.length > 1) this.#buffer.sort((a, b) => a.at - b.at)
    return found
  }
}
