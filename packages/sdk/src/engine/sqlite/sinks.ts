import type { SinkConsumer, SinkTake, SinkTakeReply } from "../event-streams.ts"
import { parsePosition } from "../event-streams.ts"
import type { Tx } from "./calls.ts"
import { batchItems } from "./calls.ts"
import { dropSink, eventsFrom, findStream, makeStream, toEvent, within } from "./event-streams.ts"
import type { EventRow } from "./event-streams.ts"

interface SinkRow {
  id: number
  /** The last event that was given to anybody. */
  at: number
  number: number
  stream: number
}
type HeldRow = EventRow & { count: number }

/** Date of what a removed consumer held: older than any grace. */
const longAgo = 1

const selectSink = "SELECT id, at, number, stream FROM sinks WHERE stream = ? AND name = ?"
const insertSink = "INSERT INTO sinks (stream, name, at, number) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
const moveSink = "UPDATE sinks SET at = ?, number = ? WHERE id = ?"
const insertConsumer = "INSERT INTO consumers (sink, name, counter) VALUES (?, ?, 1) ON CONFLICT DO NOTHING"
const selectConsumer = "SELECT counter, request, numbers FROM consumers WHERE sink = ? AND name = ?"
const selectConsumers = "SELECT name, counter FROM consumers WHERE sink = ?"
const deleteConsumer = "DELETE FROM consumers WHERE sink = ? AND name = ?"
const beat = "UPDATE consumers SET counter = counter + 1 WHERE sink = ? AND name = ?"
const setTake = "UPDATE consumers SET request = ?, numbers = ? WHERE sink = ? AND name = ?"
const held =
  "SELECT e.number, e.at, e.topic, e.payload, d.count FROM deliveries d JOIN events e ON e.stream = ? AND e.number = d.number WHERE d.sink = ? "
const heldSince = `${held} AND d.at <= ? ORDER BY d.at, d.number LIMIT ?`
const heldNumber = `${held} AND d.number = ?`
/** Retention took them away before they were acknowledged. */
const forgetTrimmed =
  "DELETE FROM deliveries WHERE sink = ? AND number < (SELECT coalesce(min(number), (SELECT number + 1 FROM streams WHERE id = ?)) FROM events WHERE stream = ?)"
const insertDelivery = "INSERT INTO deliveries (sink, number, consumer, at, count) VALUES (?, ?, ?, ?, 1)"
const moveDelivery = "UPDATE deliveries SET consumer = ?, at = ?, count = count + 1 WHERE sink = ? AND number = ?"
const orphanDeliveries = "UPDATE deliveries SET consumer = '-', at = ? WHERE sink = ? AND consumer = ?"
const deleteDelivery = "DELETE FROM deliveries WHERE sink = ? AND number = ?"

const findSink = (tx: Tx, stream: string, sink: string): SinkRow | undefined => {
  const row = findStream(tx, stream)
  return row && tx.one<SinkRow>(selectSink, row.id, sink)
}

export const joinSink = (tx: Tx, item: SinkConsumer & { readonly start: string }): void => {
  const { at, number } = parsePosition(item.start)
  tx.run(insertSink, makeStream(tx, item.stream).id, item.sink, at, number)
  const sink = findSink(tx, item.stream, item.sink)
  if (sink !== undefined) tx.run(insertConsumer, sink.id, item.consumer)
}

export const takeEvents = (tx: Tx, item: SinkTake): SinkTakeReply => {
  const sink = findSink(tx, item.stream, item.sink)
  const consumer = sink && tx.one<{ counter: number; request: string; numbers: string }>(selectConsumer, sink.id, item.consumer)
  if (sink === undefined || consumer === undefined) return { status: "removed" }
  const reply = (rows: ReadonlyArray<HeldRow>): SinkTakeReply => ({
    status: "taken",
    events: rows.map((row) => ({ ...toEvent(row), deliveries: row.count })),
  })
  if (consumer.request === item.request) {
    const numbers = JSON.parse(consumer.numbers) as number[]
    return reply(numbers.flatMap((number) => tx.all<HeldRow>(heldNumber, sink.stream, sink.id, number)))
  }
  const limit = Math.min(item.limit, batchItems)
  const again = item.graceMs === undefined ? [] : reclaim(tx, sink, item, limit)
  const bytes = again.reduce((sum, { payload }) => sum + Buffer.byteLength(payload), 0)
  const fresh = eventsFrom(tx, sink.stream, sink, limit - again.length, item.maxBytes - bytes)
  for (const { number } of fresh) tx.run(insertDelivery, sink.id, number, item.consumer, tx.now)
  const last = fresh.at(-1)
  if (last !== undefined) tx.run(moveSink, last.at, last.number, sink.id)
  const rows = [...again, ...fresh.map((row) => ({ ...row, count: 1 }))]
  tx.run(setTake, item.request, JSON.stringify(rows.map(({ number }) => number)), sink.id, item.consumer)
  return reply(rows)
}

const reclaim = (tx: Tx, sink: SinkRow, item: SinkTake, limit: number): HeldRow[] => {
  tx.run(forgetTrimmed, sink.id, sink.stream, sink.stream)
  const since = item.graceMs === 0 ? longAgo : tx.now - (item.graceMs ?? 0)
  const rows = within(tx.all<HeldRow>(heldSince, sink.stream, sink.id, since, limit), item.maxBytes)
  for (const { number } of rows) tx.run(moveDelivery, item.consumer, tx.now, sink.id, number)
  return rows.map((row) => ({ ...row, count: row.count + 1 }))
}

export const ackEvents = (tx: Tx, item: { stream: string; sink: string; positions: ReadonlyArray<string> }): void => {
  const sink = findSink(tx, item.stream, item.sink)
  if (sink === undefined) return
  for (const position of item.positions) tx.run(deleteDelivery, sink.id, parsePosition(position).number)
}

export const beatSink = (tx: Tx, item: SinkConsumer): ReadonlyMap<string, number> => {
  const sink = findSink(tx, item.stream, item.sink)
  if (sink === undefined) return new Map()
  tx.run(beat, sink.id, item.consumer)
  return new Map(tx.all<{ name: string; counter: number }>(selectConsumers, sink.id).map(({ name, counter }) => [name, counter]))
}

export const leaveSink = (tx: Tx, item: SinkConsumer & { readonly counter?: number }): void => {
  const sink = findSink(tx, item.stream, item.sink)
  if (sink === undefined) return
  const known = tx.one<{ counter: number }>(selectConsumer, sink.id, item.consumer)
  if (item.counter !== undefined && known?.counter !== item.counter) return
  tx.run(deleteConsumer, sink.id, item.consumer)
  tx.run(orphanDeliveries, longAgo, sink.id, item.consumer)
}

export const destroySink = (tx: Tx, item: { stream: string; sink: string }): void => {
  const sink = findSink(tx, item.stream, item.sink)
  if (sink !== undefined) dropSink(tx, sink.id)
}
