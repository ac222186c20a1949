/** A writer of the file that is frozen inside of its transaction (S9): renewals go on, and a survivor frees the lock. */
import { once } from "node:events"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { setTimeout as delay } from "node:timers/promises"
import { pathToFileURL } from "node:url"
import { afterAll, afterEach, expect, test } from "vitest"
import { uniqueName } from "../../../../tools/with-redis.ts"
import { Pool } from "../../src/pool/index.ts"
import { now, Process } from "../pool/processes.ts"
import { shards } from "../pool/settings.ts"
import { until } from "../pool/support.ts"

/** Three processes on a busy machine. */
const startMs = 60_000
const leaseMs = 1_500
const keys = Array.from({ length: 30 }, (_, i) => `key-${i}`)
const folder = await mkdtemp(join(tmpdir(), "ponos-frozen-"))
afterAll(() => rm(folder, { recursive: true, force: true }))
const closing: Array<() => Promise<void> | void> = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

/** Three workers that share all keys. */
const crew = async (path: string) => {
  const [store, name] = [`file:${path}`, uniqueName("frozen")]
  const client = await Pool.join(name, { store, shards })
  closing.push(() => client.close())
  const preload = pathToFileURL(join(import.meta.dirname, "fixtures/freeze-in-transaction.ts")).href
  const env = { PONOS_TEST_FILE: path, NODE_OPTIONS: `--import ${preload}` }
  const workers = [1, 2, 3].map(() => new Process(store, name, { leaseMs }, env))
  const running = (): number => workers.flatMap((one) => one.running()).length
  await until(() => workers.every((one) => one.session !== ""), "they joined", startMs)
  await Promise.all(keys.map((key) => client.dispatch(key, new Uint8Array())))
  await until(() => running() === keys.length && workers.every((one) => one.running().length > 0), "all run, on all workers", startMs)
  // The leases of all are of the time in which they share.
  await delay(leaseMs / 3)
  return { client, workers, running }
}
const deposed = (process: Process) => process.seen("deposed")

test("a worker that is frozen inside of a write transaction is killed by a survivor, and the others go on within the lease + 1 s", async () => {
  const { client, workers } = await crew(join(folder, "one.db"))
  const [frozen, ...others] = workers as [Process, Process, Process]
  const before = frozen.running().length
  const exited = once(frozen.child, "exit")
  const frozenAt = now()
  frozen.child.kill("SIGUSR2")
  await delay(100)
  // Nobody can write now; this waits.
  const accepted = client.dispatch("late", new Uint8Array()).then(() => now() - frozenAt)
  const all = (): number => others.flatMap((one) => one.running()).length
  await until(() => all() === keys.length + 1, "the others run all")
  expect(await exited).toEqual([null, "SIGKILL"])
  const last = Math.max(...others.flatMap((one) => one.intervals().map(({ from }) => from))) - frozenAt
  console.log(`frozen inside of a write transaction with ${before} jobs: all run again after ${last.toFixed(0)} ms, lease ${leaseMs} ms`)
  expect(last).toBeLessThan(leaseMs + 1_000)
  expect(await accepted).toBeLessThan(leaseMs + 1_000)
  expect(others.flatMap((one) => one.seen("markedDead").map(({ by }) => by))).toContain("counter")
  const warnings = others.flatMap((one) => one.seen("warning").map(({ text }) => text))
  expect(warnings).toContainEqual(expect.stringContaining(`process ${frozen.child.pid} holds the write lock`))
  expect(others.map(deposed), "their leases went on").toEqual([[], []])
})

test("a program without a session that holds the write lock is not killed, and costs nobody the lease", async () => {
  const path = join(folder, "two.db")
  const { client, workers, running } = await crew(path)
  const writer = new DatabaseSync(path, { timeout: 5_000 })
  writer.exec("BEGIN IMMEDIATE")
  closing.push(() => {
    if (writer.isOpen) writer.close()
  })
  const accepted = client.dispatch("late", new Uint8Array())
  await delay(2.5 * leaseMs)
  writer.close()
  await accepted
  await until(() => running() === keys.length + 1, "the late one runs too")
  for (const one of workers) {
    for (const type of ["deposed", "markedDead", "rescued"] as const) expect(one.seen(type), type).toEqual([])
    expect(one.child.exitCode).toBe(null)
  }
})
