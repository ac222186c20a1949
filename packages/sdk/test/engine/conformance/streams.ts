import { expect, test } from "vitest"
import type { SinkTake, StreamAppend, StreamEvent } from "../../../src/engine/event-streams.ts"
import { positionOf } from "../../../src/engine/event-streams.ts"
import { Heard, only, type World } from "../world.ts"

export function streamConformance(world: () => World): void {
  const append = async (payloads: ReadonlyArray<string>, more: Partial<StreamAppend> = {}) => {
    const events = payloads.map((payload) => ({ topic: "t", payload }))
    const id = `id-${world().next()}`
    const item = { stream: "s", id, retention: 60_000, maxLength: 1000, maxAge: 1e9, events, ...more }
    return only(await world().engine.appendStreams(world().pool, [item]))
  }
  const read = async (after = "", limit = 100, maxBytes = 1e6, stream = "s") =>
    only(await world().other.readStreams(world().pool, [{ stream, after, limit, maxBytes }]))
  const payloads = (events: ReadonlyArray<StreamEvent>) => events.map(({ payload }) => payload)
  const joinSink = (consumer: string, start = "", sink = "k") =>
    world().engine.joinSinks(world().pool, [{ stream: "s", sink, consumer, start }])
  const take = async (consumer: string, more: Partial<SinkTake> = {}) => {
    const request = `r-${world().next()}`
    const item = { stream: "s", sink: "k", consumer, request, limit: 10, maxBytes: 1e6, ...more }
    const reply = only(await world().engine.takeEvents(world().pool, [item]))
    return reply.status === "taken" ? reply.events : "removed"
  }
  const ack = (positions: ReadonlyArray<string>) => world().other.ackEvents(world().pool, [{ stream: "s", sink: "k", positions }])
  const given = (events: Awaited<ReturnType<typeof take>>) => (events === "removed" ? events : payloads(events))

  test("events are read in the order of their positions, which hold time and number", async () => {
    const w = world()
    expect(await append(["a", "b"])).toEqual({ first: positionOf(w.now, 1), last: positionOf(w.now, 2) })
    w.now += 5
    await append(["", "ü\t\n"], { stream: "s" })
    const { events, lost } = await read()
    expect(lost).toBe(0)
    expect(events).toEqual([
      { position: positionOf(w.now - 5, 1), at: w.now - 5, topic: "t", payload: "a" },
      { position: positionOf(w.now - 5, 2), at: w.now - 5, topic: "t", payload: "b" },
      { position: positionOf(w.now, 3), at: w.now, topic: "t", payload: "" },
      { position: positionOf(w.now, 4), at: w.now, topic: "t", payload: "ü\t\n" },
    ])
    expect(payloads((await read(events[1]?.position)).events)).toEqual(["", "ü\t\n"])
    expect(payloads((await read(positionOf(w.now, 0))).events), "since a time").toEqual(["", "ü\t\n"])
    expect(payloads((await read("", 3)).events)).toEqual(["a", "b", ""])
    expect(await w.engine.lastPositions(w.pool, ["s", "none"])).toEqual([events[3]?.position, ""])
    expect(await read("", 1, 1, "none")).toEqual({ events: [], lost: 0 })
    w.now -= 100
    await append(["late"])
    expect(payloads((await read(events[3]?.position)).events), "a clock that goes back does not reorder").toEqual(["late"])
  })

  test("a repeated append appends nothing, and answers as the first time", async () => {
    const first = await append(["a", "b"], { id: "same" })
    await append(["c"])
    expect(await append(["a", "b"], { id: "same" })).toEqual(first)
    expect(payloads((await read()).events)).toEqual(["a", "b", "c"])
    world().now += 60_001
    await append(["x"], { id: "same" })
    expect(payloads((await read()).events)).toEqual(["a", "b", "c", "x"])
  })

  test("many events in one call, over the limits of a batch, keep their order per stream", async () => {
    const w = world()
    const items = Array.from({ length: 500 }, (_, n) => ({
      stream: n % 2 ? "odd" : "even",
      id: `id-${n}`,
      retention: 1000,
      maxLength: 1000,
      maxAge: 1e9,
      events: [{ topic: "", payload: String(n).padEnd(1500, ".") }],
    }))
    const replies = await w.engine.appendStreams(w.pool, items)
    expect(replies[499]?.last).toBe(positionOf(w.now, 250))
    const numbers: number[] = []
    for (let after = ""; ;) {
      const { events } = await read(after, 60, 30_000, "odd")
      if (events.length === 0) break
      expect(events.length).toBeLessThanOrEqual(40)
      numbers.push(...events.map(({ payload }) => Number.parseInt(payload, 10)))
      after = events.at(-1)?.position ?? ""
    }
    expect(numbers).toEqual(Array.from({ length: 250 }, (_, n) => 2 * n + 1))
  })

  test("retention by length and by age removes the oldest, and a reader learns how many it lost", async () => {
    const w = world()
    const { first } = await append(["1", "2", "3"], { maxLength: 3 })
    await append(["4", "5"], { maxLength: 3 })
    expect(await read(first)).toMatchObject({ lost: 1, events: [{ payload: "3" }, { payload: "4" }, { payload: "5" }] })
    expect((await read()).lost, "who began nowhere lost nothing").toBe(0)
    w.now += 1000
    await append(["6"], { maxAge: 999 })
    expect(payloads((await read()).events)).toEqual(["6"])
    w.now += 1000
    await w.engine.trimStreams(w.pool, [
      { stream: "s", maxLength: 10, maxAge: 500 },
      { stream: "none", maxLength: 1, maxAge: 1 },
    ])
    expect((await read()).events).toEqual([])
    expect(await append(["7"])).toMatchObject({ last: positionOf(w.now, 7) })
    expect((await read(first)).lost).toBe(5)
  })

  test("an append is heard by who listens to its stream", async () => {
    const w = world()
    const heard = new Heard<string>()
    const stop = await w.other.onAppend(w.pool, "s", () => heard.listener("s"))
    await w.other.onAppend(w.pool, "other", () => heard.listener("other"))
    await append(["a"])
    await heard.until((all) => all.length > 0)
    expect(heard.all).toEqual(["s"])
    await stop()
  })

  test("a destroyed stream is gone with its sinks, and begins anew", async () => {
    const w = world()
    await joinSink("c1")
    await append(["a"])
    await take("c1")
    await w.engine.destroyStreams(w.pool, ["s", "none"])
    expect(await read()).toEqual({ events: [], lost: 0 })
    expect(await take("c1")).toBe("removed")
    w.now += 1
    await append(["b"])
    expect(payloads((await read()).events)).toEqual(["b"])
  })

  test("consumers of a sink share the events; another sink gets them all", async () => {
    await append(["1", "2", "3"])
    await joinSink("c1")
    await joinSink("c2")
    await joinSink("o1", "", "other")
    expect(given(await take("c1", { limit: 2 }))).toEqual(["1", "2"])
    expect(given(await take("c2", { limit: 2 }))).toEqual(["3"])
    expect(given(await take("c1"))).toEqual([])
    expect(given(await take("o1", { sink: "other" }))).toEqual(["1", "2", "3"])
    await append(["4"])
    expect(given(await take("c2"))).toEqual(["4"])
    expect(await take("unknown")).toBe("removed")
    expect(await take("c1", { sink: "unknown" })).toBe("removed")
    expect(await take("c1", { stream: "unknown" })).toBe("removed")
  })

  test("a sink begins where it is told, once", async () => {
    const { last } = await append(["1", "2"])
    await joinSink("c1", last)
    await joinSink("c2", "")
    await append(["3"])
    expect(given(await take("c2"))).toEqual(["3"])
  })

  test("a repeated take gives the same events again", async () => {
    await append(["1", "2", "3"])
    await joinSink("c1")
    const first = await take("c1", { request: "same", limit: 2 })
    expect(await take("c1", { request: "same", limit: 2 })).toEqual(first)
    expect(given(await take("c1", { request: "next" }))).toEqual(["3"])
  })

  test("what is held for too long is given again, oldest first, until it is acknowledged", async () => {
    const w = world()
    await append(["1", "2", "3"])
    await joinSink("c1")
    await joinSink("c2")
    const events = await take("c1", { limit: 2 })
    if (events === "removed") throw new Error("a new consumer was removed")
    expect(events.map(({ deliveries }) => deliveries)).toEqual([1, 1])
    w.now += 900
    expect(given(await take("c2", { graceMs: 1000 }))).toEqual(["3"])
    await ack([events[0]?.position ?? ""])
    w.now += 100
    const again = await take("c2", { graceMs: 1000 })
    expect(again).toMatchObject([{ payload: "2", deliveries: 2 }])
    expect(given(await take("c2", { graceMs: 1000 })), "held by the other now").toEqual([])
    await ack(events.map(({ position }) => position))
    await ack(events.map(({ position }) => position))
    w.now += 5000
    expect(given(await take("c1", { graceMs: 1000 }))).toEqual(["3"])
  })

  test("a consumer whose counter stands still is removed, and what it held is given to others at once", async () => {
    const w = world()
    await append(["1", "2", "3"])
    await joinSink("c1")
    await joinSink("c2")
    await take("c1", { limit: 2 })
    const beat = async (consumer: string) => only(await w.other.beatSinks(w.pool, [{ stream: "s", sink: "k", consumer }]))
    await beat("c1")
    expect(await beat("c2")).toEqual(
      new Map([
        ["c1", 2],
        ["c2", 2],
      ]),
    )
    await w.other.leaveSinks(w.pool, [{ stream: "s", sink: "k", consumer: "c1", counter: 1 }])
    expect(given(await take("c1", { limit: 1 })), "it moved").toEqual(["3"])
    await w.other.leaveSinks(w.pool, [{ stream: "s", sink: "k", consumer: "c1", counter: 2 }])
    expect(await take("c1")).toBe("removed")
    expect(await beat("c1"), "never again").toEqual(new Map([["c2", 2]]))
    expect(given(await take("c2", { graceMs: 0, limit: 2 }))).toEqual(["1", "2"])
    expect(given(await take("c2", { graceMs: 0 }))).toEqual(["3"])
    await joinSink("c1")
    expect(given(await take("c1", { graceMs: 0 }))).toEqual([])
  })

  test("what retention took before it was acknowledged is not given again", async () => {
    const w = world()
    await append(["1", "2"])
    await joinSink("c1")
    await take("c1")
    await append(["3"], { maxLength: 2 })
    w.now += 1000
    expect(given(await take("c1", { graceMs: 500 }))).toEqual(["2", "3"])
    await w.engine.destroySinks(w.pool, [{ stream: "s", sink: "k" }])
    expect(await take("c1")).toBe("removed")
    await joinSink("c1")
    expect(given(await take("c1"))).toEqual(["2", "3"])
  })
}
