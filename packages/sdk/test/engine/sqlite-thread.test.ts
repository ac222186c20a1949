/** The engine of a file in a thread of its own (S9): it answers as the one in process does, and leaves the main loop free. */
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { pathToFileURL } from "node:url"
import { afterAll, afterEach, expect, test, vi } from "vitest"
import type { Engine, EngineOptions } from "../../src/engine/engine.ts"
import { openSqliteEngine } from "../../src/engine/sqlite/sqlite-engine.ts"
import { listening, verbs } from "../../src/engine/sqlite/thread-messages.ts"
import { PoolMismatch, StoreUnavailable } from "../../src/errors.ts"

const folder = mkdtempSync(join(tmpdir(), "ponos-thread-"))
afterAll(() => rmSync(folder, { recursive: true }))
let files = 0
const freshPath = (): string => join(folder, `store-${++files}.db`)
const opened: Engine[] = []
const open = async (path: string, options: EngineOptions = {}): Promise<Engine> => {
  const engine = await openSqliteEngine(`file:${path}`, { ownThread: true, ...options })
  opened.push(engine)
  return engine
}
afterEach(async () => {
  for (const engine of opened.splice(0)) await engine.close()
})

const run = (n: number | string, shard = 0) => ({ shard, address: `job/${n}`, run: `run-${n}`, body: `{"n":"${n}"}` })
const message = (n: number, id: string) => ({
  shard: 0,
  address: `job/${n}`,
  kind: "update" as const,
  name: "set",
  id,
  payload: "{}",
  inboxLimit: 10,
  retention: 60_000,
})

/** What every verb answers, one after the other, and what listeners hear. */
const tour = async (engine: Engine): Promise<ReadonlyArray<readonly [string, unknown]>> => {
  const told: Array<readonly [string, unknown]> = []
  const heard: Array<readonly [string, unknown]> = []
  const called = new Set<string>()
  /** Any verb with any arguments: the two engines have one type. */
  const say = async (verb: keyof Engine, ...args: ReadonlyArray<unknown>): Promise<any> => {
    called.add(verb)
    const of = engine[verb] as (...all: ReadonlyArray<unknown>) => Promise<unknown>
    const answer = await of.apply(engine, [...args]).catch((error: unknown) => error)
    told.push([verb, answer])
    return answer
  }
  const listen = async (verb: keyof Engine, ...args: ReadonlyArray<unknown>): Promise<void> => {
    called.add(verb)
    const of = engine[verb] as (...all: ReadonlyArray<unknown>) => Promise<unknown>
    await of.apply(engine, ["p", ...args, (value: unknown) => heard.push([verb, value])])
  }
  await say("openPool", "p", { shards: 4 })
  await say("openPool", "p", { shards: 8 })
  await say("poolInfo", "p")
  await say("poolInfo", "none")
  await say("addKinds", "p", ["job"])
  await say("kinds", "p")
  await listen("onHint", 0)
  await listen("onEvent", 0)
  await listen("subscribe", "news")
  await listen("onMapChange", "m")
  await listen("onAppend", "s")
  await say("join", "p", { session: "s1", record: "{}" })
  await say("updateMember", "p", { session: "s1", record: "{1}" }, "{}")
  await say("renew", "p", "s1")
  await say("members", "p")
  await say("assign", "p", { expectVersion: 0, memberVersion: 2, value: "v" })
  await say("assignment", "p")
  await say("probe", "p", ["nobody"])
  await say("start", "p", [run(1), run(1), run(2), { ...run(3, 1), after: 60_000 }])
  const [claimed] = await say("claim", "p", [{ shard: 0, session: "s1", from: { session: "", epoch: 0 }, knownEpoch: 7_000_000_000_000 }])
  const owner = { shard: 0, session: "s1", epoch: claimed.epoch as number }
  await say("queues", "p", [0, 1])
  await say("take", "p", [{ ...owner, limit: 10, timers: true }])
  await say("take", "p", [{ ...owner, epoch: 1, limit: 10, timers: true }])
  await say("message", "p", [message(1, "m1"), message(9, "m2")])
  const item = {
    address: "job/1",
    run: "run-1",
    revision: "0",
    newRevision: "1.1",
    journalLength: 0,
    append: ["{}"],
    journal: "keep" as const,
    next: { phase: "parked" as const, on: ["go"] },
    consumed: 1,
    seen: 1,
    answers: [{ id: "m1", answer: "yes" }],
    body: "{2}",
  }
  await say("commit", "p", [{ ...owner, items: [item, { ...item, address: "job/2" }] }])
  await say("answers", "p", [
    { shard: 0, id: "m1" },
    { shard: 0, id: "m9" },
  ])
  await say("link", "p", [{ shard: 0, address: "job/2", link: "l", limit: 10, outboxLimit: 10 }])
  await say("forbid", "p", [{ shard: 0, run: "run-3", retention: 1_000 }])
  await say("terminate", "p", [{ shard: 0, address: "job/2", outcome: "gone", newRevision: "x", retention: 1_000 }])
  await say("forward", "p", [{ ...owner, sent: [], limit: 10 }])
  await say("read", "p", [{ shard: 0, address: "job/1" }], { full: true })
  await say("list", "p", 0, "0", 10)
  await say("digests", "p", "c", [0])
  await say("headers", "p", [0, 1])
  await say("sweep", "p", [0, 1])
  await say("trim", "p", [{ ...owner, limit: 10 }])
  await say("changeMaps", "p", [
    {
      map: "m",
      id: "r1",
      retention: 1_000,
      keep: 0,
      maxEntries: 10,
      maxBytes: 1_000,
      operations: [
        { type: "set", key: "k", value: "v" },
        { type: "delete", key: "none" },
      ],
    },
  ])
  await say("readMaps", "p", [{ map: "m" }, { map: "none" }])
  await say("destroyMaps", "p", ["m"])
  const append = { stream: "s", maxLength: 10, maxAge: 60_000, id: "a1", retention: 1_000, events: [{ topic: "t", payload: "1" }] }
  await say("appendStreams", "p", [append])
  await say("readStreams", "p", [{ stream: "s", after: "", limit: 10, maxBytes: 1_000 }])
  await say("lastPositions", "p", ["s", "none"])
  const consumer = { stream: "s", sink: "k", consumer: "c1" }
  await say("joinSinks", "p", [{ ...consumer, start: "" }])
  const [given] = await say("takeEvents", "p", [{ ...consumer, request: "1", limit: 1, maxBytes: 1_000 }])
  await say("beatSinks", "p", [consumer])
  await say("ackEvents", "p", [{ stream: "s", sink: "k", positions: [given.events[0].position as string] }])
  await say("leaveSinks", "p", [consumer])
  await say("destroySinks", "p", [{ stream: "s", sink: "k" }])
  await say("trimStreams", "p", [append])
  await say("destroyStreams", "p", ["s"])
  await say("publish", "p", "news", "hello")
  await say("release", "p", [owner])
  await say("audit", "p", [{ shard: 0, after: 0, limit: 10 }])
  await say("markDead", "p", "s1", 2)
  await say("leave", "p", "s1")
  await vi.waitFor(() => expect(heard.some(([verb]) => verb === "subscribe")).toBe(true))
  expect(
    [...verbs, ...listening].filter((verb) => !called.has(verb)),
    "verbs that the tour leaves out",
  ).toEqual([])
  return [...told, ...heard.toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))]
}

/** Without what differs from store to store: times (and epochs and revisions made of them), and the incarnation. */
const timeless = (value: unknown): unknown => {
  if (typeof value === "number") return value > 1e10 ? "time" : value
  if (typeof value === "string")
    return value
      .replace(/[\da-f]{8}-[\da-f-]{27}/g, "id")
      .replace(/\d{11,}/g, "time")
      .replace(/store-\d+/g, "store")
  if (value instanceof Map) return new Map([...value].map(([key, one]) => [key, timeless(one)]))
  if (value instanceof Error) return timeless(Object.fromEntries([...Object.entries(value), ["message", value.message]]))
  if (Array.isArray(value)) return value.map(timeless)
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, timeless(one)]))
}

test("every verb answers as it does in process, and listeners hear the same", async () => {
  const inProcess = await tour(await open(freshPath(), { ownThread: false }))
  const inThread = await tour(await open(freshPath()))
  expect(timeless(inThread)).toEqual(timeless(inProcess))
})

test("errors keep their tag, code, fate, details and cause across the thread", async () => {
  const path = freshPath()
  const engine = await open(path, { callTimeout: 100 })
  await engine.openPool("p", { shards: 4 })
  const mismatch: unknown = await engine.openPool("p", { shards: 8 }).catch((error: unknown) => error)
  expect(PoolMismatch.is(mismatch)).toBe(true)
  expect(mismatch).toMatchObject({ code: "ponos:pool_mismatch", fate: "terminal", details: { pool: "p", expected: 8, got: 4 } })
  expect(String(mismatch)).toMatch(/^PoolMismatch: PoolMismatch \[ponos:pool_mismatch\] expected pool "p" to have 8 shards, got: 4/)
  const db = new DatabaseSync(path)
  db.exec("BEGIN IMMEDIATE")
  const busy: unknown = await engine.start("p", [run(1)]).catch((error: unknown) => error)
  db.close()
  expect(StoreUnavailable.is(busy)).toBe(true)
  expect(busy).toMatchObject({ fate: "retryable", details: { ms: 100 }, cause: { message: "database is locked" } })
  if (process.platform === "linux") expect(String(busy)).toContain(`process ${process.pid} held the write lock`)
  expect(await engine.start("p", [run(1)])).toEqual([{ status: "started", run: "run-1" }])
})

test("the engines of a file share a thread, which ends with the last; a closed one refuses its calls", async () => {
  const path = freshPath()
  const [first, second] = [await open(path), await open(path)]
  const heard: string[] = []
  await first.subscribe("p", "news", (text) => heard.push(`first ${text}`))
  const end = await second.subscribe("p", "news", (text) => heard.push(`second ${text}`))
  await first.close()
  await first.close()
  await expect(first.kinds("p")).rejects.toMatchObject({ _tag: "StoreUnavailable" })
  await expect(first.onHint("p", 0, () => {})).rejects.toMatchObject({ _tag: "StoreUnavailable" })
  await second.publish("p", "news", "1")
  await vi.waitFor(() => expect(heard).toEqual(["second 1"]))
  await end()
  await second.publish("p", "news", "2")
  await second.publish("p", "other", "")
  expect(heard).toEqual(["second 1"])
  await second.close()
  const third = await open(path)
  expect(await third.poolInfo("p")).toBeUndefined()
})

test("a life is held by the process, whichever thread made it, and by no probe given away", async () => {
  const path = freshPath()
  const [engine, inProcess] = [await open(path), await open(path, { ownThread: false })]
  const held = await engine.registerLife("p", "s1")
  const own = await inProcess.registerLife("p", "s2")
  const child = (sign: string): string => {
    const module = pathToFileURL(join(import.meta.dirname, "../../src/engine/sqlite/life-file.ts")).href
    const script = `import(${JSON.stringify(module)}).then((m) => console.log(m.probeLife(${JSON.stringify(path)}, ${JSON.stringify(sign)})))`
    return spawnSync(process.execPath, ["-e", script], { encoding: "utf8" }).stdout.trim()
  }
  // Each from the other thread, which opens and closes the file of its own process.
  expect(await inProcess.probe("p", [held.life.sign])).toEqual(["alive"])
  expect(await engine.probe("p", [own.life.sign])).toEqual(["alive"])
  expect([child(held.life.sign), child(own.life.sign)]).toEqual(["alive", "alive"])
  await inProcess.join("p", { session: "s1", record: "{}" })
  expect((await inProcess.renew("p", "s1")).counters.get("s1")).toBe(2)
  expect((await engine.renew("p", "s1")).counters.get("s1")).toBe(3)
  expect(child(held.life.sign)).toBe("alive")
  await held.end()
  expect(child(held.life.sign)).toBe("unknown")
})

test("a transaction that takes long does not stop the main loop", async () => {
  const path = freshPath()
  const engine = await open(path)
  await engine.openPool("p", { shards: 4 })
  const db = new DatabaseSync(path)
  const slow = "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 2000000) SELECT max(x) FROM c"
  db.exec(`CREATE TRIGGER slow BEFORE INSERT ON runs BEGIN SELECT (${slow}); END`)
  db.close()
  let stall = 0
  let last = performance.now()
  const tick = (): void => {
    stall = Math.max(stall, performance.now() - last)
    last = performance.now()
  }
  const timer = setInterval(tick, 1)
  const from = performance.now()
  await engine.start("p", [run(1)])
  const took = performance.now() - from
  clearInterval(timer)
  tick()
  expect(took, "the transaction itself").toBeGreaterThan(100)
  expect(stall).toBeLessThan(took / 2)
})
