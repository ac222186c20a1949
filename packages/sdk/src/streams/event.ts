/** What readers and sinks hand out, and how its payload is stored. */
import type { StreamEvent as StoredEvent } from "../engine/event-streams.ts"
import { BadInput, PayloadTooLarge } from "../errors.ts"

/** The store holds text without NUL (E5): `t` and the text, or `b` and base64 (a third larger) of bytes, and of text with NUL. */
export const encodePayload = (payload: unknown, maxBytes: number): string => {
  const bytes = typeof payload === "string" ? Buffer.byteLength(payload) : payload instanceof Uint8Array ? payload.byteLength : undefined
  if (bytes === undefined || (typeof payload === "string" && !payload.isWellFormed()))
    throw new BadInput(`expected the payload to be a string of well-formed Unicode or a Uint8Array, got: ${typeof payload}`, { payload })
  if (bytes > maxBytes) throw new PayloadTooLarge(`expected a payload of at most ${maxBytes} bytes, got: ${bytes}`, { bytes, maxBytes })
  if (typeof payload === "string" && !payload.includes("\0")) return `t${payload}`
  return `b${Buffer.from(payload as Uint8Array).toString("base64")}`
}

/** One event. Its payload is bytes; a string that was appended is its UTF-8. */
export class StreamEvent {
  readonly stream: string
  /** Position in the stream: `{ after: id }` goes on behind it. Opaque. */
  readonly id: string
  /** "" when it was appended without one. */
  readonly topic: string
  /** When the store accepted it, in epoch ms of the store's clock. */
  readonly at: number
  readonly #payload: string

  constructor(stream: string, stored: StoredEvent) {
    this.stream = stream
    this.id = stored.position
    this.topic = stored.topic
    this.at = stored.at
    this.#payload = stored.payload
  }

  /** The payload as a string; bytes that are no UTF-8 show as U+FFFD. */
  get text(): string {
    return this.#payload.startsWith("b") ? Buffer.from(this.#payload.slice(1), "base64").toString("utf8") : this.#payload.slice(1)
  }

  get bytes(): Uint8Array {
    return new Uint8Array(
      this.#payload.startsWith("b") ? Buffer.from(this.#payload.slice(1), "base64") : Buffer.from(this.#payload.slice(1)),
    )
  }
}

/** An exact name, a pattern, or several of them of which one must match. */
export type TopicFilter = string | RegExp | ReadonlyArray<string | RegExp>

export const topicMatcher = (filter: TopicFilter | undefined): ((topic: string) => boolean) => {
  if (filter === undefined) return () => true
  const parts = (Array.isArray(filter) ? filter : [filter]) as ReadonlyArray<string | RegExp>
  for (const part of parts)
    if (typeof part !== "string" && !(part instanceof RegExp))
      throw new BadInput(`expected topic to be a name, a RegExp or a list of them, got: ${typeof part}`, { topic: part })
  // `search` has no memory, unlike `test` with a global pattern.
  return (topic) => parts.some((part) => (typeof part === "string" ? part === topic : topic.search(part) >= 0))
}
