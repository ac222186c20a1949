import type { Retention, StreamAppend, StreamEvent, StreamRead, StreamReadReply } from "../event-streams.ts"
import { lostBetween, parsePosition, positionOf } from "../event-streams.ts"
import type { Tx } from "./calls.ts"
import { batchItems } from "./calls.ts"

export interface StreamRow {
  id: number
  at: number
  number: number
}
export interface EventRow {
  number: number
  at: number
  topic: string
  payload: string
}

const selectStream = "SELECT id, at, number FROM streams WHERE pool = ? AND name = ?"
const insertStream = "INSERT INTO streams (pool, name, at, number) VALUES (?, ?, 0, 0) RETURNING id, at, number"
const updateStream = "UPDATE streams SET at = ?, number = ? WHERE id = ?"
const deleteStream = "DELETE FROM streams WHERE id = ?"
const insertEvent = "INSERT INTO events (stream, number, at, topic, payload) VALUES (?, ?, ?, ?, ?)"
const eventsAfter = "SELECT number, at, topic, payload FROM events WHERE stream = ? AND (at, number) > (?, ?) ORDER BY at, number LIMIT ?"
/** Events deleted in one transaction at most: 1,000 of 100 bytes take 2 ms. */
const deletedAtOnce = 1_000
const oldest = `number < (SELECT min(number) FROM events WHERE stream = ?) + ${deletedAtOnce}`
const trimLength = `DELETE FROM events WHERE stream = ? AND number <= ? AND ${oldest}`
const trimAge = `DELETE FROM events WHERE stream = ? AND at < ? AND ${oldest}`
const clearEvents = `DELETE FROM events WHERE stream = ? AND ${oldest}`
const findRequest = "SELECT at, number FROM stream_requests WHERE stream = ? AND request = ?"
const insertRequest = "INSERT INTO stream_requests (stream, request, expiry, at, number) VALUES (?, ?, ?, ?, ?)"
const forgetRequests =
  "DELETE FROM stream_requests WHERE (stream, request) IN (SELECT stream, request FROM stream_requests WHERE stream = ? AND expiry <= ? LIMIT 100)"
const clearRequests = "DELETE FROM stream_requests WHERE stream = ?"
const selectSinks = "SELECT id FROM sinks WHERE stream = ?"

export const findStream = (tx: Tx, stream: string): StreamRow | undefined => tx.one<StreamRow>(selectStream, tx.poolId, stream)
export const makeStream = (tx: Tx, stream: string): StreamRow =>
  findStream(tx, stream) ?? (tx.one<StreamRow>(insertStream, tx.poolId, stream) as StreamRow)

/** Numbers have no gaps and only the oldest leave, so that a length is a number. True when there may be more to remove. */
const trim = (tx: Tx, id: number, last: number, { maxLength, maxAge }: Retention): boolean =>
  tx.run(trimLength, id, last - maxLength, id) + tx.run(trimAge, id, tx.now - maxAge, id) >= deletedAtOnce

export const appendEvents = (tx: Tx, item: StreamAppend): { first: string; last: string } => {
  const { id, at: lastAt, number: last } = makeStream(tx, item.stream)
  const count = item.events.length
  tx.run(forgetRequests, id, tx.now)
  const known = tx.one<{ at: number; number: number }>(findRequest, id, item.id)
  if (known !== undefined) return { first: positionOf(known.at, known.number), last: positionOf(known.at, known.number + count - 1) }
  const at = Math.max(lastAt, tx.now)
  item.events.forEach(({ topic, payload }, n) => tx.run(insertEvent, id, last + 1 + n, at, topic, payload))
  tx.run(updateStream, at, last + count, id)
  tx.run(insertRequest, id, item.id, tx.after(item.retention), at, last + 1)
  trim(tx, id, last + count, item)
  tx.appendNotice(item.stream)
  return { first: positionOf(at, last + 1), last: positionOf(at, last + count) }
}

export const toEvent = ({ number, at, topic, payload }: EventRow): StreamEvent => ({ position: positionOf(at, number), at, topic, payload })

/** As many as fit, the last of which may be over it. */
export const within = <Row extends { readonly payload: string }>(rows: ReadonlyArray<Row>, maxBytes: number, from = 0): Row[] => {
  const fitting: Row[] = []
  let bytes = from
  for (const row of rows) {
    if (bytes >= maxBytes) break
    fitting.push(row)
    bytes += Buffer.byteLength(row.payload)
  }
  return fitting
}

export const eventsFrom = (tx: Tx, stream: number, after: { at: number; number: number }, limit: number, maxBytes: number): EventRow[] =>
  within(tx.all<EventRow>(eventsAfter, stream, after.at, after.number, Math.min(limit, batchItems)), maxBytes)

export const readEvents = (tx: Tx, item: StreamRead): StreamReadReply => {
  const row = findStream(tx, item.stream)
  if (row === undefined) return { events: [], lost: 0 }
  const events = eventsFrom(tx, row.id, parsePosition(item.after), item.limit, item.maxBytes).map(toEvent)
  return { events, lost: lostBetween(item.after, events[0]) }
}

export const lastPosition = (tx: Tx, stream: string): string => {
  const row = findStream(tx, stream)
  return row === undefined || row.number === 0 ? "" : positionOf(row.at, row.number)
}

/** True when it has to be called again, in another transaction. */
export const trimStream = (tx: Tx, item: Retention & { readonly stream: string }): boolean => {
  const row = findStream(tx, item.stream)
  return row !== undefined && trim(tx, row.id, row.number, item)
}

/** As `trimStream`; the oldest events go first. */
export const destroyStream = (tx: Tx, stream: string): boolean => {
  const row = findStream(tx, stream)
  if (row === undefined) return false
  if (tx.run(clearEvents, row.id, row.id) >= deletedAtOnce) return true
  for (const sink of tx.all<{ id: number }>(selectSinks, row.id)) dropSink(tx, sink.id)
  tx.run(clearRequests, row.id)
  tx.run(deleteStream, row.id)
  return false
}

/** With its consumers and what they hold. */
export const dropSink = (tx: Tx, sink: number): void => {
  tx.run("DELETE FROM deliveries WHERE sink = ?", sink)
  tx.run("DELETE FROM consumers WHERE sink = ?", sink)
  tx.run("DELETE FROM sinks WHERE id = ?", sink)
}
