import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, describe, expect, test } from "vitest"
import { describeRedis, redisUrl, uniqueName } from "../../../../tools/with-redis.ts"
import type { Started } from "./fixture.ts"
import { startPool, until } from "./fixture.ts"

const suite = (store: () => string): void => {
  let pool: Started | undefined
  let end: () => void = () => undefined
  afterEach(async () => {
    end()
    await pool?.close()
  })

  /** A program that never closes its client; gives its exit code once it has ended by itself. */
  const program = (mode: string) => {
    pool = startPool(store(), uniqueName("forgotten"))
    const file = join(import.meta.dirname, "client-process.ts")
    const child = spawn(process.execPath, ["--conditions=source", file, pool.store, pool.pool, mode], {
      stdio: ["ignore", "pipe", "inherit"],
    })
    end = () => child.kill("SIGKILL")
    let said = ""
    child.stdout.on("data", (data: Buffer) => (said += data.toString()))
    const exited = once(child, "exit")
    return {
      pool,
      says: (text: string) => until(() => said.includes(text), `the program says ${text}`, 30_000),
      /** Rejects where it does not end. */
      ends: async (): Promise<string> => {
        await until(() => child.exitCode !== null || child.signalCode !== null, "the program ends by itself", 30_000)
        await exited
        expect([child.exitCode, child.signalCode]).toEqual([0, null])
        return said
      },
    }
  }

  test("a program that starts a job ends by itself", async () => {
    const { ends, pool: own } = program("starts")
    expect(await ends()).toBe("started\n")
    expect((await own.client.sample.get("starts").describe()).phase).toBe("ready")
  })

  test("one that waits for a result lives until it has it", async () => {
    const { says, ends, pool: own } = program("waits")
    await says("started")
    await own.worker({ run: async (job: any) => (await job.receive("stop"), job.done("the end")) })
    await until(async () => (await own.client.sample.get("waits").describe()).phase === "active", "the job runs")
    await own.client.sample.get("waits").signal.stop()
    expect(await ends()).toBe("started\ngot the end\n")
  })

  test("one that waits for the answer of an update lives until it has it, and one that lists until it has all", async () => {
    const { says, ends, pool: own } = program("asks")
    await says("started")
    await own.worker({ run: (job: any) => job.again({ on: ["stop"] }), updates: { add: (_: any, by: number) => by + 1 } })
    expect(await ends()).toBe("started\ngot 3\n")
    await own.close()
    pool = undefined
    expect(await program("lists").ends()).toBe("started\ngot lists\n")
  })
}

describeRedis("a forgotten close, on Redis", () => suite(redisUrl))
describe("a forgotten close, on a file", () => {
  const folders: Array<string> = []
  afterEach(() => folders.splice(0).forEach((folder) => rmSync(folder, { recursive: true, force: true })))
  suite(() => {
    const folder = mkdtempSync(join(tmpdir(), "ponos-forgotten-"))
    folders.push(folder)
    return `file:${join(folder, "ponos.db")}`
  })
})
