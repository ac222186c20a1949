import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, expect, test } from "vitest"
import { isStuck, lookAgain, parseLocks, stuckHolder, writerOf, type Seen, type Sight } from "../../src/engine/sqlite/write-lock.ts"

const folder = mkdtempSync(join(tmpdir(), "ponos-write-lock-"))
afterAll(() => rmSync(folder, { recursive: true }))

const table = `
1: POSIX  ADVISORY  WRITE 100 fe:00:11 120 120
2: POSIX  ADVISORY  READ 100 fe:00:11 124 124
2: -> POSIX  ADVISORY  WRITE 300 fe:00:11 120 120
3: POSIX  ADVISORY  WRITE 100 fe:00:21 1073741824 1073742335
4: POSIX  ADVISORY  WRITE 200 fe:00:22 1073741824 1073742335
5: FLOCK  ADVISORY  WRITE 200 fe:00:11 0 EOF
6: POSIX  ADVISORY  WRITE 100 fd:01:22 0 EOF
`

test("the holder of the write lock is named only where it holds the life of the session too, on one device", () => {
  const locks = parseLocks(table)
  expect(locks.map(({ pid, inode }) => [pid, inode])).toEqual([
    [100, 11],
    [100, 11],
    [100, 21],
    [200, 22],
    [100, 22],
  ])
  expect(stuckHolder(locks, 11, 21)).toBe(100)
  expect(stuckHolder(locks, 11, 22), "another process's session, and one's own file on another device").toBeUndefined()
  expect(stuckHolder(locks, 12, 21), "another store").toBeUndefined()
  expect(stuckHolder(locks, 11, -1), "no life").toBeUndefined()
  // Of another PID namespace.
  expect(stuckHolder(parseLocks(table.replaceAll("100", "0")), 11, 21)).toBeUndefined()
  expect(parseLocks("")).toEqual([])
})

test("a holder is stuck after four looks at one process and one transaction; a commit, or another start, begins anew", () => {
  const stuck = (...sights: ReadonlyArray<Sight>): boolean => {
    const seen = sights.reduce<Seen | undefined>((before, sight) => lookAgain(before, sight), undefined)
    return seen !== undefined && isStuck(seen)
  }
  const one = { pid: 100, start: "5", version: 7 }
  expect(stuck(one, one, one)).toBe(false)
  expect(stuck(one, one, one, one)).toBe(true)
  expect(stuck(one, one, one, { ...one, version: 8 })).toBe(false)
  expect(stuck(one, one, { ...one, version: 8 }, one), "it writes").toBe(false)
  expect(stuck(one, one, one, { ...one, start: "6" }), "another process of this number").toBe(false)
  expect(stuck({ ...one, pid: 99 }, one, one, one)).toBe(false)
})

test.runIf(process.platform === "linux")("the kernel names the process that writes", async () => {
  const path = join(folder, "store.db")
  const script = `
    const db = new (require("node:sqlite").DatabaseSync)(${JSON.stringify(path)})
    db.exec("PRAGMA journal_mode = WAL; CREATE TABLE t (a); BEGIN IMMEDIATE")
    process.stdin.resume().on("end", () => process.exit())
    console.log("in")`
  const child = spawn(process.execPath, ["-e", script], { stdio: ["pipe", "pipe", "inherit"] })
  try {
    await new Promise((resolve) => child.stdout.once("data", resolve))
    expect(writerOf(path)).toBe(child.pid)
  } finally {
    child.kill()
  }
})
