/**
 * How a pool sees that a process died (S7, S8, S9): by its connections or its lock file in a fraction of a second, and by its counter alone
 * where it is frozen, or where nobody can see it.
 */
import { once } from "node:events"
import { readdir, mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as delay } from "node:timers/promises"
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest"
import { uniqueName } from "../../../../tools/with-redis.ts"
import { openEngine } from "../../src/engine/open.ts"
import { optionTable } from "../../src/options.ts"
import { Pool, type PoolJoinOptions } from "../../src/pool/index.ts"
import { decodeRecord } from "../../src/pool/record.ts"
import { describeOwnRedis, ownRedis, type OwnRedis } from "../engine/redis-server.ts"
import { Process } from "./processes.ts"
import { shards } from "./settings.ts"
import { until } from "./support.ts"
import { tcpProxy } from "./tcp-proxy.ts"

/** A lease as short as it may be, where a test waits for one. */
const brief = { leaseMs: 500 } as const
const leaseMs = optionTable.leaseMs.default
/** Longer than anybody may take to find out that something is gone. */
const wellOver = 3 * optionTable.reconnectGraceMs.default
const keys = Array.from({ length: 30 }, (_, i) => `key-${i}`)

interface Crew {
  readonly name: string
  readonly client: Pool
  readonly workers: ReadonlyArray<Process>
}

const closing: Array<() => Promise<void>> = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

/** Workers that run all keys. `stores`: of each worker, where they differ. */
const crew = async (
  store: string,
  options: PoolJoinOptions,
  stores: ReadonlyArray<string> = [store, store],
  env: Readonly<Record<string, string>> = {},
): Promise<Crew> => {
  const name = uniqueName("crash")
  const client = await Pool.join(name, { store, shards })
  closing.push(() => client.close())
  const workers: Array<Process> = []
  for (const of of stores) {
    const worker = new Process(of, name, options, env)
    workers.push(worker)
    // One after the other, so that the first has the lowest id.
    await until(() => worker.session !== "", "it joined")
  }
  await until(() => workers.every((one) => one.claims >= shards / 2) && workers[0]?.seen("released").length === shards / 2, "they share")
  await Promise.all(keys.map((key) => client.dispatch(key, new Uint8Array())))
  const settled = (): boolean =>
    workers.every((one) => one.running().length > 0) && workers.flatMap((one) => one.running()).length === keys.length
  await until(settled, "all run, on all workers")
  return { name, client, workers }
}

const takeover = async (dead: Process, heir: Process): Promise<number> => {
  await dead.end("SIGKILL")
  await until(() => heir.running().length === keys.length, "the other runs all")
  return Math.max(...heir.intervals().map(({ from }) => from)) - dead.diedAt
}

const marks = (process: Process) => process.seen("markedDead").map(({ by }) => by)
/** What must not happen, since the line `from`. */
const losses = (process: Process, from = 0): ReadonlyArray<string> =>
  process.lines
    .slice(from)
    .map(({ what }) => what)
    .filter((what) => ["deposed", "rescued", "markedDead", "fault", "begin", "end"].includes(what))

const crashes = (store: () => string, what: string): void => {
  test(`replaces a killed process long before its lease is over (${what})`, async () => {
    const { workers } = await crew(store(), {})
    const [a, b] = workers as [Process, Process]
    const ms = await takeover(a, b)
    console.log(`takeover after SIGKILL on ${what}, default options: ${ms.toFixed(0)} ms`)
    expect(ms).toBeLessThan(leaseMs / 2)
    expect(marks(b)).toEqual(["probe"])
    expect(b.seen("rescued").length).toBeGreaterThan(0)
    expect(b.seen("fault")).toEqual([])
  })

  test(`deposes a frozen process by its counter only (${what})`, async () => {
    const options = { leaseMs: 1_500, reconnectGraceMs: 100 }
    const { workers } = await crew(store(), options)
    const [a, b] = workers as [Process, Process]
    const frozenAt = performance.now()
    a.child.kill("SIGSTOP")
    await until(() => b.running().length === keys.length, "the other runs all")
    // Its last renewal was at most a third of a lease before.
    expect(performance.now() - frozenAt).toBeGreaterThan((options.leaseMs * 2) / 3)
    expect(marks(b)).toEqual(["counter"])
    const before = a.session
    a.child.kill("SIGCONT")
    await until(() => a.seen("joined").length === 2, "the thawed one joins anew")
    expect(a.seen("joined")[1]).toMatchObject({ previous: before })
  })
}

const folder = await mkdtemp(join(tmpdir(), "ponos-crash-"))
afterAll(() => rm(folder, { recursive: true, force: true }))

describe("a process that dies, on a file", () => {
  let count = 0
  const path = (): string => join(folder, `pool-${count}.db`)
  const store = (): string => `file:${join(folder, `pool-${++count}.db`)}`
  crashes(store, "a file")

  const lives = async (): Promise<ReadonlyArray<string>> => (await readdir(folder)).filter((file) => file.endsWith(".life"))

  test("leaves no lock file behind, nor does one that drains", async () => {
    const { workers } = await crew(store(), {})
    const [a, b] = workers as [Process, Process]
    const expected = workers.map(({ session }) => `${path()}.${session}.life`)
    expect((await lives()).filter((file) => path().endsWith(file.split(".db")[0] + ".db")).map((file) => join(folder, file))).toEqual(
      expected,
    )
    await takeover(a, b)
    expect(await b.end("SIGTERM")).toBe(0)
    expect((await lives()).filter((file) => path().endsWith(file.split(".db")[0] + ".db"))).toEqual([])
  })

  test("ends itself when its jobs do not settle at the end of trust, if so asked (S5)", async () => {
    const { workers } = await crew(store(), { ...brief, onOverrun: "exit" }, undefined, { PONOS_TEST_STUBBORN: "1" })
    const [a, b] = workers as [Process, Process]
    a.child.kill("SIGSTOP")
    await until(() => b.running().length === keys.length, "the other runs all")
    const exited = once(a.child, "exit")
    a.child.kill("SIGCONT")
    expect(await exited).toEqual([null, "SIGKILL"])
  })
})

describeOwnRedis("a process that dies, on Redis", () => {
  let redis: OwnRedis
  beforeAll(async () => {
    redis = await ownRedis({ appendonly: "yes" })
  })
  afterAll(() => redis.stop())
  crashes(() => redis.url, "Redis")

  const lifeOf = async (name: string, session: string): Promise<string> => {
    const engine = await openEngine(redis.url)
    try {
      const entry = (await engine.members(name)).members.find((one) => one.session === session)
      return entry === undefined ? "" : (decodeRecord(entry.record).life ?? "")
    } finally {
      await engine.close()
    }
  }
  const idsOf = (life: string): ReadonlyArray<string> => [...life.matchAll(/=(\d+)@/g)].map(([, id]) => id ?? "")

  test.each([
    ["data", [0]],
    ["renewal", [1]],
    ["data and renewal", [0, 1]],
  ] as const)("survives the loss of its connections for %s: nobody is deposed and no job restarts (S8)", async (_, which) => {
    const { name, workers } = await crew(redis.url, {})
    const [a, b] = workers as [Process, Process]
    const [fromA, fromB] = [a.lines.length, b.lines.length]
    for (let round = 1; round <= 3; round++) {
      const before = await lifeOf(name, a.session)
      const ids = idsOf(before)
      expect(ids).toHaveLength(2)
      const killed = which.map((n) => ids[n] ?? "")
      await Promise.all(killed.map((id) => redis.client.client("KILL", "ID", id)))
      await until(async () => {
        const now = idsOf(await lifeOf(name, a.session))
        return now.length === 2 && killed.every((id) => !now.includes(id))
      }, "its new connections are registered")
      await until(() => a.seen("connections").filter(({ life }) => life === "whole").length === round, "it takes work again")
    }
    await delay(wellOver)
    expect([losses(a, fromA), losses(b, fromB)]).toEqual([[], []])
    // And it still works, and is still seen.
    expect(await takeover(a, b)).toBeLessThan(leaseMs / 2)
    expect(marks(b)).toEqual(["probe"])
  })

  test("is not seen through a proxy: one warning, and the counter decides", async () => {
    const proxy = await tcpProxy(redis.port)
    closing.push(() => proxy.close())
    const { name, workers } = await crew(redis.url, brief, [`redis://127.0.0.1:${proxy.port}`, redis.url])
    const [a, b] = workers as [Process, Process]
    expect(a.seen("warning").map(({ text }) => text)).toEqual([expect.stringMatching(/replace it only 500 ms after: .*directConnection/)])
    expect(b.seen("warning")).toEqual([])
    expect(await lifeOf(name, a.session)).toBe("")
    await takeover(a, b)
    expect(marks(b)).toEqual(["counter"])
  })

  test("is seen through what its user says to be no proxy", async () => {
    const proxy = await tcpProxy(redis.port)
    closing.push(() => proxy.close())
    const { workers } = await crew(redis.url, { directConnection: true }, [`redis://127.0.0.1:${proxy.port}`, redis.url])
    const [a, b] = workers as [Process, Process]
    expect(a.seen("warning")).toEqual([])
    expect(await takeover(a, b)).toBeLessThan(leaseMs / 2)
    expect(marks(b)).toEqual(["probe"])
  })

  test("is not seen by a user without the right to CLIENT LIST: one warning, and the counter decides", async () => {
    await redis.client.call("ACL", "SETUSER", "limited", "on", ">secret", "~*", "&*", "+@all", "-client|list")
    const limited = `redis://limited:secret@127.0.0.1:${redis.port}`
    const { workers } = await crew(redis.url, brief, [limited, limited])
    const [a, b] = workers as [Process, Process]
    for (const one of [a, b])
      expect(one.seen("warning").map(({ text }) => text)).toEqual([expect.stringMatching(/NOPERM.*\+client\|info \+client\|list/)])
    await takeover(a, b)
    expect(marks(b)).toEqual(["counter"])
  })

  test.each([
    ["short", 0],
    ["long", 4 * optionTable.reconnectGraceMs.default],
  ])("a %s restart of Redis is no death of anybody: ids of another life of the server name nobody (B4)", async (_, downMs) => {
    const { name, workers } = await crew(redis.url, {})
    const before = await Promise.all(workers.map((one) => lifeOf(name, one.session)))
    // With its data: its run_id is another, and ids begin again at 1.
    await redis.restart(downMs)
    const registered = async (): Promise<boolean> => {
      const lives = await Promise.all(workers.map((one) => lifeOf(name, one.session)))
      return lives.every((life, n) => idsOf(life).length === 2 && life.slice(0, 20) !== before[n]?.slice(0, 20))
    }
    await until(registered, "all are registered on the new life")
    await until(() => workers.flatMap((one) => one.running()).length === keys.length, "all run")
    await delay(wellOver)
    for (const one of workers) {
      for (const type of ["rescued", "markedDead", "fault"] as const) expect(one.seen(type), type).toEqual([])
      expect(one.seen("joined")).toHaveLength(1)
    }
    const [a, b] = workers as [Process, Process]
    expect(await takeover(a, b)).toBeLessThan(leaseMs / 2)
  })
})
