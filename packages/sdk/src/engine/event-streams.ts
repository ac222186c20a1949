/**
 * Streams of events in the store (E9). A position is `<ms>-<number>`: when the store accepted the event, and its number in the stream, which
 * has no gaps: whoever reads knows how many events retention took away before he came. Positions are compared by the store only.
 *
 * A sink is a named group of consumers of one stream: each event is given to one of them, until it is acknowledged. What one holds for too
 * long, or held when it was removed, is given again. A consumer lives while its counter moves (as a session does, S2, S3).
 */
import type { Unsubscribe } from "./engine.ts"

export interface StreamEvent {
  readonly position: string
  /** When the store accepted it. */
  readonly at: number
  readonly topic: string
  readonly payload: string
}

export interface Retention {
  /** Events kept at most. */
  readonly maxLength: number
  /** Older ones are removed, ms. Retention is applied by appends and by `trimStreams`. */
  readonly maxAge: number
}

export interface StreamAppend extends Retention {
  readonly stream: string
  /** Request id: a repetition within `retention` ms appends nothing and answers as the first time. */
  readonly id: string
  readonly retention: number
  /** Appended together, in this order. */
  readonly events: ReadonlyArray<{ readonly topic: string; readonly payload: string }>
}

export interface StreamRead {
  readonly stream: string
  /** Position of the last event that was read; "" for the very beginning. */
  readonly after: string
  readonly limit: number
  /** No further event is added once there are so many bytes of payload. */
  readonly maxBytes: number
}
export interface StreamReadReply {
  readonly events: ReadonlyArray<StreamEvent>
  /** How many events after `after` are no longer there; 0 where `after` is no event's position. */
  readonly lost: number
}

/** `number` is 0 for a time: everything of it is after the position. */
export const positionOf = (at: number, number: number): string => `${at}-${number}`
export const parsePosition = (position: string): { readonly at: number; readonly number: number } => {
  const [at = "0", number = "0"] = position.split("-", 2)
  return { at: Number(at), number: Number(number) }
}

/** Events between `after` and the next one there is. A stream that was destroyed meanwhile counts anew. */
export const lostBetween = (after: string, next: StreamEvent | undefined): number => {
  const from = parsePosition(after).number
  if (next === undefined || from === 0) return 0
  return Math.max(0, parsePosition(next.position).number - from - 1)
}

export interface SinkConsumer {
  readonly stream: string
  readonly sink: string
  readonly consumer: string
}
export interface SinkTake extends SinkConsumer {
  /** Changes with every take: a repetition gives the same events again. */
  readonly request: string
  readonly limit: number
  readonly maxBytes: number
  /** Look first for events that a consumer has held for so many ms (0: for those of removed consumers only). Absent: only new events. */
  readonly graceMs?: number
}
export type SinkTakeReply =
  | { readonly status: "taken"; readonly events: ReadonlyArray<StreamEvent & { readonly deliveries: number }> }
  /** The consumer never joined, or was removed: join again. */
  | { readonly status: "removed" }

export interface StreamVerbs {
  /** Positions of the first and the last event of each append. */
  appendStreams(pool: string, items: ReadonlyArray<StreamAppend>): Promise<ReadonlyArray<{ readonly first: string; readonly last: string }>>
  readStreams(pool: string, items: ReadonlyArray<StreamRead>): Promise<ReadonlyArray<StreamReadReply>>
  /** Position of the last event ever, "" of a stream without one. */
  lastPositions(pool: string, streams: ReadonlyArray<string>): Promise<ReadonlyArray<string>>
  trimStreams(pool: string, items: ReadonlyArray<Retention & { readonly stream: string }>): Promise<void>
  /** With its sinks. */
  destroyStreams(pool: string, streams: ReadonlyArray<string>): Promise<void>

  /** Makes the sink where it is not, beginning after `start` ("" is the oldest), and registers the consumer with counter 1. */
  joinSinks(pool: string, items: ReadonlyArray<SinkConsumer & { readonly start: string }>): Promise<void>
  takeEvents(pool: string, items: ReadonlyArray<SinkTake>): Promise<ReadonlyArray<SinkTakeReply>>
  /** Whoever holds them. Unknown ones are acknowledged already. */
  ackEvents(
    pool: string,
    items: ReadonlyArray<{ readonly stream: string; readonly sink: string; readonly positions: ReadonlyArray<string> }>,
  ): Promise<void>
  /** Increments the counters of living consumers; answers the counters of all consumers of the sink. Who is not in it was removed. */
  beatSinks(pool: string, items: ReadonlyArray<SinkConsumer>): Promise<ReadonlyArray<ReadonlyMap<string, number>>>
  /** Removes the consumer if its counter still is `counter` (absent: in any case); what it held may be taken at once. */
  leaveSinks(pool: string, items: ReadonlyArray<SinkConsumer & { readonly counter?: number }>): Promise<void>
  destroySinks(pool: string, items: ReadonlyArray<{ readonly stream: string; readonly sink: string }>): Promise<void>

  /** On the bus (E6): something was appended, or a connection was made anew. */
  onAppend(pool: string, stream: string, listener: () => void): Promise<Unsubscribe>
}
