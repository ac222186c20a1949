import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { afterAll, afterEach, describe, expect, test, vi } from "vitest"
import type { Engine, Hint } from "../../src/engine/engine.ts"
import { openSqliteEngine } from "../../src/engine/sqlite/sqlite-engine.ts"

const folder = mkdtempSync(join(tmpdir(), "ponos-sqlite-"))
afterAll(() => rmSync(folder, { recursive: true }))

const opened: Engine[] = []
let files = 0
/** An engine on a new file. */
const open = async (): Promise<Engine> => {
  const engine = await openSqliteEngine(`file:${join(folder, `store-${++files}.db`)}`, {})
  opened.push(engine)
  return engine
}
const ends: Array<() => void> = []
afterEach(async () => {
  for (const end of ends.splice(0)) end()
  for (const engine of opened.splice(0)) await engine.close()
})

const run = (n: number, shard: number) => ({ shard, address: `job/${n}`, run: `run-${n}`, body: "{}" })

/** The peer process, its lines of output, and its end. */
const peer = (...args: string[]) => {
  const child = spawn(process.execPath, [join(import.meta.dirname, "fixtures/sqlite-peer.ts"), ...args], {
    stdio: ["pipe", "pipe", "inherit"],
  })
  ends.push(() => child.kill())
  const lines: unknown[] = []
  createInterface({ input: child.stdout }).on("line", (line) => lines.push(JSON.parse(line)))
  const exit = new Promise<number | null>((resolve) => child.once("exit", resolve))
  return { child, lines, exit }
}

describe("several processes on one file", () => {
  test("a hint reaches another process within a few milliseconds, and listening keeps no process alive", async () => {
    const engine = await open()
    await engine.openPool("pool", { shards: 4 })
    const { child, lines, exit } = peer(engine.url, "listen")
    await vi.waitFor(() => expect(lines).toEqual(["listening"]), { timeout: 10_000 })
    await engine.start("pool", [run(1, 0), run(2, 0), run(3, 1)])
    await vi.waitFor(() => expect(lines).toEqual(["listening", { type: "ready", shard: 0, epoch: 0 }]))
    child.stdin.end()
    expect(await exit).toBe(0)
  })

  test("a process whose last act is to close, with a call under way, is not over before it has", async () => {
    const { url } = await open()
    const { lines, exit } = peer(url, "leave")
    expect(await exit).toBe(0)
    expect(lines).toEqual(["closed"])
  })

  test("what three processes write at the same time is all there, each once", async () => {
    const engine = await open()
    const hints: Hint[] = []
    for (let shard = 0; shard < 4; shard++) await engine.onHint("pool", shard, (hint) => hints.push(hint))
    const peers = ["a", "b", "c"].map((name) => peer(engine.url, "start", "400", name))
    expect(await Promise.all(peers.map(({ exit }) => exit))).toEqual([0, 0, 0])
    const states = await engine.sweep("pool", [0, 1, 2, 3])
    expect(states.map((state) => state.ready)).toEqual([300, 300, 300, 300])
    await vi.waitFor(() => expect(new Set(hints.map((hint) => hint.shard)).size).toBe(4))
    expect(hints).toHaveLength(4)
  })
})
