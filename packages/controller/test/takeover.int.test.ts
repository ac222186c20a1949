/** A controller process is killed with SIGKILL: another one that stands by goes on, and tenants notice nothing but a pause of passes. */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { describeRedis, redisUrl, uniqueName } from "../../../tools/with-redis.ts"
import { createController, ndjsonFile } from "../src/index.ts"
import { feedClient, type FeedInput, liveRuns, tenants } from "./feed.ts"
import { until } from "./wait.ts"

const suite = (storeOf: (directory: string) => string): void => {
  let directory: string
  const children: Array<ChildProcess> = []
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "ponos-takeover-"))
  })
  afterEach(async () => {
    for (const child of children.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      const ended = once(child, "exit")
      child.kill("SIGKILL")
      await ended
    }
    rmSync(directory, { recursive: true, force: true })
  })

  test("of two processes one runs, and the other takes over after a kill", async () => {
    const store = storeOf(directory)
    const pool = uniqueName("takeover")
    const file = join(directory, "tenants.ndjson")
    // readers see the old set or the new one, never a half
    const write = (rows: ReadonlyArray<FeedInput>): void => {
      writeFileSync(`${file}.new`, rows.map((row) => JSON.stringify(row)).join("\n"))
      renameSync(`${file}.new`, file)
    }
    const host = async (): Promise<ChildProcess> => {
      const child = spawn(
        process.execPath,
        ["--conditions=source", join(import.meta.dirname, "controller-process.ts"), store, pool, file],
        {
          stdio: ["ignore", "pipe", "inherit"],
        },
      )
      children.push(child)
      await once(child.stdout as NonNullable<typeof child.stdout>, "data")
      return child
    }
    write(tenants(20))
    const client = feedClient({ pool, store, shards: 8 })
    const controller = createController({ job: client.tenantFeed, desired: ndjsonFile(file) })
    try {
      await host()
      await host()
      await until("20 jobs", async () => (await liveRuns(client)).size === 20)
      const before = await liveRuns(client)
      const owner = await until("an owner", async () => (await controller.status()).owner)
      const killed = children.find(({ pid }) => pid === owner.pid)
      const ended = once(killed as ChildProcess, "exit")
      killed?.kill("SIGKILL")
      await ended
      write([...tenants(20), ...tenants(5, 5, 50)])
      await until("the others' jobs", async () => (await liveRuns(client)).size === 25)
      const { owner: next } = await controller.status()
      expect(next?.pid).toBe(children.find((child) => child !== killed)?.pid)
      const after = await liveRuns(client)
      for (const [key, run] of before) expect(after.get(key)).toBe(run)
    } finally {
      await client.close()
    }
  })
}

describe("takeover on a file", () => suite((directory) => `file:${join(directory, "ponos.db")}`))
describeRedis("takeover on Redis", () => suite(redisUrl))
