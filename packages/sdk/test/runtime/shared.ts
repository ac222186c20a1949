/** What the jobs of a tenant share: on any store. */
import { Effect, Schema } from "effect"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { uniqueName } from "../../../../tools/with-redis.ts"
import { defineJob, query, retry, signal, type } from "../../src/define/index.ts"
import type { JobContract } from "../../src/gen.ts"
import { makeClient, makeStub } from "../../src/gen.ts"
import type { SharedOptions } from "../../src/index.ts"
import { shared } from "../../src/index.ts"
import type { Started } from "./fixture.ts"
import { startPool, until } from "./fixture.ts"

const definition = defineJob({
  kind: "part",
  input: type<{ tenant: string; part: string }>(),
  key: ["tenant", "part"],
  result: type<string>(),
  signals: { go: signal() },
  queries: { here: query<boolean>() },
  retry: retry.fixed({ every: 10, attempts: 2 }),
})
const contract: JobContract = {
  name: "part",
  kind: "part",
  key: ["tenant", "part"],
  version: "1",
  failures: {},
  schemas: {
    input: Schema.Struct({ tenant: Schema.String, part: Schema.String }),
    state: null,
    result: Schema.String,
    errors: {},
    signals: { go: null },
    queries: { here: { in: null, out: Schema.Boolean, errors: {} } },
    updates: {},
    activities: {},
  },
}
const stub = makeStub(definition as never, contract)

/** A connection that says what happens to it, and which one it is. */
const connections = (options: Partial<SharedOptions<string>> = {}) => {
  const log: Array<string> = []
  const signals: Array<AbortSignal> = []
  let count = 0
  const db = shared<string>({
    open: async (tenant, abortSignal) => {
      const name = `${tenant}#${++count}`
      signals.push(abortSignal)
      log.push(`open ${name}`)
      await new Promise((resolve) => setTimeout(resolve, 20))
      return name
    },
    close: async (name) => {
      log.push(`closing ${name}`)
      await new Promise((resolve) => setTimeout(resolve, 20))
      log.push(`closed ${name}`)
    },
    idle: 50,
    ...options,
  })
  return { db, log, signals }
}

export const sharedSuite = (name: string, store: () => string): void => {
  describe(`shared resources on ${name}`, () => {
    let pool: Started
    let client: any
    beforeEach(() => {
      pool = startPool(store(), uniqueName("shared"))
      client = makeClient({ pool: pool.pool, store: pool.store, shards: pool.shards }, { part: contract })
    })
    afterEach(async () => {
      await client.close()
      await pool.close()
    })
    const worker = (handlers: object) => pool.worker({}, { jobs: [stub.implement(handlers)] })
    const start = (tenant: string, part: string) => client.part.start({ tenant, part })

    test("one for the jobs of a tenant, opened once, closed when nobody has used it for `idle`", async () => {
      const { db, log, signals } = connections()
      await worker({
        run: async (job: any) => {
          const name = await job.use(db)
          await job.receive("go")
          return job.done(`${name} ${(await job.use(db)) === name}`)
        },
      })
      const parts = await Promise.all(["a", "b", "c"].map((part) => start("acme/1 %", part)))
      const other = await start("other", "a")
      await until(() => log.length === 2, "both tenants have theirs")
      await parts[0].signal.go()
      expect(await parts[0].result({ timeout: 10_000 })).toBe("acme/1 %#1 true".replace("#1", log[0]?.slice(-2) ?? ""))
      await new Promise((resolve) => setTimeout(resolve, 120))
      expect(log.filter((line) => line.startsWith("clos"))).toEqual([])
      for (const one of [parts[1], parts[2], other]) await one.signal.go()
      for (const one of [parts[1], parts[2], other]) await one.result({ timeout: 10_000 })
      await until(() => log.length === 6, "both were closed")
      expect(signals.map(({ reason }) => (reason as { _tag: string })._tag)).toEqual(["Deposed", "Deposed"])
      const later = await start("other", "b")
      await later.signal.go()
      expect(await later.result({ timeout: 10_000 })).toBe("other#3 true")
    })

    test("a failing open fails those that wait for it, and is tried again by the next", async () => {
      let opens = 0
      const { db } = connections({
        open: () =>
          Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 20))).pipe(
            Effect.andThen(() => (++opens === 1 ? Effect.fail(new Error("no connection")) : Effect.succeed("fine"))),
          ),
      })
      let asked = 0
      const attempts: Array<string> = []
      await worker({
        run: async (job: any) => {
          if (asked++ < 2) await until(() => asked >= 2, "both run")
          attempts.push(job.key)
          return job.done(`${await job.use(db)} ${job.attempt}`)
        },
      })
      const [one, two] = await Promise.all([start("acme", "1"), start("acme", "2")])
      expect(await one.result({ timeout: 10_000 })).toBe("fine 2")
      expect(await two.result({ timeout: 10_000 })).toBe("fine 2")
      expect(attempts).toHaveLength(4)
      expect(opens).toBe(2)
      const failed = pool.events.filter((event) => event.type === "failed")
      expect(failed.map(({ error }) => error.message)).toEqual(["no connection", "no connection"])
    })

    test("W5 it is closed before another worker opens it", async () => {
      const { db, log, signals } = connections({ idle: "1 hour" })
      const handlers = {
        run: async (job: any) => {
          const name = await job.use(db)
          await job.receive("go")
          return job.done(name)
        },
      }
      const first = await worker(handlers)
      const waiting = await start("acme", "waits")
      const ended = await start("acme", "ends")
      await ended.signal.go()
      expect(await ended.result({ timeout: 10_000 })).toBe("acme#1")
      await worker(handlers)
      await first.close()
      await waiting.signal.go()
      expect(await waiting.result({ timeout: 10_000 })).toBe("acme#2")
      expect(log.slice(0, 4)).toEqual(["open acme#1", "closing acme#1", "closed acme#1", "open acme#2"])
      expect(signals[0]?.reason).toMatchObject({ _tag: "Deposed" })
    })

    test("what `open` of a job uses is its own until `close` has ended", async () => {
      const { db, log } = connections({ idle: 0 })
      await worker({
        open: async (job: any) => ({ db: await job.use(db) }),
        close: async (resource: any) => {
          log.push(`last words to ${resource.db}`)
          await new Promise((resolve) => setTimeout(resolve, 30))
        },
        run: (job: any, resource: any) => {
          const next = job.poll()
          return next === undefined ? job.again({ on: ["go"] }) : job.done(resource.db)
        },
      })
      const handle = await start("acme", "1")
      await until(async () => (await handle.describe()).phase === "parked", "it waits")
      await new Promise((resolve) => setTimeout(resolve, 50))
      expect(log).toEqual(["open acme#1"])
      await handle.signal.go()
      expect(await handle.result({ timeout: 10_000 })).toBe("acme#1")
      await until(() => log.length === 4, "it is closed")
      expect(log).toEqual(["open acme#1", "last words to acme#1", "closing acme#1", "closed acme#1"])
    })

    test("who is cancelled does not wait for it, and may use it to clean up; a failing close is reported", async () => {
      const opening = Promise.withResolvers<string>()
      const { db } = connections({ open: () => opening.promise, close: () => Promise.reject(new Error("broken")) })
      const seen: Array<string> = []
      await worker({
        run: async (job: any) => {
          try {
            return job.done(await job.use(db))
          } finally {
            seen.push(job.abortSignal.reason._tag)
            opening.resolve("late")
            await job.step("clean up", async () => seen.push(await job.use(db)))
          }
        },
      })
      const handle = await start("acme", "1")
      await until(async () => (await handle.describe()).phase === "active", "it waits for the connection")
      await new Promise((resolve) => setTimeout(resolve, 50))
      await handle.cancel("enough")
      await expect(handle.result({ timeout: 10_000 })).rejects.toMatchObject({ _tag: "Cancelled" })
      expect(seen).toEqual(["Cancelled", "late"])
      const failed = await until(() => pool.events.find((event) => event.type === "closeFailed"), "the failure is told")
      expect(failed).toMatchObject({ tenant: "acme", error: { message: "broken" } })
    })

    test("nothing else can be used, and nothing when the handler has ended", async () => {
      const { db } = connections()
      let kept: any
      await worker({
        run: async (job: any) => {
          kept = job
          if (job.key === "acme/late") return job.done("")
          return job.done(await job.use({ open: 1 }).catch((error: Error) => error.message))
        },
      })
      const wrong = await start("acme", "wrong")
      expect(await wrong.result({ timeout: 10_000 })).toContain("expected job.use to get what `shared({ open, … })`")
      const late = await start("acme", "late")
      await late.result({ timeout: 10_000 })
      await expect(kept.use(db)).rejects.toMatchObject({ _tag: "Deposed" })
    })
  })
}
