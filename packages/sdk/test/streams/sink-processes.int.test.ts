/** A sink whose consumers are processes, one of which is killed with events in its hands. */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { afterAll, afterEach, expect, test, vi } from "vitest"
import { describeRedis, redisUrl, uniqueName } from "../../../../tools/with-redis.ts"
import { openStreams } from "../../src/streams/index.ts"

const folder = mkdtempSync(join(tmpdir(), "ponos-sinks-"))
afterAll(() => rmSync(folder, { recursive: true }))

const children: ChildProcess[] = []
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    const exited = once(child, "exit")
    child.kill("SIGKILL")
    await exited
  }
})

const consumer = (store: string, pool: string, how: "stuck" | "works") => {
  const child = spawn(process.execPath, [join(import.meta.dirname, "fixtures/consumer.ts"), store, pool, how], {
    stdio: ["ignore", "pipe", "inherit"],
  })
  children.push(child)
  const lines: string[] = []
  createInterface({ input: child.stdout }).on("line", (line) => lines.push(line))
  return { child, lines }
}

const scenario = async (store: string): Promise<void> => {
  const pool = uniqueName("sinks")
  await using streams = await openStreams({ pool, store })
  const all = Array.from({ length: 40 }, (_, n) => `e${n}`)
  await streams.appendMany(
    "s",
    all.map((payload) => ({ payload })),
  )
  const stuck = consumer(store, pool, "stuck")
  await vi.waitFor(() => expect(stuck.lines).toEqual(["ready", "e0"]), 10_000)
  const works = consumer(store, pool, "works")
  await vi.waitFor(() => expect(works.lines).toHaveLength(1 + 36), 10_000)
  stuck.child.kill("SIGKILL")
  // Its four events: by its silence, long before the grace of 30 s.
  await vi.waitFor(() => expect(works.lines.slice(1).toSorted()).toEqual(all.toSorted()), 10_000)
  await streams.destroy("s")
}

test("on a file, what a killed process held is done by another one", async () => {
  await scenario(`file:${join(folder, "ponos.db")}`)
})

describeRedis("on Redis", () => {
  test("what a killed process held is done by another one", async () => {
    await scenario(redisUrl())
  })
})
