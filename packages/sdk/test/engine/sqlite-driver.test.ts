import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { afterAll, afterEach, describe, expect, test, vi } from "vitest"
import type { CommitItem, Engine, EngineOptions } from "../../src/engine/engine.ts"
import { sharedFileSystem } from "../../src/engine/sqlite/location.ts"
import { openSqliteEngine } from "../../src/engine/sqlite/sqlite-engine.ts"
import { walLimit } from "../../src/engine/sqlite/wal.ts"

const folder = mkdtempSync(join(tmpdir(), "ponos-sqlite-"))
afterAll(() => rmSync(folder, { recursive: true }))

let files = 0
const freshPath = (): string => join(folder, `store-${++files}.db`)

const opened: Engine[] = []
const open = async (url: string, options: EngineOptions = {}): Promise<Engine> => {
  const engine = await openSqliteEngine(url, options)
  opened.push(engine)
  return engine
}
const ends: Array<() => void> = []
afterEach(async () => {
  for (const end of ends.splice(0)) end()
  for (const engine of opened.splice(0)) await engine.close()
})

const run = (n: number | string, shard = 0) => ({ shard, address: `job/${n}`, run: `run-${n}`, body: `{"n":"${n}"}` })

/** Holds the write lock of a file as another program would. */
const holdLock = (path: string): (() => void) => {
  const db = new DatabaseSync(path)
  db.exec("BEGIN IMMEDIATE")
  let held = true
  const end = (): void => {
    if (held) db.close()
    held = false
  }
  ends.push(end)
  return end
}

const claimShard = async (engine: Engine, shard: number): Promise<{ shard: number; session: string; epoch: number }> => {
  const [reply] = await engine.claim("pool", [{ shard, session: "s", from: { session: "", epoch: 0 }, knownEpoch: 0 }])
  return { shard, session: "s", epoch: reply?.status === "claimed" ? reply.epoch : -1 }
}

const ending = (n: number | string): CommitItem => ({
  address: `job/${n}`,
  run: `run-${n}`,
  revision: "0",
  newRevision: `end-${n}`,
  journalLength: 0,
  append: [],
  journal: "clear",
  next: { phase: "ended", outcome: "ok", retention: 1000 },
  consumed: 0,
  seen: 0,
  answers: [],
})

test("a file of the first layout gets what it lacks, and keeps what it has", async () => {
  const path = freshPath()
  const before = await open(`file:${path}`)
  await before.start("pool", [run(1)])
  await before.close()
  const db = new DatabaseSync(path)
  for (const table of [
    "maps",
    "map_entries",
    "map_requests",
    "streams",
    "events",
    "stream_requests",
    "sinks",
    "consumers",
    "deliveries",
    "audit",
    "links",
    "outbox",
  ])
    db.exec(`DROP TABLE ${table}`)
  db.exec("ALTER TABLE members DROP COLUMN suspect; ALTER TABLE runs DROP COLUMN links; PRAGMA user_version = 1")
  db.close()
  const engine = await open(`file:${path}`)
  expect(await engine.readMaps("pool", [{ map: "m" }])).toEqual([{ revision: 0, entries: new Map() }])
  expect(await engine.lastPositions("pool", ["s"])).toEqual([""])
  expect(await engine.audit("pool", [{ shard: 0, after: 0, limit: 10 }])).toMatchObject([{ entries: [] }])
  expect((await engine.read("pool", [{ shard: 0, address: "job/1" }]))[0]?.run).toBe("run-1")
})

describe("addresses of stores", () => {
  test("a wrong url says what was expected, what came and what to do", async () => {
    const plain = freshPath()
    writeFileSync(plain, "This is no database. ".repeat(100))
    const foreign = freshPath()
    const other = new DatabaseSync(foreign)
    other.exec("CREATE TABLE customers (name TEXT)")
    other.close()
    const newer = freshPath()
    await (await open(`file:${newer}`)).close()
    const future = new DatabaseSync(newer)
    future.exec("PRAGMA user_version = 999")
    future.close()

    const wrong: ReadonlyArray<readonly [url: string, tag: string, text: string]> = [
      ["redis://localhost", "BadOption", 'expected store to be "file:<path>", "memory:" or "memory:<name>", got: "redis://localhost"'],
      ["file:", "BadOption", "the name of the file is missing"],
      ["file:./some/", "BadOption", "the name of the file is missing"],
      ["file://host/some.db", "BadOption", "a relative path is written file:./ponos.db"],
      [`file:${folder}/no/such/store.db`, "BadOption", `got: no folder ${folder}/no/such`],
      [`file:${plain}/store.db`, "BadOption", `got: the file ${plain}`],
      [`file:${folder}`, "BadOption", "got: a folder"],
      [`file:${plain}`, "BadOption", "got: a file that is no SQLite database"],
      [`file:${foreign}`, "StoreUnsupported", "another program's SQLite database"],
      [`file:${newer}`, "StoreUnsupported", "got: layout 999"],
    ]
    for (const [url, tag, text] of wrong) {
      const error = await openSqliteEngine(url, {}).then(
        () => undefined,
        (thrown: unknown) => thrown,
      )
      expect({ url, error }).toMatchObject({ url, error: { _tag: tag, message: expect.stringContaining(text) as string } })
    }
  })

  test("file systems that hosts share are refused by their type, local ones are not", () => {
    const shared = [0x6969, 0x517b, 0xff534d42, 0xff534d42 | 0, 0xfe534d42, 0x01021997].map(sharedFileSystem)
    expect(shared).toEqual(["NFS", "SMB", "CIFS", "CIFS", "SMB2", "9p"])
    // ext4, XFS, btrfs, tmpfs, overlayfs, APFS and NTFS as macOS and Windows say them.
    expect([0xef53, 0x58465342, 0x9123683e, 0x01021994, 0x794c7630, 0x1a, 0].map(sharedFileSystem)).toEqual(Array(7).fill(undefined))
  })

  test("file urls are relative, absolute or of the form file:///", async () => {
    const path = freshPath()
    const first = await open(`file:${path}`)
    await first.openPool("pool", { shards: 4 })
    const second = await open(`file://${path}`)
    expect(await second.poolInfo("pool")).toMatchObject({ shards: 4 })
    expect(first.driver).toBe("sqlite")
    expect(first.url).toBe(`file:${path}`)
  })

  test("a memory store without a name is private, one with a name is shared until its last engine closes", async () => {
    const [mine, yours] = [await open("memory:"), await open("memory:")]
    await mine.openPool("pool", { shards: 4 })
    expect(await yours.poolInfo("pool")).toBeUndefined()

    const first = await open("memory:shared")
    await first.openPool("pool", { shards: 8 })
    const second = await open("memory:shared")
    await first.close()
    await first.close()
    expect(await second.poolInfo("pool")).toMatchObject({ shards: 8 })
    await second.close()
    expect(await (await open("memory:shared")).poolInfo("pool")).toBeUndefined()
  })

  test("a closed engine refuses its calls, and closing one leaves the others of the store alone", async () => {
    const [first, second] = [await open("memory:two"), await open("memory:two")]
    const heard: string[] = []
    await first.subscribe("pool", "news", () => heard.push("first"))
    await second.subscribe("pool", "news", () => heard.push("second"))
    await first.close()
    await second.publish("pool", "news", "hello")
    await vi.waitFor(() => expect(heard).toEqual(["second"]))
    await expect(first.start("pool", [run(1)])).rejects.toMatchObject({ _tag: "StoreUnavailable" })
    await expect(first.onHint("pool", 0, () => {})).rejects.toMatchObject({ _tag: "StoreUnavailable" })
  })
})

describe("a file that others write to", () => {
  test("a call waits for another's lock without blocking the event loop, and gives up at its deadline", async () => {
    const path = freshPath()
    const engine = await open(`file:${path}`, { callTimeout: 300 })
    await engine.openPool("pool", { shards: 4 })
    const release = holdLock(path)
    let ticks = 0
    const ticker = setInterval(() => ticks++, 5)
    ends.push(() => clearInterval(ticker))
    const waiting = engine.start("pool", [run(1)])
    await vi.waitFor(() => expect(ticks).toBeGreaterThan(5))
    // Readers go on meanwhile.
    expect(await engine.read("pool", [run(1)])).toEqual([undefined])
    release()
    expect(await waiting).toEqual([{ status: "started", run: "run-1" }])

    holdLock(path)
    await expect(engine.start("pool", [run(2)])).rejects.toMatchObject({ _tag: "StoreUnavailable", fate: "retryable" })
  })

  test("writes of one engine take effect in the order of the calls, also when the first had to wait", async () => {
    const path = freshPath()
    const engine = await open(`file:${path}`)
    const release = holdLock(path)
    const replies = Promise.all([
      engine.start("pool", [run(1)]),
      engine.message("pool", [
        { shard: 0, address: "job/1", kind: "signal", name: "go", id: "m1", payload: "1", inboxLimit: 10, retention: 1000 },
      ]),
      engine.terminate("pool", [{ shard: 0, address: "job/1", outcome: "gone", newRevision: "x", retention: 1000 }]),
    ])
    await new Promise((resolve) => setTimeout(resolve, 20))
    release()
    const [[started], [sent], [ended]] = await replies
    expect([started?.status, sent?.status, ended?.status]).toEqual(["started", "accepted", "terminated"])
  })

  test("a read transaction that does not end is reported with its process; the WAL shrinks after it", async () => {
    const path = freshPath()
    const warnings: string[] = []
    const engine = await open(`file:${path}`, { onWarning: (text) => warnings.push(text) })
    const wal = (): number => statSync(`${path}-wal`).size
    const body = "x".repeat(500 * 1024)
    let next = 0
    const write = async (count: number): Promise<void> => {
      for (const end = next + count; next < end; next++) await engine.start("pool", [{ ...run(next), body }])
    }
    await write(40)
    expect(wal(), "without a reader").toBeLessThan(walLimit / 4)
    const reader = new DatabaseSync(path, { readOnly: true })
    ends.push(() => reader.isOpen && reader.close())
    reader.exec("BEGIN")
    reader.prepare("SELECT count(*) FROM runs").get()
    await write((walLimit / body.length) * 1.2)
    await vi.waitFor(
      async () => {
        await write(1)
        expect(warnings).toHaveLength(1)
      },
      { timeout: 10_000 },
    )
    expect(warnings[0]).toMatch(/-wal has grown to \d+ MiB/)
    if (process.platform === "linux") expect(warnings[0]).toMatch(new RegExp(`read by process (\\d+, )*${process.pid}\\b`))
    reader.close()
    await vi.waitFor(
      async () => {
        await write(1)
        expect(wal()).toBeLessThanOrEqual(walLimit)
      },
      { timeout: 10_000 },
    )
    expect(warnings).toHaveLength(1)
  })

  test("the bus is a ring: what nobody reads is dropped", async () => {
    const path = freshPath()
    // In this process, for the clock that the test moves.
    const engine = await open(`file:${path}`, { ownThread: false })
    vi.useFakeTimers({ toFake: ["Date"] })
    try {
      for (let n = 0; n < 30; n++) {
        vi.setSystemTime(Date.now() + 2_000)
        await engine.publish("pool", "news", String(n))
      }
    } finally {
      vi.useRealTimers()
    }
    const db = new DatabaseSync(path)
    ends.push(() => db.close())
    expect(db.prepare("SELECT count(*) AS n FROM bus").get()?.["n"]).toBeLessThanOrEqual(7)
  })
})

describe("batches", () => {
  test("a group that fails half way is poisoned, and the others are written (B1)", async () => {
    const path = freshPath()
    const engine = await open(`file:${path}`)
    const owners = [await claimShard(engine, 0), await claimShard(engine, 1), await claimShard(engine, 2)]
    await engine.start("pool", [run("a", 0), run("b", 1), run("bad", 1), run("c", 2)])
    await engine.take(
      "pool",
      owners.map((owner) => ({ ...owner, limit: 10, timers: false })),
    )
    const db = new DatabaseSync(path)
    db.exec("CREATE TRIGGER bad BEFORE UPDATE ON runs WHEN new.address = 'job/bad' BEGIN SELECT raise(ABORT, 'bad row'); END")
    db.close()

    const [zero, one, two] = owners as [(typeof owners)[0], (typeof owners)[0], (typeof owners)[0]]
    const events: unknown[] = []
    for (const shard of [0, 1, 2]) await engine.onEvent("pool", shard, (event) => events.push(event))
    const replies = await engine.commit("pool", [
      { ...zero, items: [ending("a")] },
      { ...one, items: [ending("b"), ending("bad")] },
      { ...two, items: [ending("c")] },
    ])
    expect(replies.map((group) => group.map((reply) => reply.status))).toEqual([["ok"], ["poisoned", "poisoned"], ["ok"]])
    const runs = await engine.read("pool", [run("a", 0), run("b", 1), run("bad", 1), run("c", 2)])
    expect(runs.map((found) => found?.phase)).toEqual(["ended", "active", "active", "ended"])
    await vi.waitFor(() => expect(events).toHaveLength(2))
  })

  test("a verb that cannot be written at all changes nothing and throws a StoreFault", async () => {
    const path = freshPath()
    const engine = await open(`file:${path}`)
    await engine.openPool("pool", { shards: 4 })
    const db = new DatabaseSync(path)
    db.exec("CREATE TRIGGER bad BEFORE INSERT ON runs WHEN new.address = 'job/bad' BEGIN SELECT raise(ABORT, 'bad row'); END")
    db.close()
    await expect(engine.start("pool", [run(1), run("bad")])).rejects.toMatchObject({ _tag: "StoreFault" })
    expect(await engine.read("pool", [run(1)])).toEqual([undefined])
    expect(await engine.start("pool", [run(2)])).toEqual([{ status: "started", run: "run-2" }])
  })

  test("a batch of any size is cut, answered in order, and lets timers run", async () => {
    const engine = await open("memory:")
    let ticks = 0
    const ticker = setInterval(() => ticks++, 1)
    ends.push(() => clearInterval(ticker))
    const items = Array.from({ length: 5_000 }, (_, n) => run(n, n % 3))
    const replies = await engine.start("pool", items)
    expect(replies.map((reply) => reply.run)).toEqual(items.map((item) => item.run))
    expect(ticks).toBeGreaterThan(5)
  })

  test("a take of large runs is many short ones, none of which takes more than fits, or nothing", async () => {
    const engine = await open(`file:${freshPath()}`)
    const owner = await claimShard(engine, 0)
    const body = "x".repeat(100 * 1024)
    await engine.start(
      "pool",
      Array.from({ length: 10 }, (_, n) => ({ ...run(n), body })),
    )
    await engine.start("pool", [{ ...run("huge"), body: body.repeat(10) }])
    const taken: number[] = []
    for (let more = true; more;) {
      const [reply] = await engine.take("pool", [{ ...owner, limit: 200, timers: true }])
      if (reply?.status !== "taken") throw new Error("stale")
      taken.push(reply.runs.length)
      more = reply.more
    }
    expect(taken).toEqual([3, 3, 3, 2])
  })

  test("a long stream is trimmed and destroyed in steps, to the end", async () => {
    const path = freshPath()
    const engine = await open(`file:${path}`)
    const stream = { stream: "s", maxLength: 10_000, maxAge: 3_600_000 }
    const events = Array.from({ length: 200 }, () => ({ topic: "t", payload: "{}" }))
    for (let n = 0; n < 15; n++) await engine.appendStreams("pool", [{ ...stream, id: `a${n}`, retention: 1_000, events }])
    const db = new DatabaseSync(path)
    ends.push(() => db.close())
    const count = () => db.prepare("SELECT count(*) AS n FROM events").get()?.["n"]
    expect(count()).toBe(3_000)
    await engine.trimStreams("pool", [{ ...stream, maxLength: 5 }])
    expect(count()).toBe(5)
    for (let n = 15; n < 30; n++) await engine.appendStreams("pool", [{ ...stream, id: `a${n}`, retention: 1_000, events }])
    await engine.destroyStreams("pool", ["s", "none"])
    expect(count()).toBe(0)
    expect(await engine.lastPositions("pool", ["s"])).toEqual([""])
  })

  test("sums of a digest are exact beyond 2^53", async () => {
    const engine = await open("memory:")
    const top = 2 ** 48 - 1
    const items = Array.from({ length: 1_000 }, (_, n) => ({
      ...run(n),
      control: { controller: "c", fence: "0".repeat(19), spec: "s", sums: [top, n] as const },
    }))
    await engine.start("pool", items)
    expect(await engine.digests("pool", "c", [0])).toEqual([
      { shard: 0, fence: "0".repeat(19), count: 1_000, sums: [String(BigInt(top) * 1_000n), "499500"] },
    ])
  })

  test("half of a take's places are for timers when there is enough of both", async () => {
    let now = 1_800_000_000_000
    const engine = await open("memory:", { now: () => now })
    const owner = await claimShard(engine, 0)
    await engine.start(
      "pool",
      [1, 2, 3, 4].map((n) => ({ ...run(`due-${n}`), after: n })),
    )
    await engine.start(
      "pool",
      [1, 2, 3, 4].map((n) => run(`new-${n}`)),
    )
    now += 10
    const [reply] = await engine.take("pool", [{ ...owner, limit: 4, timers: true }])
    const addresses = reply?.status === "taken" ? reply.runs.map((found) => found.address) : []
    expect(addresses.toSorted()).toEqual(["job/due-1", "job/due-2", "job/new-1", "job/new-2"])
    expect(reply).toMatchObject({ more: true, nextDue: undefined, now })
  })
})

test("a listener that throws is reported and stays subscribed", async () => {
  const warnings: string[] = []
  const engine = await open("memory:", { onWarning: (text) => warnings.push(text) })
  await engine.subscribe("pool", "news", (text) => {
    throw new Error(`no ${text}`)
  })
  await engine.publish("pool", "news", "one")
  await engine.publish("pool", "news", "two")
  await vi.waitFor(() => expect(warnings).toHaveLength(2))
  expect(warnings[1]).toContain("no two")
})

test("no statement has numbered parameters: Node 22.18, the oldest that is supported, binds none", () => {
  const sources = join(import.meta.dirname, "../../src/engine/sqlite")
  for (const name of readdirSync(sources)) expect(readFileSync(join(sources, name), "utf8"), name).not.toMatch(/"[^"\n]*\?\d/)
})
