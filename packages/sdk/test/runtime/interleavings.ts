/** The interleavings that protocol.md names for the runtime, forced one by one; on any store. */
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { uniqueName } from "../../../../tools/with-redis.ts"
import type { CommitGroup, Engine, Hint } from "../../src/engine/engine.ts"
import { openEngine } from "../../src/engine/open.ts"
import { addressOf, shardOf } from "../../src/key.ts"
import type { Started } from "./fixture.ts"
import { startPool, until } from "./fixture.ts"

const where = (pool: Started, key: string) => ({ shard: shardOf(key, pool.shards), address: addressOf("sample", key) })

/** The worker's store, with some verbs replaced. */
const withVerbs = (real: Engine, verbs: Partial<Engine>): Engine =>
  new Proxy(real, {
    get(target, name) {
      const value: unknown = verbs[name as keyof Engine] ?? Reflect.get(target, name)
      return typeof value === "function" ? (value.bind(target) as unknown) : value
    },
  })

export const interleavingSuite = (name: string, store: () => string): void => {
  describe(`interleavings on ${name}`, () => {
    let pool: Started
    let engine: Engine
    beforeEach(async () => {
      pool = startPool(store(), uniqueName("interleaving"))
      engine = await openEngine(pool.store)
    })
    afterEach(async () => {
      await pool.close()
      await engine.close()
    })

    test("W6 a signal in the same instant as again wakes the run at once", async () => {
      const handle = await pool.client.sample.start({ id: "same" })
      let sent = false
      const commit = async (of: string, groups: ReadonlyArray<CommitGroup>) => {
        if (!sent && groups.some((group) => group.items.some((item) => item.next.phase === "parked"))) {
          sent = true
          await handle.signal.note("just now")
        }
        return engine.commit(of, groups)
      }
      const handlers = {
        run: (job: any) => {
          const note = job.poll()
          return note === undefined ? job.again({ on: ["note"], after: "1 hour" }) : job.done(`${job.wake.by} ${note.payload}`)
        },
      }
      await pool.worker(handlers, { engine: withVerbs(engine, { commit }) })
      expect(await handle.result({ timeout: 10_000 })).toBe("message just now")
    })

    test("an unread signal that again names wakes at once; one that it does not name waits", async () => {
      const handle = await pool.client.sample.start({ id: "unread" })
      await handle.signal.stop()
      await handle.signal.note("unread")
      await pool.worker({
        run: (job: any) => {
          if (job.iteration === 1) return job.again({ on: ["note"], after: "1 hour" })
          const note = job.poll("note")
          return job.done(`${job.wake.name} ${note.payload} ${job.poll().name} ${job.poll()}`)
        },
      })
      expect(await handle.result({ timeout: 10_000 })).toBe("note unread stop undefined")
    })

    test("W4 message hints in the wrong order, and with a gap, are read in the order of acknowledgement", async () => {
      const held: Array<() => void> = []
      const onHint: Engine["onHint"] = (of, shard, listener) =>
        engine.onHint(of, shard, (hint: Hint) => {
          if (hint.type !== "message") return listener(hint)
          // the second one is lost
          if (hint.message.number !== 2) held.push(() => listener(hint))
        })
      await pool.worker(
        {
          run: async (job: any) => {
            const notes = [await job.receive("note"), await job.receive("note"), await job.receive("note"), await job.receive("note")]
            return job.done(notes.map((note) => note.payload).join(""))
          },
        },
        { engine: withVerbs(engine, { onHint }) },
      )
      const handle = await pool.client.sample.start({ id: "order" })
      await until(async () => (await handle.describe()).phase === "active", "taken")
      for (const letter of "abcd") await handle.signal.note(letter)
      await until(() => held.length === 3, "the hints came")
      for (const deliver of held.toReversed()) deliver()
      expect(await handle.result({ timeout: 10_000 })).toBe("abcd")
    })

    test("O3 a late write of a terminated run does not reach its successor", async () => {
      const gate = Promise.withResolvers<void>()
      let holding = false
      const commit = async (of: string, groups: ReadonlyArray<CommitGroup>) => {
        if (!holding && groups.some((group) => group.items.some((item) => item.append.length > 0))) {
          holding = true
          await gate.promise
        }
        return engine.commit(of, groups)
      }
      const runs: Array<string> = []
      const handlers = {
        run: async (job: any) => {
          runs.push(job.run)
          return job.done(await job.step("who", () => job.run))
        },
      }
      await pool.worker(handlers, { engine: withVerbs(engine, { commit }) })
      const first = await pool.client.sample.start({ id: "late" })
      await until(() => holding, "the first run's step is on its way to the store")
      await first.terminate("replaced")
      const second = await pool.client.sample.start({ id: "late" })
      const { run } = await second.describe()
      gate.resolve()
      expect(await second.result({ timeout: 10_000 })).toBe(run)
      expect(runs).toHaveLength(2)
      expect(runs[0]).not.toBe(run)
    })

    test("W5 the next run starts only after the old handler settled and close ended; past abortGrace it is reported as stuck", async () => {
      const log: Array<string> = []
      const handler = Promise.withResolvers<void>()
      const closing = Promise.withResolvers<void>()
      await pool.worker(
        {
          open: () => log.push("open"),
          close: async () => {
            log.push("closing")
            await closing.promise
            log.push("closed")
          },
          run: async (job: any) => {
            log.push("run")
            if (log.filter((line) => line === "run").length > 1) return job.done("second")
            await handler.promise
            log.push("settled")
            return job.done("first")
          },
        },
        { abortGraceMs: 20 },
      )
      const first = await pool.client.sample.start({ id: "stuck" })
      await until(() => log.includes("run"), "the first run")
      await first.terminate()
      const second = await pool.client.sample.start({ id: "stuck" })
      await until(() => pool.events.some((event) => event.type === "stuck" && event.key === "stuck"), "the report")
      expect(log).toEqual(["open", "run"])
      handler.resolve()
      await until(() => log.includes("closing"), "close began")
      expect(log).toEqual(["open", "run", "settled", "closing"])
      closing.resolve()
      expect(await second.result({ timeout: 10_000 })).toBe("second")
      expect(log.slice(0, 7)).toEqual(["open", "run", "settled", "closing", "closed", "open", "run"])
      expect(pool.events.filter((event) => event.type === "stuck")).toHaveLength(1)
    })

    test("J2 no body begins while what was deferred before it is on its way to the store", async () => {
      const gate = Promise.withResolvers<void>()
      let holding = false
      const commit = async (of: string, groups: ReadonlyArray<CommitGroup>) => {
        // as many as are deferred at most
        if (!holding && groups.some((group) => group.items.some((item) => item.append.length >= 100))) {
          holding = true
          await gate.promise
        }
        return engine.commit(of, groups)
      }
      const log: Array<string> = []
      await pool.worker(
        {
          run: async (job: any) => {
            let sum = 0
            for (let i = 1; i <= 100; i++) sum += await job.step(`part ${i}`, () => i, { commit: "deferred" })
            log.push("called")
            await job.step("effect", () => void log.push(`began ${sum}`))
            return job.done("end")
          },
        },
        { engine: withVerbs(engine, { commit }), store: undefined },
      )
      const handle = await pool.client.sample.start({ id: "deferred" })
      await until(() => holding && log.includes("called"), "the step is called while the write is on its way")
      for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
      expect(log).toEqual(["called"])
      gate.resolve()
      expect(await handle.result({ timeout: 10_000 })).toBe("end")
      expect(log).toEqual(["called", "began 5050"])
    })

    test("W6 the end lists unread signals in the outcome, and answers pending updates RunEnded, for good", async () => {
      const gate = Promise.withResolvers<void>()
      let running = false
      await pool.worker({
        run: async (job: any) => {
          running = true
          await gate.promise
          return job.done("end")
        },
        updates: { add: () => 1 },
      })
      const handle = await pool.client.sample.start({ id: "end" })
      await until(() => running, "it runs")
      await handle.signal.note("unread")
      await handle.signal.stop()
      const pending = handle.update.add(1, { id: "pending" }).catch((error: unknown) => error)
      await until(async () => (await engine.read(pool.pool, [where(pool, "end")], { full: true }))[0]?.inbox.length === 3, "all arrived")
      gate.resolve()
      expect(await handle.result({ timeout: 10_000 })).toBe("end")
      expect(await pending).toMatchObject({ _tag: "RunEnded" })
      const [run] = await engine.read(pool.pool, [where(pool, "end")])
      expect(JSON.parse(run?.outcome ?? "")).toMatchObject({ type: "done", unread: ["note", "stop"] })
      // also when the key has another run by now
      await pool.client.sample.start({ id: "end" })
      await expect(handle.update.add(1, { id: "pending" })).rejects.toMatchObject({ _tag: "RunEnded" })
    })

    test("a signal that an attempt read before it failed is not unread when the run is cancelled in its back-off", async () => {
      await pool.worker(
        {
          run: async (job: any) => {
            await job.receive("note")
            throw new Error("after it was read")
          },
        },
        { policy: { kind: "fixed", first: 60_000, factor: 1 } },
      )
      const handle = await pool.client.sample.start({ id: "read" })
      await handle.signal.note("read")
      await until(async () => (await handle.describe()).attempt === 2, "it backs off")
      await handle.signal.stop()
      await handle.cancel("enough")
      await expect(handle.result({ timeout: 10_000 })).rejects.toMatchObject({ _tag: "Cancelled" })
      const [run] = await engine.read(pool.pool, [where(pool, "read")])
      expect(JSON.parse(run?.outcome ?? "")).toMatchObject({ type: "cancelled", unread: ["stop"] })
    })

    test("an update of a run that backs off is answered, and does not end the back-off", async () => {
      let attempts = 0
      await pool.worker(
        {
          run: () => {
            attempts++
            throw new Error("later")
          },
          updates: { add: (job: any, by: number) => (job.state.count += by) },
        },
        { policy: { kind: "fixed", first: "1 hour", factor: 1 } },
      )
      const handle = await pool.client.sample.start({ id: "backoff" })
      await until(async () => (await handle.describe()).attempt === 2, "the first attempt failed")
      expect(await handle.update.add(2)).toBe(2)
      expect(await handle.update.add(2)).toBe(4)
      expect(attempts).toBe(1)
      expect(await handle.describe()).toMatchObject({ phase: "parked", attempt: 2, state: { count: 4 } })
      await handle.cancel("enough")
      await expect(handle.result({ timeout: 10_000 })).rejects.toMatchObject({ _tag: "Cancelled" })
    })

    test("every attempt of an iteration is told the same reason", async () => {
      const seen: Array<string> = []
      await pool.worker({
        run: (job: any) => {
          seen.push(`${job.iteration}.${job.attempt} ${job.wake.by}`)
          if (job.attempt < 3) throw new Error("again")
          return job.iteration === 1 ? job.again({ on: ["note"] }) : job.done("end")
        },
      })
      const handle = await pool.client.sample.start({ id: "why" })
      await handle.signal.note("x")
      await handle.result({ timeout: 10_000 })
      expect(seen).toEqual(["1.1 start", "1.2 start", "1.3 start", "2.1 message", "2.2 message", "2.3 message"])
    })

    test("a message that comes while an iteration is under way does not become its reason after a move", async () => {
      const seen: Array<string> = []
      const handlers = {
        run: async (job: any) => {
          if (job.iteration === 1) return job.again({ after: 1, on: ["note"] })
          seen.push(job.wake.by)
          await job.step("begun", () => 1)
          await job.receive("stop")
          return job.done(seen.join(" "))
        },
      }
      const first = await pool.worker(handlers)
      const handle = await pool.client.sample.start({ id: "moved" })
      await until(async () => (await engine.read(pool.pool, [where(pool, "moved")], { full: true }))[0]?.journal.length === 2, "it waits")
      await handle.signal.note("later")
      await pool.worker(handlers)
      await first.drain()
      await until(() => seen.length === 2, "the other worker has it")
      await handle.signal.stop()
      expect(await handle.result({ timeout: 10_000 })).toBe("time time")
    })

    test("W8 a tick carries the time for which it was scheduled, in each attempt, and those that were missed are one", async () => {
      const ticks: Array<number> = []
      let id = "ticks 0"
      const handlers = {
        run: (job: any) => {
          if (job.wake.by === "time" && job.key === id) ticks.push(job.wake.scheduled.getTime())
          if (job.iteration > 1 && job.attempt === 1) throw new Error("once")
          return job.iteration < 4 ? job.again({ cron: "* * * * * *" }) : job.done("")
        },
      }
      let handle: any
      let waiting: { readonly nextWake: Date }
      for (let n = 1; ; n++) {
        const first = await pool.worker(handlers)
        handle = await pool.client.sample.start({ id })
        await until(async () => (await handle.describe()).phase === "parked", "it waits for its first tick")
        await first.close()
        waiting = await handle.describe()
        // a second may have gone by meanwhile: then once more
        if (ticks.length === 0) break
        id = `ticks ${n}`
        ticks.length = 0
      }
      await new Promise((resolve) => setTimeout(resolve, 3_000))
      await pool.worker(handlers)
      await handle.result({ timeout: 10_000 })
      const [missed = 0, , next = 0, , last = 0] = ticks
      expect(ticks).toEqual([missed, missed, next, next, last, last])
      expect(missed).toBe(waiting.nextWake.getTime())
      expect(ticks.filter((tick) => tick % 1_000 !== 0)).toEqual([])
      expect(Math.max(next - missed, last - next)).toBeGreaterThanOrEqual(2_000)
    })

    test("B1 a damaged run is reported, and stops no other", async () => {
      const damaged = "damaged"
      await engine.openPool(pool.pool, { shards: pool.shards })
      await engine.start(pool.pool, [{ ...where(pool, damaged), run: "r-damaged", body: "{no json" }])
      const others = Array.from({ length: 40 }, (_, i) => `key-${i}`)
      const handles = await Promise.all(others.map((id) => pool.client.sample.start({ id })))
      await pool.worker({ run: (job: any) => job.done(job.key) })
      expect(await Promise.all(handles.map((handle) => handle.result({ timeout: 10_000 })))).toEqual(others)
      const reports = pool.events.filter((event) => event.type === "blocked")
      expect(reports).toMatchObject([{ key: damaged, run: "r-damaged" }])
      expect(pool.events.filter((event) => event.type === "fault")).toEqual([])
    })

    test("a query is answered for a run that sleeps, and for one that never ran", async () => {
      await pool.worker({
        run: (job: any) => {
          job.state.count = 5
          return job.again({ after: "1 hour" })
        },
        queries: { count: (view: any) => view.state.count },
      })
      const sleeping = await pool.client.sample.start({ id: "sleeping" })
      await until(async () => (await sleeping.describe()).phase === "parked", "it sleeps")
      expect(await sleeping.query.count()).toBe(5)
      const never = await pool.client.sample.start({ id: "never" }, { after: "1 hour" })
      expect(await never.query.count()).toBe(0)
      expect((await never.describe()).phase).toBe("parked")
      await expect(pool.client.sample.get("nobody").query.count()).rejects.toMatchObject({ _tag: "RunNotFound" })
    })

    test("J5 a live query sees what a running handler has made of the state; the others, and without a handler, what is committed", async () => {
      await pool.worker({
        run: async (job: any) => {
          job.state.count += 1
          job.state.log = [...job.state.log, `in ${job.iteration}`]
          await job.receive("stop")
          return job.iteration === 1 ? job.again({ after: "1 hour" }) : job.done("")
        },
        queries: {
          count: (view: any) => (view.live === false ? view.state.count : -1),
          present: (view: any) => {
            const seen = `${view.live} ${view.iteration} ${view.state.count}`
            view.state.count = 100
            return seen
          },
        },
      })
      const handle = await pool.client.sample.start({ id: "live" })
      await until(async () => (await handle.query.present()) === "true 1 1", "the handler runs")
      expect(await handle.query.count()).toBe(0)
      expect(await handle.query.present()).toBe("true 1 1")
      await handle.signal.stop()
      await until(async () => (await handle.describe()).phase === "parked", "it sleeps")
      expect(await handle.query.present()).toBe("false 2 1")
      expect(await handle.query.count()).toBe(1)
      const never = await pool.client.sample.start({ id: "never" }, { after: "1 hour" })
      expect(await never.query.present()).toBe("false 1 0")
    })

    test("a changed input closes and opens the resource once, and never runs init again", async () => {
      const log: Array<string> = []
      await pool.worker({
        init: (input: any) => (log.push(`init ${input.limit}`), { count: 0, log: [] }),
        open: (job: any) => (log.push(`open ${job.input.limit}`), job.input.limit as number),
        close: (resource: number) => void log.push(`close ${resource}`),
        run: (job: any, resource: number) => {
          log.push(`run ${job.wake.by} ${resource}`)
          job.poll()
          return job.again({ on: ["stop"] })
        },
      })
      const handle = await pool.client.sample.start({ id: "input", limit: 1 })
      await until(async () => (await handle.describe()).phase === "parked", "it waits")
      const item = { ...where(pool, "input"), kind: "input", name: "input", id: "change", inboxLimit: 10, retention: 60_000 } as const
      await engine.message(pool.pool, [{ ...item, payload: JSON.stringify({ id: "input", limit: 2 }) }])
      await until(async () => log.includes("run input 2") && (await handle.describe()).phase === "parked", "it ran again")
      await handle.signal.stop()
      await until(async () => log.includes("run message 2"), "it ran once more")
      expect(log).toEqual(["init 1", "open 1", "run start 1", "close 1", "open 2", "run input 2", "run message 2"])
    })
  })
}
