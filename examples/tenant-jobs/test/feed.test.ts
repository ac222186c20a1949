import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { eventBody } from "../src/emission.ts"
import { connectFeed, type Feed } from "../src/feed.ts"
import { parseRecords, type DeliveryRecord } from "../src/records.ts"
import { httpSink } from "../src/sink.ts"
import { startUpstream } from "../src/upstream.ts"

let directory: string
let upstream: Awaited<ReturnType<typeof startUpstream>>
let feeds: Feed[]
const stop = new AbortController()

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "ponos-feed-"))
  upstream = await startUpstream({ emission: { meanMs: 4 }, log: join(directory, "deliveries.ndjson") })
  feeds = []
})

afterEach(async () => {
  for (const feed of feeds) await feed.end()
  await upstream.close()
  await rm(directory, { recursive: true })
})

const connect = async (after: number, abortSignal = stop.signal) => {
  const feed = await connectFeed(`${upstream.url}/feeds/acme/events`, after, abortSignal)
  feeds.push(feed)
  return feed
}
const read = (feed: Feed, after: number, limit = 10, waitMs = 5_000) => feed.read({ after, limit, waitMs, abortSignal: stop.signal })
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i)

describe("a feed over HTTP", () => {
  test("gives numbered events from any cursor, without a gap", async () => {
    const feed = await connect(0)
    const first = await read(feed, 0)
    expect(first).toEqual({ events: range(1, 10).map((number) => ({ number, body: eventBody("acme", number) })), next: 10, gone: false })
    expect((await read(feed, 10)).events.map(({ number }) => number)).toEqual(range(11, 20))
    expect((await read(await connect(7), 7, 3)).events.map(({ number }) => number)).toEqual([8, 9, 10])
  })

  test("goes back to an earlier cursor when an attempt is repeated", async () => {
    const feed = await connect(0)
    await read(feed, 0)
    expect((await read(feed, 4, 3)).events.map(({ number }) => number)).toEqual([5, 6, 7])
  })

  test("gives what there is when the time is over, and says nothing when there is nothing", async () => {
    const feed = await connect(0)
    await fetch(`${upstream.url}/stop`, { method: "POST" })
    const { next } = await read(feed, 0, 500, 200)
    expect(next).toBeLessThan(500)
    expect(await read(feed, next, 10, 50)).toEqual({ events: [], next, gone: false })
  })

  test("ends a read at once when it is aborted", async () => {
    const abort = new AbortController()
    const feed = await connect(0, abort.signal)
    const pending = feed.read({ after: 0, limit: 500, waitMs: 60_000, abortSignal: stop.signal })
    abort.abort(new Error("the shard moves"))
    await expect(pending).rejects.toThrow("the shard moves")
  })

  test("says that a feed was closed for ever", async () => {
    await fetch(`${upstream.url}/feeds/acme`, { method: "DELETE" })
    expect(await read(await connect(0), 0)).toEqual({ events: [], next: 0, gone: true })
  })
})

describe("deliveries over HTTP", () => {
  const events = (...numbers: number[]) => numbers.map((number) => ({ number, body: eventBody("acme", number) }))
  const post = (fence: bigint, ...numbers: number[]) =>
    httpSink(upstream.url).post({ tenant: "acme", label: "v1", id: "call", fence, events: events(...numbers), abortSignal: stop.signal })

  test("are accepted once, refused when stale or damaged, and all written down", async () => {
    await read(await connect(0), 0)
    expect(await post(2n, 1, 2)).toEqual({ accepted: 2 })
    expect(await post(2n, 2, 3)).toEqual({ accepted: 2 })
    await expect(post(1n, 4)).rejects.toThrow("the receiver answered 409: fence 1 is older than 2")
    expect(await post(2n, 1_000_000)).toEqual({ rejected: "event 1000000 of acme was not emitted like this" })
    const log = parseRecords<DeliveryRecord>(await readFile(join(directory, "deliveries.ndjson"), "utf8"))
    expect(log.map(({ status, accepted, redelivered }) => ({ status, accepted, redelivered }))).toEqual([
      { status: 200, accepted: [1, 2], redelivered: [] },
      { status: 200, accepted: [3], redelivered: [2] },
      { status: 409, accepted: [], redelivered: [] },
      { status: 422, accepted: [], redelivered: [] },
    ])
  })
})
