/** Children and other jobs, on any store; what crashes do to them is in workflows.ts. */
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { uniqueName } from "../../../../tools/with-redis.ts"
import { openEngine } from "../../src/engine/open.ts"
import { shardOf } from "../../src/key.ts"
import type { Started } from "./fixture.ts"
import { startPool, until } from "./fixture.ts"

/** Ends with what it was told, at the signal "end"; other keys end at once. */
const helper = {
  run: async (job: any) => {
    const got: string[] = []
    while (job.key.startsWith("wait") && got.at(-1) !== "end") got.push((await job.receive("go")).payload)
    return job.done(got.join(" ") || job.key)
  },
}
const tagOf = (call: Promise<unknown>): Promise<unknown> => call.catch((error: any) => error._tag)

export const childrenSuite = (name: string, store: () => string): void => {
  describe(`children and other jobs on ${name}`, () => {
    let pool: Started
    beforeEach(() => {
      pool = startPool(store(), uniqueName("children"))
    })
    afterEach(() => pool.close())

    const outcome = async (run: (job: any) => unknown, options: object = {}): Promise<any> => {
      await pool.worker({ run }, { helper, policy: { kind: "none", first: 0, factor: 1 }, ...options })
      const handle = await pool.client.sample.start({ id: "parent" })
      return handle.result({ timeout: 10_000 })
    }

    test("a parent that left memory is woken by the end of a child in another shard", async () => {
      const id = Array.from({ length: 20 }, (_, n) => `wait ${n}`).find((key) => shardOf(key, 8) !== shardOf("parent", 8))
      const result = outcome(async (job: any) => job.done(await (await job.jobs.helper.start({ id })).result()), { parkAfterMs: 100 })
      await until(
        async () =>
          (
            await pool.client.sample
              .get("parent")
              .describe()
              .catch(() => undefined)
          )?.phase === "parked",
        "it is parked",
      )
      await pool.client.helper.get(id).signal.go("end")
      expect(await result).toBe("end")
    })

    test("all who wait for a run are told of its end, also those that did not start it", async () => {
      const keys = Array.from({ length: 20 }, (_, n) => `sample ${n}`)
      await pool.worker({ run: async (job: any) => job.done(`${job.key}: ${await job.jobs.helper.get("wait").result()}`) }, { helper })
      await pool.client.helper.start({ id: "wait" })
      const handles = await Promise.all(keys.map((id) => pool.client.sample.start({ id })))
      const engine = await openEngine(pool.store)
      const waiting = async (): Promise<number> => {
        const runs = await engine.read(
          pool.pool,
          keys.map((key) => ({ shard: shardOf(key, 8), address: `sample/${key}` })),
          { full: true },
        )
        return runs.filter((run) => run?.journal.length === 1).length
      }
      await until(async () => (await waiting()) === keys.length, "all have asked")
      await pool.client.helper.get("wait").signal.go("end")
      expect(await Promise.all(handles.map((handle) => handle.result({ timeout: 10_000 })))).toEqual(keys.map((key) => `${key}: end`))
      await engine.close()
    })

    test("a run has as many live children as linkLimit allows, and any number one after another", async () => {
      const found = await outcome(
        async (job: any) => {
          const { helper: other } = job.jobs
          for (let n = 0; n < 7; n++) await (await other.start({ id: `short ${n}` })).result()
          await Promise.all([
            other.start({ id: "wait 1" }),
            other.start({ id: "wait 2" }),
            other.start({ id: "free" }, { onParentEnd: "abandon" }),
          ])
          return job.done(await tagOf(other.start({ id: "wait 3" })))
        },
        { linkLimit: 2 },
      )
      expect(found).toBe("LinksFull")
      for (const id of ["wait 1", "wait 2"]) expect(await tagOf(pool.client.helper.get(id).result())).toBe("Cancelled")
      expect(await tagOf(pool.client.helper.get("wait 3").describe())).toBe("RunNotFound")
    })

    test("refusals and mistakes are errors of the call", async () => {
      const found = await outcome(async (job: any) => {
        const { helper: other } = job.jobs
        const child = await other.start({ id: "short" })
        const result = await child.result()
        const signal = await tagOf(child.signal.go("late"))
        const ended = await tagOf(other.start({ id: "short" }, { ifEnded: "reject" }))
        await other.start({ id: "short" })
        const replaced = await tagOf(child.result())
        const nobody = await tagOf(other.get("nobody").result())
        const tags = [result, signal, ended, replaced, nobody]
        await other.start({ id: "wait" })
        for (const call of [
          () => other.start({ id: "x" }, { onParentEnd: "kill" }),
          () => other.start({ id: "x" }, { labels: { a: 1 } }),
          () => other.start({ id: "x" }, { signal: { name: "nothing" } }),
          () => other.start({ id: "x" }, { signal: { name: "go", payload: 7 } }),
          () => other.start({ id: "x" }, { ifRunning: "stop" }),
          () => job.jobs.sample.start({ id: job.key }, { ifRunning: "replace" }),
          () => other.start({ id: "x" }, { afer: 1 }),
          () => other.start({ id: 7 }),
          () => other.get("x").signal.go(7),
        ])
          try {
            await call()
          } catch (error) {
            tags.push((error as { _tag: string })._tag)
          }
        return job.done(tags.join(" "))
      })
      const early = "BadOption BadOption BadOption BadInput BadOption BadOption"
      expect(found).toBe(`short RunEnded RunEnded OutcomeUnknown RunNotFound ${early} BadOption BadInput BadInput`)
    })

    test("a child's first signal goes to the live run that is joined, and is refused where its inbox is full", async () => {
      const found = await outcome(
        async (job: any) => {
          const { helper: other } = job.jobs
          const go = (payload: string) => ({ signal: { name: "go", payload } })
          await other.start({ id: "wait" }, go("one"))
          const child = await other.start({ id: "wait" }, go("two"))
          const dropped = await tagOf(other.start({ id: "wait" }, { ...go("never"), ifRunning: "reject" }))
          await other.start({ id: "wait" }, go("end"))
          const end = await child.result()
          // nobody reads it before its time
          for (const payload of ["1", "2", "3"]) await other.start({ id: "later" }, { ...go(payload), after: "1 hour" })
          const full = await tagOf(other.start({ id: "later" }, go("4")))
          return job.done([end, dropped, full].join(" "))
        },
        { inboxLimit: 3 },
      )
      expect(found).toBe("one two end RunExists InboxFull")
    })

    test("a question whose id may be forgotten by now is not asked again", async () => {
      const engine = await openEngine(pool.store)
      await pool.client.sample.start({ id: "parent" })
      const shard = shardOf("parent", 8)
      const [claimed] = await engine.claim(pool.pool, [{ shard, session: "s1", from: { session: "", epoch: 0 }, knownEpoch: 0 }])
      const owner = { shard, session: "s1", epoch: claimed?.status === "claimed" ? claimed.epoch : 0 }
      const [taken] = await engine.take(pool.pool, [{ ...owner, limit: 1, timers: false }])
      const run = taken?.status === "taken" ? taken.runs[0] : undefined
      const base = { b: Date.now(), w: { by: "start" } }
      const append = [
        { ...base, t: "ask", c: 0, n: "start helper/old", at: 1_000 },
        { t: "ask", c: 1, n: "start helper/new", at: Date.now() },
      ]
      await engine.commit(pool.pool, [
        {
          ...owner,
          items: [
            {
              address: "sample/parent",
              run: run?.run ?? "",
              revision: "0",
              newRevision: "0",
              journalLength: 0,
              append: append.map((entry) => JSON.stringify(entry)),
              journal: "keep",
              next: { phase: "active" },
              consumed: 0,
              seen: 0,
              answers: [],
            },
          ],
        },
      ])
      await engine.release(pool.pool, [owner])
      await engine.close()
      const found = await outcome(async (job: any) => {
        const [old, child] = await Promise.all([tagOf(job.jobs.helper.start({ id: "old" })), job.jobs.helper.start({ id: "new" })])
        return job.done([old, await child.result()].join(" "))
      })
      expect(found).toBe("OutcomeUnknown new")
      expect(await tagOf(pool.client.helper.get("old").describe())).toBe("RunNotFound")
    })

    test("a link that nobody can read is reported once, and stands in nobody's way", async () => {
      const engine = await openEngine(pool.store)
      await pool.worker({ run: async (job: any) => job.done(await job.jobs.helper.get("wait").result()) }, { helper })
      await pool.client.helper.start({ id: "wait" })
      const shard = shardOf("wait", 8)
      await engine.link(pool.pool, [{ shard, address: "helper/wait", link: "damaged", limit: 10, outboxLimit: 10 }])
      const handle = await pool.client.sample.start({ id: "parent" })
      await pool.client.helper.get("wait").signal.go("end")
      expect(await handle.result({ timeout: 10_000 })).toBe("end")
      await until(async () => (await engine.sweep(pool.pool, [shard]))[0]?.outbox === 0, "the outbox is empty")
      expect(pool.events.filter((event) => event.type === "unsent")).toMatchObject([
        { kind: "helper", key: "wait", error: { _tag: "StoreFault" } },
      ])
      await engine.close()
    })

    test("a start with a signal: the first iteration finds it, a live run gets it as any other", async () => {
      await pool.worker({
        run: async (job: any) => {
          const first = job.poll("note")?.payload
          if (job.key === "poll") return job.done(`${job.wake.by} ${first}`)
          return job.done([first, (await job.receive("note")).payload].join(" "))
        },
      })
      const { sample } = pool.client
      const note = (payload: string) => ({ signal: { name: "note", payload } })
      expect(await (await sample.start({ id: "poll" }, note("one"))).result({ timeout: 10_000 })).toBe("start one")
      const waits = await sample.start({ id: "waits" }, note("one"))
      await sample.start({ id: "waits" }, note("two"))
      expect(await waits.result({ timeout: 10_000 })).toBe("one two")
      const replaced = await sample.start({ id: "replaced" }, note("old"))
      expect(await tagOf(sample.start({ id: "replaced" }, { ...note("never"), ifRunning: "reject" }))).toBe("RunExists")
      await sample.start({ id: "replaced" }, { ...note("new"), ifRunning: "replace" })
      await sample.start({ id: "replaced" }, note("end"))
      expect(await replaced.result({ timeout: 10_000 })).toBe("new end")
      expect(await tagOf(sample.start({ id: "x" }, { signal: { name: "nothing" } }))).toBe("BadOption")
      expect(await tagOf(sample.start({ id: "x" }, { signal: { name: "note", payload: 7 } }))).toBe("BadInput")
    })
  })
}
