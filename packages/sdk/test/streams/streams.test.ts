import { afterAll, beforeAll, describe, expect, test, vi } from "vitest"
import { describeRedis, uniqueName } from "../../../../tools/with-redis.ts"
import { openStreams, type SinkEvent } from "../../src/streams/index.ts"
import { Peers } from "../../src/streams/peers.ts"
import { describeOwnRedis, ownRedis, type OwnRedis } from "../engine/redis-server.ts"
import { fileStore, memoryStore, redisStore } from "../engine/stores.ts"
import type { TestStore } from "../engine/world.ts"
import { first, processes, texts } from "./suite.ts"

function readers(store: () => TestStore): void {
  const { open } = processes(store)

  test("two readers see every event, in order, and the payload as it was given", async () => {
    const [a, b] = [await open(), await open()]
    const oldest = b.streams.reader("s", { start: "oldest" })
    const newest = a.streams.reader("s")
    await a.streams.append("s", "before")
    const later = first(newest.events(), 2)
    await vi.waitFor(async () => {
      await a.streams.append("s", "again", { topic: "t" })
      expect(await Promise.race([later, new Promise((resolve) => setTimeout(resolve, 50, undefined))])).toBeDefined()
    })
    expect(texts(await later)).toEqual(["again", "again"])
    const bytes = new Uint8Array([0, 255, 128, 10])
    await a.streams.appendMany("s", [{ payload: bytes }, { payload: "ü\0." }])
    const all = await first(oldest.events(), 3)
    expect(texts(all).slice(0, 2)).toEqual(["before", "again"])
    const own = await first(b.streams.reader("s", { start: { after: all[0]?.id ?? "" } }).events(), 1)
    expect([own[0]?.text, own[0]?.topic, own[0]?.stream, own[0]?.id]).toEqual(["again", "t", "s", all[1]?.id])
    for await (const event of oldest.events()) {
      if (event.text === "ü\0.") {
        expect(event.bytes).toEqual(new TextEncoder().encode("ü\0."))
        break
      }
      if (event.text !== "again") expect(event.bytes).toEqual(bytes)
    }
  })

  test("a reader begins at the oldest, the newest, an id or a time", async () => {
    const { streams } = await open()
    const { id } = await streams.append("s", "1")
    await new Promise((resolve) => setTimeout(resolve, 5))
    const { at } = await streams.append("s", "2")
    await streams.append("s", "3")
    const since = async (start: Parameters<typeof streams.reader>[1]) => texts(await first(streams.reader("s", start).events(), 2))
    expect(await since({ start: "oldest" })).toEqual(["1", "2"])
    expect(await since({ start: { after: id } })).toEqual(["2", "3"])
    expect(await since({ start: { at: new Date(at) } })).toEqual(["2", "3"])
    for (const start of [{ after: "x" }, { at: new Date(Number.NaN) }, "first"])
      expect(() => streams.reader("s", { start: start as never })).toThrow("expected start to be")
  })

  test("one reader reads several streams, and filters topics by name and pattern", async () => {
    const { streams } = await open({ streamBatch: 3 })
    for (const n of [1, 2, 3, 4]) {
      await streams.append("a", `a${n}`, { topic: n % 2 ? "order.created" : "order.paid" })
      await streams.append("b", `b${n}`, { topic: n % 2 ? "user" : "users" })
    }
    const read = async (topic: Parameters<typeof streams.reader>[1], count: number) => {
      const events = await first(streams.reader(["a", "b"], { start: "oldest", ...topic }).events(), count)
      const of = (stream: string) => texts(events.filter((event) => event.stream === stream))
      return [of("a"), of("b")]
    }
    expect(await read({}, 8)).toEqual([
      ["a1", "a2", "a3", "a4"],
      ["b1", "b2", "b3", "b4"],
    ])
    expect(await read({ topic: "user" }, 2)).toEqual([[], ["b1", "b3"]])
    expect(await read({ topic: /^order\./g }, 4)).toEqual([["a1", "a2", "a3", "a4"], []])
    expect(await read({ topic: [/paid$/, "users"] }, 4)).toEqual([
      ["a2", "a4"],
      ["b2", "b4"],
    ])
  })

  test("an aborted reader ends without an error, and goes on where it was", async () => {
    const { streams } = await open()
    const reader = streams.reader("s", { start: "oldest" })
    await streams.appendMany("s", [{ payload: "1" }, { payload: "2" }])
    const stop = new AbortController()
    const seen: string[] = []
    const loop = (async () => {
      for await (const event of reader.events({ abortSignal: stop.signal })) seen.push(event.text)
    })()
    await vi.waitFor(() => expect(seen).toEqual(["1", "2"]))
    await expect(reader.events().next()).rejects.toMatchObject({ _tag: "NotAllowed" })
    stop.abort()
    await loop
    await streams.append("s", "3")
    expect(texts(await first(reader.events(), 1))).toEqual(["3"])
  })

  test("a slow reader holds one page; what retention takes meanwhile it is told, to the event", async () => {
    const { streams } = await open({ streamBatch: 2, streamLength: 5 })
    const lost: unknown[] = []
    const reader = streams.reader("s", { start: "oldest", onLost: (event) => lost.push(event) })
    await streams.appendMany(
      "s",
      ["1", "2", "3"].map((payload) => ({ payload })),
    )
    const loop = reader.events()
    expect((await loop.next()).value?.text).toBe("1")
    await streams.appendMany(
      "s",
      ["4", "5", "6", "7", "8", "9", "10"].map((payload) => ({ payload })),
    )
    const rest: string[] = []
    for await (const event of loop) if (rest.push(event.text) === 6) break
    expect(rest, "2 was in its page; 3 to 5 are gone").toEqual(["2", "6", "7", "8", "9", "10"])
    expect([reader.lost, lost]).toEqual([3, [{ stream: "s", events: 3 }]])
  })

  test("events over their age leave with the next append, or a trim, and a reader is told how many", async () => {
    const { streams } = await open({ streamAgeMs: 1_000, streamBatch: 1 })
    const { at } = await streams.append("s", "old")
    await streams.append("s", "old too")
    const reader = streams.reader("s", { start: "oldest" })
    expect(texts(await first(reader.events(), 1))).toEqual(["old"])
    // nothing but age takes them: the store's clock is read from what it accepts elsewhere
    await vi.waitFor(async () => expect((await streams.append("clock", "x")).at).toBeGreaterThan(at + 1_100), {
      timeout: 10_000,
      interval: 100,
    })
    expect(texts(await first(streams.reader("s", { start: "oldest" }).events(), 2)), "no append came, and no trim").toEqual([
      "old",
      "old too",
    ])
    await streams.trim("s")
    await streams.append("s", "new")
    expect(texts(await first(reader.events(), 1))).toEqual(["new"])
    expect(reader.lost).toBe(1)
    expect(texts(await first(streams.reader("s", { start: "oldest" }).events(), 1))).toEqual(["new"])
  })

  test("a repeated append counts once; limits and names are checked", async () => {
    const { streams } = await open({ payloadBytes: 1024 })
    const once = await streams.append("s", "1", { id: "request-1" })
    expect(await streams.append("s", "1", { id: "request-1" })).toEqual(once)
    const { id } = await streams.append("s", "2")
    expect(id).not.toBe(once.id)
    expect(texts(await first(streams.reader("s", { start: "oldest" }).events(), 2))).toEqual(["1", "2"])
    await expect(streams.append("s", "x".repeat(1025))).rejects.toMatchObject({ _tag: "PayloadTooLarge" })
    await expect(streams.append("s", 1 as never)).rejects.toMatchObject({ _tag: "BadInput" })
    await expect(streams.append("{s}", "x")).rejects.toMatchObject({ _tag: "BadOption" })
    await expect(streams.append("s", "x", { topic: "\n" })).rejects.toMatchObject({ _tag: "BadKey" })
    await expect(streams.appendMany("s", [])).rejects.toMatchObject({ _tag: "BadInput" })
  })

  test("writers at the same time lose nothing, and each one's order stays", async () => {
    const reading = await open()
    const writers = [reading, await open(), await open()]
    await Promise.all(
      writers.map(({ streams }, n) => Promise.all(Array.from({ length: 100 }, (_, m) => streams.append("s", `${m}`, { topic: `w${n}` })))),
    )
    const events = await first(reading.streams.reader("s", { start: "oldest" }).events(), 300)
    for (const n of [0, 1, 2])
      expect(texts(events.filter(({ topic }) => topic === `w${n}`))).toEqual(Array.from({ length: 100 }, (_, m) => `${m}`))
  })
}

function sinks(store: () => TestStore): void {
  const { open } = processes(store)
  const quick = { streamPollMs: 20, consumerLeaseMs: 300 }

  test("consumers share the events of several streams; each is done once", async () => {
    const [a, b] = [await open({ sinkBatch: 4 }), await open({ sinkBatch: 4 })]
    const stop = new AbortController()
    const done: Array<readonly [string, string]> = []
    const loops = [a, b].map(async ({ streams }, n) => {
      const sink = await streams.sink("k", ["x", "y"])
      for await (const event of sink.events({ abortSignal: stop.signal })) {
        done.push([`c${n}`, event.text])
        await new Promise((resolve) => setTimeout(resolve, 1))
        await event.ack()
      }
    })
    const all = Array.from({ length: 60 }, (_, n) => `${n}`)
    for (const text of all) await a.streams.append(Number(text) % 2 ? "x" : "y", text)
    await vi.waitFor(() => expect(done.length).toBe(60), 5000)
    stop.abort()
    await Promise.all(loops)
    expect(done.map(([, text]) => text).toSorted()).toEqual(all.toSorted())
    expect(new Set(done.map(([consumer]) => consumer)).size, "both took part").toBe(2)
  })

  test("what is not acknowledged within the grace is given again, and says so", async () => {
    const [a, b] = [await open({ ...quick, ackGraceMs: 200, sinkBatch: 1 }), await open({ ...quick, ackGraceMs: 200, sinkBatch: 1 })]
    await a.streams.append("s", "1")
    const one = await a.streams.sink("k", "s")
    const two = await b.streams.sink("k", "s")
    const [event] = await first(one.events(), 1)
    const [again] = await first(two.events(), 1)
    expect([event?.text, event?.deliveries, again?.text, again?.deliveries]).toEqual(["1", 1, "1", 2])
    await again?.ack()
    await again?.ack()
    await a.streams.append("s", "2")
    expect(texts(await first(two.events(), 1))).toEqual(["2"])
  })

  test("a killed consumer is removed by its silence, and what it held goes to the others", async () => {
    const [a, b] = [await open(quick), await open(quick)]
    await a.streams.appendMany(
      "s",
      ["1", "2", "3"].map((payload) => ({ payload })),
    )
    const dying = await a.streams.sink("k", "s")
    expect(texts(await first(dying.events(), 1))).toEqual(["1"])
    const alive = await b.streams.sink("k", "s")
    await a.kill()
    const events = await first(alive.events(), 3)
    expect(texts(events), "long before the grace of 30 s").toEqual(["1", "2", "3"])
    await Promise.all(events.map((event) => event.ack()))
    await b.streams.append("s", "4")
    expect(texts(await first(alive.events(), 1))).toEqual(["4"])
  })

  test("a consumer that closes hands over at once; one that was removed comes back", async () => {
    const [a, b] = [await open(quick), await open(quick)]
    await a.streams.appendMany(
      "s",
      ["1", "2"].map((payload) => ({ payload })),
    )
    const one = await a.streams.sink("k", "s")
    await first(one.events(), 1)
    await one.close()
    const two = await b.streams.sink("k", "s")
    const events = await first(two.events(), 2)
    expect(texts(events)).toEqual(["1", "2"])
    for (const event of events) await event.ack()
    await a.streams.destroySink("k", "s")
    await a.streams.append("s", "3")
    expect(texts(await first(two.events(), 3)), "the sink began anew").toEqual(["1", "2", "3"])
  })

  test("topics that a sink does not want count as acknowledged; a sink begins where it is told", async () => {
    const { streams } = await open({ ...quick, ackGraceMs: 100 })
    await streams.append("s", "0", { topic: "a" })
    const sink = await streams.sink("k", "s", { topic: /^a/, start: "newest" })
    for (const [n, topic] of ["a", "b", "ab", "ba"].entries()) await streams.append("s", `${n + 1}`, { topic })
    const events = await first(sink.events(), 2)
    expect(texts(events)).toEqual(["1", "3"])
    for (const event of events) await event.ack()
    await streams.append("s", "5", { topic: "a" })
    const more: SinkEvent[] = await first(sink.events(), 2)
    expect(texts(more), "only what is not acknowledged comes again").toEqual(["5", "5"])
  })
}

describe("in memory", () => {
  let store: TestStore | undefined
  describe("readers", () => readers(() => (store ??= memoryStore())))
  describe("sinks", () => sinks(() => (store ??= memoryStore())))
})

describe("in a file", () => {
  let file: Awaited<ReturnType<typeof fileStore>>
  beforeAll(async () => {
    file = await fileStore()
  })
  afterAll(() => file.clean())
  describe("readers", () => readers(() => file))
  describe("sinks", () => sinks(() => file))
})

describeRedis("in Redis", () => {
  let store: TestStore | undefined
  describe("readers", () => readers(() => (store ??= redisStore())))
  describe("sinks", () => sinks(() => (store ??= redisStore())))
})

describeOwnRedis("while Redis restarts", () => {
  let redis: OwnRedis
  beforeAll(async () => {
    redis = await ownRedis({ appendonly: "yes", appendfsync: "always" })
  })
  afterAll(() => redis.stop())

  test("readers and sinks go on", async () => {
    const streams = await openStreams({ pool: uniqueName("streams"), store: redis.url, streamPollMs: 50 })
    const stop = new AbortController()
    try {
      const reader = streams.reader("s", { start: "oldest" })
      const sink = await streams.sink("k", "s")
      const [read, done]: [string[], string[]] = [[], []]
      const loops = [
        (async () => {
          for await (const event of reader.events({ abortSignal: stop.signal })) read.push(event.text)
        })(),
        (async () => {
          for await (const event of sink.events({ abortSignal: stop.signal })) {
            done.push(event.text)
            await event.ack()
          }
        })(),
      ]
      await streams.append("s", "1")
      await redis.restart(100)
      await streams.append("s", "2")
      await vi.waitFor(
        () =>
          expect([read, done]).toEqual([
            ["1", "2"],
            ["1", "2"],
          ]),
        5000,
      )
      stop.abort()
      await Promise.all(loops)
    } finally {
      stop.abort()
      await streams.close()
    }
  })
})

test("a consumer is dead when its counter stood still for a lease on the observer's own clock", () => {
  const peers = new Peers(100)
  expect(peers.look(new Map(Object.entries({ a: 1, b: 1 })), 1000)).toEqual([])
  expect(peers.look(new Map(Object.entries({ a: 2, b: 1 })), 1099)).toEqual([])
  expect(peers.look(new Map(Object.entries({ a: 2, b: 1, c: 9 })), 1100)).toEqual([{ consumer: "b", counter: 1 }])
  expect(peers.look(new Map(Object.entries({ b: 1, c: 9 })), 1150)).toEqual([{ consumer: "b", counter: 1 }])
  expect(peers.look(new Map(Object.entries({ a: 2, c: 10 })), 9000), "a came back: it is new").toEqual([])
})
