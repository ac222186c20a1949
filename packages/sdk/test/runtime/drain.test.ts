/** A drain, seen by durable jobs: they go on from their last entry, and their resources are closed before they are opened elsewhere (A5, W5). */
import { expect, test } from "vitest"
import { uniqueName } from "../../../../tools/with-redis.ts"
import { Pool } from "../../src/pool/index.ts"
import { startPool, until } from "./fixture.ts"
import { describeStores } from "../pool/support.ts"

interface Entry {
  readonly what: "open" | "close" | "step"
  readonly on: string
  readonly key: string
}

describeStores("a drain of durable jobs", (url) => {
  test("moves them from their last entry on, and never is a resource open on both workers", async () => {
    const pool = startPool(url(), uniqueName("drain"))
    try {
      const log: Array<Entry> = []
      const handlers = (on: string) => ({
        open: (job: any) => (log.push({ what: "open", on, key: job.key }), job.key as string),
        close: async (key: string) => {
          // A connection that takes its time to close.
          await new Promise((resolve) => setTimeout(resolve, 20))
          log.push({ what: "close", on, key })
        },
        run: async (job: any) => {
          await job.step("first", () => log.push({ what: "step", on, key: job.key }))
          await job.receive("stop")
          return job.done("stopped")
        },
      })
      const ids = Array.from({ length: 30 }, (_, i) => `tenant-${i}`)
      const handles = await Promise.all(ids.map((id) => pool.client.sample.start({ id })))
      const a = await pool.worker(handlers("a"))
      await until(() => log.filter(({ what }) => what === "step").length === ids.length, "all run on a")
      await pool.worker(handlers("b"))
      await until(() => a.owned().length <= 4, "b has its half")
      await a.close()
      await until(() => log.filter(({ what, on }) => what === "open" && on === "b").length === ids.length, "b has opened all")
      for (const id of ids) {
        const life = log.filter(({ key, what }) => key === id && what !== "step").map(({ what, on }) => `${what} ${on}`)
        expect(life).toEqual(["open a", "close a", "open b"])
      }
      // What was journaled is not done again.
      expect(log.filter(({ what }) => what === "step")).toHaveLength(ids.length)
      await Promise.all(handles.map((handle) => handle.signal.stop()))
      expect(await Promise.all(handles.map((handle) => handle.result()))).toEqual(ids.map(() => "stopped"))
    } finally {
      await pool.close()
    }
  })

  test("a pool that is shut down stops its workers whole", async () => {
    const pool = startPool(url(), uniqueName("drain"))
    const control = await Pool.join(pool.pool, { store: pool.store, shards: pool.shards })
    try {
      const worker = await pool.worker({ run: (job: any) => job.again({ after: "1 hour" }) })
      await pool.client.sample.start({ id: "acme" })
      await control.shutdown({ timeoutMs: 5_000 })
      await worker.stopped
      const refused: unknown = await pool.worker({ run: (job: any) => job.done("x") }).catch((error: unknown) => error)
      expect(refused).toMatchObject({ _tag: "PoolShutDown" })
      await control.reopen()
      const again = await pool.worker({ run: (job: any) => job.done("x") })
      await until(() => again.owned().length === pool.shards, "it holds all")
    } finally {
      await control.close()
      await pool.close()
    }
  })
})
