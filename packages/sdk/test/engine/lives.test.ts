/** What each driver makes visible of its process, and what of it a probe believes (E8, S7, S9). */
import { copyFileSync, existsSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest"
import type { Engine, Life, LifeOptions } from "../../src/engine/engine.ts"
import { openEngine } from "../../src/engine/open.ts"
import { removeLeftovers } from "../../src/engine/sqlite/life-file.ts"
import { describeOwnRedis, ownRedis, type OwnRedis } from "./redis-server.ts"
import { Heard } from "./world.ts"

const opened: Engine[] = []
const open = async (url: string): Promise<Engine> => {
  const engine = await openEngine(url)
  opened.push(engine)
  return engine
}
afterEach(async () => {
  for (const engine of opened.splice(0)) await engine.close()
})

describe("lives on a file", () => {
  const folder = mkdtempSync(join(tmpdir(), "ponos-lives-"))
  afterAll(() => rmSync(folder, { recursive: true }))
  let count = 0
  const freshPath = (): string => join(folder, `store-${++count}.db`)
  const lifePath = (path: string, session: string): string => `${path}.${session}.life`

  test("a file that is missing, or another one under the same name, says nothing", async () => {
    const path = freshPath()
    const [engine, other] = [await open(`file:${path}`), await open(`file:${path}`)]
    const { life } = await engine.registerLife("pool", "s1")
    expect(await other.probe("pool", [life.sign])).toEqual(["alive"])
    renameSync(lifePath(path, "s1"), lifePath(path, "moved"))
    expect(await other.probe("pool", [life.sign])).toEqual(["unknown"])
    copyFileSync(lifePath(path, "moved"), lifePath(path, "s1"))
    expect(await other.probe("pool", [life.sign])).toEqual(["unknown"])
    rmSync(lifePath(path, "s1"))
  })

  test("a session's name that is no file name gets one", async () => {
    const path = freshPath()
    const engine = await open(`file:${path}`)
    const handle = await engine.registerLife("pool", "../s 1/ü")
    expect(await engine.probe("pool", [handle.life.sign])).toEqual(["alive"])
    expect(readdirSync(folder).filter((name) => name.includes(`store-${count}.db.`) && name.endsWith(".life"))).toHaveLength(1)
    await handle.end()
    await handle.end()
    expect(readdirSync(folder).filter((name) => name.endsWith(".life") && name.startsWith(`store-${count}.`))).toEqual([])
  })

  test("what the dead left is removed by the next that starts; what is young or held stays", async () => {
    const path = freshPath()
    const engine = await open(`file:${path}`)
    await engine.registerLife("pool", "held")
    writeFileSync(lifePath(path, "left"), "")
    const there = () => ["left", "held"].map((name) => existsSync(lifePath(path, name)))
    const other = await open(`file:${path}`)
    await other.registerLife("pool", "next")
    expect(there()).toEqual([true, true])
    removeLeftovers(path, Date.now() + 3_600_000)
    expect(there()).toEqual([false, true])
  })

  test("a session's renewals are the mtime of its file, and go on while another holds the write lock (S9)", async () => {
    const path = freshPath()
    const [engine, other] = [await open(`file:${path}`), await open(`file:${path}`)]
    await engine.registerLife("pool", "s1")
    await engine.join("pool", { session: "s1", record: "{}" })
    const writer = new DatabaseSync(path)
    writer.exec("BEGIN IMMEDIATE")
    try {
      const before = performance.now()
      for (const counter of [2, 3, 4])
        expect(await engine.renew("pool", "s1")).toMatchObject({ alive: true, counters: new Map([["s1", counter]]) })
      expect((await other.renew("pool", undefined)).counters).toEqual(new Map([["s1", 4]]))
      expect(performance.now() - before).toBeLessThan(1_000)
      expect(statSync(lifePath(path, "s1")).mtimeMs).toBe(3_000)
    } finally {
      writer.close()
    }
    // Without its file it goes on, in the row.
    rmSync(lifePath(path, "s1"))
    expect(await engine.renew("pool", "s1")).toMatchObject({ alive: true, counters: new Map([["s1", 2]]) })
  })

  test("where no file can be made, it says why", async () => {
    const path = freshPath()
    const engine = await open(`file:${path}`)
    const { life } = await engine.registerLife("pool", "s".repeat(300))
    expect(life).toMatchObject({ sign: "", left: "all" })
    expect(life.why).toMatch(/no lock file could be made/)
  })
})

describeOwnRedis("lives on Redis", () => {
  let redis: OwnRedis
  beforeAll(async () => {
    redis = await ownRedis()
  })
  afterAll(() => redis.stop())

  const ids = (sign: string): ReadonlyArray<string> => [...sign.matchAll(/=(\d+)@/g)].map(([, id]) => id ?? "")
  const register = async (options: LifeOptions = {}) => {
    const engine = await open(redis.url)
    const heard = new Heard<Life>()
    const handle = await engine.registerLife("pool", "s1", { ...options, onChange: heard.listener })
    return { engine, heard, sign: handle.life.sign, ids: ids(handle.life.sign) }
  }
  const clients = async (): Promise<number> => String(await redis.client.client("LIST")).split(" name=ponos ").length - 1

  test("a client has one connection, a process with sessions two, however many sessions", async () => {
    const { engine } = await register()
    await engine.registerLife("pool", "s2")
    expect(await clients()).toBe(2)
    const client = await open(redis.url)
    expect(await clients()).toBe(3)
    await client.close()
  })

  test("a session that ended listens no more to the connection that renewed it", async () => {
    const engine = await open(redis.url)
    const listeners = new Set<() => void>()
    const onChange = (listener: () => void) => {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    }
    const handle = await engine.registerLife("pool", "s1", { renewals: { current: () => undefined, onChange } })
    expect(listeners.size).toBe(1)
    await handle.end()
    expect(listeners.size).toBe(0)
  })

  test("tells each loss, then the new sign; a session is alive while one connection is there", async () => {
    const first = await register()
    const watcher = await open(redis.url)
    await redis.client.client("KILL", "ID", first.ids[0] ?? "")
    await first.heard.until((all) => all.length === 2)
    expect(first.heard.all[0]).toEqual({ sign: first.sign, left: "some" })
    const second = first.heard.all[1]?.sign ?? ""
    expect(first.heard.all[1]?.left).toBe("all")
    expect([ids(second)[1], ids(second)[0] === first.ids[0]]).toEqual([first.ids[1], false])
    // The renewal connection is in both.
    expect(await watcher.probe("pool", [first.sign, second])).toEqual(["alive", "alive"])
    await redis.client.client("KILL", "ID", ids(second)[0] ?? "")
    await redis.client.client("KILL", "ID", ids(second)[1] ?? "")
    await first.heard.until((all) => all.at(-1)?.left === "all" && all.length > 3)
    expect(await watcher.probe("pool", [first.sign, second, first.heard.all.at(-1)?.sign ?? ""])).toEqual(["dead", "dead", "alive"])
    expect(first.heard.all.some(({ left }) => left === "none")).toBe(true)
  })

  test("what was registered on another life of the server is unknown, though its ids are given again (B4)", async () => {
    const { engine, sign, heard } = await register()
    const watcher = await open(redis.url)
    await redis.restart()
    await heard.until((all) => all.at(-1)?.left === "all" && all.at(-1)?.sign !== sign)
    while ((await watcher.probe("pool", [heard.all.at(-1)?.sign ?? ""]))[0] !== "alive")
      await new Promise((resolve) => setTimeout(resolve, 5))
    expect(await watcher.probe("pool", [sign])).toEqual(["unknown"])
    expect(await engine.probe("pool", [sign])).toEqual(["unknown"])
  })

  test("a server that does not answer makes nobody dead", async () => {
    const { sign } = await register()
    const watcher = await open(redis.url)
    redis.freeze()
    try {
      expect(await watcher.probe("pool", [sign])).toEqual(["unknown"])
    } finally {
      redis.thaw()
    }
  })
})
