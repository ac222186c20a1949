/**
 * A tenant's feed as a resource: one Server-Sent Events connection, read by cursor. It reads ahead a little; when it is asked for another
 * position than the one it stands at (an attempt was repeated), or the server closed the stream, it connects anew from there.
 */
import { once, EventEmitter } from "node:events"
import type { FeedEvent } from "./jobs.def.ts"

export interface ReadOptions {
  /** Number of the last event that the reader has. */
  readonly after: number
  readonly limit: number
  /** Returns what there is after it, possibly nothing. */
  readonly waitMs: number
  readonly abortSignal: AbortSignal
}

export interface Page {
  readonly events: FeedEvent[]
  /** Cursor behind these events. */
  readonly next: number
  /** The feed was closed for ever. */
  readonly gone: boolean
}

export interface Feed {
  read(options: ReadOptions): Promise<Page>
  end(): Promise<void>
}

export type Connect = (url: string, after: number, abortSignal: AbortSignal) => Promise<Feed>

const readAhead = 1_000

/** Opens the stream of `url` behind event `after`. Ends when `abortSignal` fires. */
export const connectFeed: Connect = async (url, after, abortSignal) => {
  let stream = await openStream(url, after, abortSignal)
  return {
    read: async ({ after: cursor, limit, waitMs, abortSignal: stop }) => {
      if (stream.position !== cursor || stream.ended) {
        stream.close()
        stream = await openStream(url, cursor, AbortSignal.any([abortSignal, stop]))
      }
      const deadline = AbortSignal.any([AbortSignal.timeout(waitMs), stop, abortSignal])
      while (stream.waiting() < limit && !stream.ended && !deadline.aborted) await stream.changed(deadline)
      stop.throwIfAborted()
      abortSignal.throwIfAborted()
      const events = stream.take(limit)
      return { events, next: stream.position, gone: stream.gone && events.length === 0 }
    },
    end: async () => {
      stream.close()
      await stream.closed
    },
  }
}

interface Stream {
  /** Number of the last event taken out. */
  readonly position: number
  readonly ended: boolean
  readonly gone: boolean
  waiting(): number
  take(limit: number): FeedEvent[]
  changed(abortSignal: AbortSignal): Promise<void>
  close(): void
  readonly closed: Promise<void>
}

const openStream = async (url: string, after: number, abortSignal: AbortSignal): Promise<Stream> => {
  const own = new AbortController()
  const either = AbortSignal.any([own.signal, abortSignal])
  const response = await fetch(`${url}?after=${after}`, { signal: either, headers: { accept: "text/event-stream" } })
  if (response.status !== 200 && response.status !== 410) throw new Error(`${url} answered ${response.status}`)
  const gone = response.status === 410
  const queue: FeedEvent[] = []
  const bell = new EventEmitter()
  let position = after
  let ended = gone
  const pump = async () => {
    try {
      if (gone) await response.body?.cancel()
      else
        for await (const event of readEvents(response)) {
          queue.push(event)
          bell.emit("change")
          while (queue.length >= readAhead) await once(bell, "taken", { signal: either })
        }
    } catch {
      // A broken stream is an ended one: the next read connects again, and that attempt reports what is wrong.
    } finally {
      ended = true
      bell.emit("change")
    }
  }
  return {
    get position() {
      return position
    },
    get ended() {
      return ended && queue.length === 0
    },
    gone,
    waiting: () => queue.length,
    take: (limit) => {
      const events = queue.splice(0, limit)
      position = events.at(-1)?.number ?? position
      bell.emit("taken")
      return events
    },
    changed: async (stop) => {
      await once(bell, "change", { signal: stop }).catch(() => {})
    },
    close: () => own.abort(),
    closed: pump(),
  }
}

/** Parses Server-Sent Events (HTML Living Standard, section 9.2): `id` is the number, `data` the body; comments keep the line alive. */
async function* readEvents(response: Response): AsyncGenerator<FeedEvent> {
  const decoder = new TextDecoder()
  let rest = ""
  for await (const chunk of response.body ?? []) {
    rest += decoder.decode(chunk, { stream: true })
    const blocks = rest.split("\n\n")
    rest = blocks.pop() ?? ""
    for (const block of blocks) {
      const fields = new Map(block.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]))
      const number = Number(fields.get("id"))
      const body = fields.get("data")
      if (Number.isInteger(number) && number > 0 && body !== undefined) yield { number, body }
    }
  }
}
