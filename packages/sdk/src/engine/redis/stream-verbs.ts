/** Streams and their sinks: one call for each stream, all calls of a verb in one turn. */
import type {
  Retention,
  SinkConsumer,
  SinkTake,
  SinkTakeReply,
  StreamAppend,
  StreamEvent,
  StreamRead,
  StreamReadReply,
} from "../event-streams.ts"
import { lostBetween, parsePosition } from "../event-streams.ts"
import { maxBytes, maxItems } from "./batch.ts"
import type { PoolStore } from "./pool-verbs.ts"
import { type Script, scripts } from "./scripts.ts"

const run = async (
  { link, keys, now }: PoolStore,
  script: Script,
  stream: string,
  args: ReadonlyArray<string | number>,
): Promise<unknown> => await link.run(script, [keys.stream(stream)], [now, ...args.map(String)])

/** Calls of one stream are sent in order. */
const each = async <Item, Reply>(items: ReadonlyArray<Item>, call: (item: Item) => Promise<Reply>): Promise<ReadonlyArray<Reply>> =>
  await Promise.all(items.map(call))

interface AppendCall {
  readonly stream: string
  readonly args: Array<string | number>
  readonly places: number[]
  events: number
  bytes: number
}

export async function appendStreams(
  store: PoolStore,
  items: ReadonlyArray<StreamAppend>,
): Promise<ReadonlyArray<{ readonly first: string; readonly last: string }>> {
  const calls: AppendCall[] = []
  const open = new Map<string, AppendCall>()
  items.forEach(({ stream, id, retention, maxLength, maxAge, events }, place) => {
    const bytes = events.reduce((sum, event) => sum + event.payload.length, 0)
    let call = open.get(stream)
    if (call === undefined || call.events + events.length > maxItems || call.bytes + bytes > maxBytes) {
      call = { stream, args: [], places: [], events: 0, bytes: 0 }
      open.set(stream, call)
      calls.push(call)
    }
    call.args.push(events.length, id, retention, maxLength, maxAge)
    for (const { topic, payload } of events) call.args.push(topic, payload)
    call.places.push(place)
    call.events += events.length
    call.bytes += bytes
  })
  const replies: Array<{ readonly first: string; readonly last: string }> = []
  await each(calls, async ({ stream, args, places }) => {
    const answers = (await run(store, scripts.append_stream, stream, args)) as ReadonlyArray<ReadonlyArray<string>>
    places.forEach((place, n) => {
      const [firstAt, first, lastAt, last] = answers[n] ?? []
      replies[place] = { first: `${firstAt}-${first}`, last: `${lastAt}-${last}` }
    })
  })
  return replies
}

const eventOf = (reply: ReadonlyArray<unknown>, at: number): StreamEvent => {
  const position = String(reply[at])
  return { position, at: parsePosition(position).at, topic: String(reply[at + 1]), payload: String(reply[at + 2]) }
}

export async function readStreams(store: PoolStore, items: ReadonlyArray<StreamRead>): Promise<ReadonlyArray<StreamReadReply>> {
  return await each(items, async (item) => {
    const reply = (await run(store, scripts.read_stream, item.stream, [item.after, item.limit, item.maxBytes])) as ReadonlyArray<unknown>
    const events: StreamEvent[] = []
    for (let n = 0; n < reply.length; n += 3) events.push(eventOf(reply, n))
    return { events, lost: lostBetween(item.after, events[0]) }
  })
}

export async function lastPositions({ link, keys }: PoolStore, streams: ReadonlyArray<string>): Promise<ReadonlyArray<string>> {
  return await each(streams, async (stream) => {
    const [at, number] = (await link.command("hmget", [`${keys.stream(stream)}m`, "at", "number"])) as ReadonlyArray<string | null>
    return typeof at === "string" ? `${at}-${number}` : ""
  })
}

export async function trimStreams(store: PoolStore, items: ReadonlyArray<Retention & { readonly stream: string }>): Promise<void> {
  await each(items, ({ stream, maxLength, maxAge }) => run(store, scripts.trim_stream, stream, [maxLength, maxAge]))
}

export async function destroyStreams(store: PoolStore, streams: ReadonlyArray<string>): Promise<void> {
  await each(streams, (stream) => run(store, scripts.destroy_stream, stream, []))
}

export async function joinSinks(store: PoolStore, items: ReadonlyArray<SinkConsumer & { readonly start: string }>): Promise<void> {
  await each(items, ({ stream, sink, consumer, start }) => run(store, scripts.join_sink, stream, [sink, consumer, start]))
}

export async function takeEvents(store: PoolStore, items: ReadonlyArray<SinkTake>): Promise<ReadonlyArray<SinkTakeReply>> {
  return await each(items, async (item): Promise<SinkTakeReply> => {
    const { sink, consumer, request, limit, maxBytes: bytes, graceMs } = item
    const reply = await run(store, scripts.take_events, item.stream, [sink, consumer, request, limit, bytes, graceMs ?? ""])
    if (!Array.isArray(reply)) return { status: "removed" }
    const events: Array<StreamEvent & { readonly deliveries: number }> = []
    for (let n = 0; n < reply.length; n += 4) events.push({ ...eventOf(reply, n), deliveries: Number(reply[n + 3]) })
    return { status: "taken", events }
  })
}

export async function ackEvents(
  { link, keys }: PoolStore,
  items: ReadonlyArray<{ readonly stream: string; readonly sink: string; readonly positions: ReadonlyArray<string> }>,
): Promise<void> {
  await each(
    items.filter(({ positions }) => positions.length > 0),
    ({ stream, sink, positions }) => link.command("xack", [`${keys.stream(stream)}l`, sink, ...positions]),
  )
}

export async function beatSinks(store: PoolStore, items: ReadonlyArray<SinkConsumer>): Promise<ReadonlyArray<ReadonlyMap<string, number>>> {
  return await each(items, async ({ stream, sink, consumer }) => {
    const reply = (await run(store, scripts.beat_sink, stream, [sink, consumer])) as ReadonlyArray<string>
    const counters = new Map<string, number>()
    for (let n = 0; n < reply.length; n += 2) counters.set(String(reply[n]), Number(reply[n + 1]))
    return counters
  })
}

export async function leaveSinks(store: PoolStore, items: ReadonlyArray<SinkConsumer & { readonly counter?: number }>): Promise<void> {
  await each(items, ({ stream, sink, consumer, counter }) => run(store, scripts.leave_sink, stream, [sink, consumer, counter ?? ""]))
}

export async function destroySinks(
  store: PoolStore,
  items: ReadonlyArray<{ readonly stream: string; readonly sink: string }>,
): Promise<void> {
  await each(items, ({ stream, sink }) => run(store, scripts.destroy_sink, stream, [sink]))
}
