/** What the runtime promises, on any store: the suite is applied to SQLite and to Redis. */
import { Effect } from "effect"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { openEngine } from "../../src/engine/open.ts"
import { uniqueName } from "../../../../tools/with-redis.ts"
import type { Started } from "./fixture.ts"
import { GoneError, RejectedError, startPool, until, wrapEngine } from "./fixture.ts"

export const runtimeSuite = (name: string, store: () => string): void => {
  describe(`runtime on ${name}`, () => {
    let pool: Started
    beforeEach(() => {
      pool = startPool(store(), uniqueName("runtime"))
    })
    afterEach(async () => {
      await pool.close()
    })

    test("a started job runs and gives its result", async () => {
      await pool.worker({ run: (job: any) => job.done(`hello ${job.key}`) })
      const handle = await pool.client.sample.start({ id: "acme" })
      expect(await handle.result({ timeout: 10_000 })).toBe("hello acme")
    })

    test("steps are computed once, in order, and their results survive a failed attempt", async () => {
      const ran: Array<string> = []
      let failures = 0
      await pool.worker({
        run: async (job: any) => {
          const a = await job.step("a", () => (ran.push("a"), 1))
          const [b, c] = await Promise.all([job.step("b", async () => (ran.push("b"), 2)), job.step("c", () => (ran.push("c"), 3n))])
          if (failures++ < 2) throw new Error("boom")
          return job.done(`${a} ${b} ${c} attempt ${job.attempt}`)
        },
      })
      const handle = await pool.client.sample.start({ id: "steps" })
      expect(await handle.result({ timeout: 10_000 })).toBe("1 2 3 attempt 3")
      expect(ran).toEqual(["a", "b", "c"])
      expect(pool.events.filter((event) => event.type === "failed")).toHaveLength(2)
    })

    test("a failed step that the handler caught fails again on replay", async () => {
      let tries = 0
      let attempts = 0
      await pool.worker({
        run: async (job: any) => {
          const first = await job
            .step("first", () => {
              tries++
              throw new Error("no")
            })
            .catch((error: Error) => `caught ${error.message}`)
          const second = await job.step("second", () => "two")
          if (attempts++ === 0) throw new Error("again please")
          return job.done(`${first} ${second}`)
        },
      })
      const handle = await pool.client.sample.start({ id: "caught" })
      expect(await handle.result({ timeout: 10_000 })).toContain("caught no")
      expect(tries).toBe(1)
    })

    test("a declared error ends the run and comes back as its class", async () => {
      await pool.worker({
        run: () => {
          throw new GoneError({ status: 410 })
        },
      })
      const handle = await pool.client.sample.start({ id: "gone" })
      const error = await handle.result({ timeout: 10_000 }).catch((caught: unknown) => caught)
      expect(error).toBeInstanceOf(GoneError)
      expect(error).toMatchObject({ _tag: "Gone", status: 410 })
    })

    test("an undeclared error ends the run after its retries, with RunFailed", async () => {
      await pool.worker({
        run: () => {
          throw new Error("broken")
        },
      })
      const handle = await pool.client.sample.start({ id: "broken" })
      await expect(handle.result({ timeout: 10_000 })).rejects.toMatchObject({
        _tag: "RunFailed",
        message: expect.stringContaining("broken"),
      })
      expect(pool.events.filter((event) => event.type === "failed")).toHaveLength(4)
    })

    test("again goes through iterations with its state, and done ends it", async () => {
      await pool.worker({
        run: async (job: any) => {
          job.state.count += 1
          job.state.log = [...job.state.log, `${job.iteration}:${job.wake.by}`]
          if (job.state.count < 4) return job.again(job.state.count === 1 ? {} : { after: 5 })
          return job.done(job.state.log.join(" "))
        },
      })
      const handle = await pool.client.sample.start({ id: "loop" })
      expect(await handle.result({ timeout: 10_000 })).toBe("1:start 2:again 3:time 4:time")
    })

    test("signals wake what waits for them, are read in order, and none is lost", async () => {
      await pool.worker({
        run: async (job: any) => {
          for (let next = job.poll(); next; next = job.poll()) {
            if (next.name === "stop") return job.done(job.state.log.join(","))
            job.state.log = [...job.state.log, next.payload]
          }
          return job.again({ on: ["note", "stop"] })
        },
      })
      const handle = await pool.client.sample.start({ id: "signals" })
      for (let i = 0; i < 20; i++) await handle.signal.note(`n${i}`)
      await handle.signal.stop()
      expect(await handle.result({ timeout: 10_000 })).toBe(Array.from({ length: 20 }, (_, i) => `n${i}`).join(","))
    })

    test("receive waits inside an iteration, also with a timeout", async () => {
      await pool.worker({
        run: async (job: any) => {
          const none = await job.receive("stop", { timeout: 30 })
          const note = await job.receive("note")
          return job.done(`${none} ${note.payload}`)
        },
      })
      const handle = await pool.client.sample.start({ id: "receive" })
      await until(async () => (await handle.describe()).phase === "active", "the run is taken")
      await handle.signal.note("hi")
      expect(await handle.result({ timeout: 10_000 })).toBe("undefined hi")
    })

    test("sleep is durable and its time is the same on replay", async () => {
      let attempts = 0
      const seen: Array<string> = []
      await pool.worker({
        run: async (job: any) => {
          const before = job.now().getTime()
          await job.sleep(50)
          const after = job.now().getTime()
          seen.push(`${before} ${after} ${job.uuid()} ${job.random()}`)
          await job.step("s", () => 1)
          if (attempts++ === 0) throw new Error("replay me")
          return job.done(String(after - before >= 50))
        },
      })
      const handle = await pool.client.sample.start({ id: "sleep" })
      expect(await handle.result({ timeout: 10_000 })).toBe("true")
      expect(seen).toHaveLength(2)
      expect(seen[0]).toBe(seen[1])
    })

    test("deferred steps travel together, before the body of one that is not, or not at all when the iteration ends", async () => {
      const engine = await openEngine(pool.store)
      const writes: Array<number> = []
      const counting = wrapEngine(engine, {
        commit: async (name, groups) => {
          for (const { items } of groups) for (const item of items) writes.push(item.append.length)
          return await engine.commit(name, groups)
        },
      })
      let writesBefore: ReadonlyArray<number> = []
      const worker = await pool.worker(
        {
          run: async (job: any) => {
            let sum = 0
            for (let i = 1; i <= 10; i++) sum += await job.step(`part ${i}`, () => i, { commit: "deferred" })
            if (job.iteration === 1) return job.again()
            await job.step("kept", () => {
              writesBefore = [...writes]
            })
            return job.done(String(sum))
          },
        },
        { engine: counting, store: undefined },
      )
      const handle = await pool.client.sample.start({ id: "deferred" })
      expect(await handle.result({ timeout: 10_000 })).toBe("55")
      // again, then the ten parts in one write, before the body of the step; then the step, and the end
      expect(writesBefore).toEqual([0, 10])
      expect(writes).toEqual([0, 10, 1, 0])
      await worker.close()
      await engine.close()
    })

    test("a filter that throws fails the attempt, and what it refuses stays unread", async () => {
      let attempts = 0
      await pool.worker({
        run: async (job: any) => {
          const first = attempts++ === 0
          const note = await job.receive("note", {
            filter: (payload: string) => {
              if (first) throw new Error("the filter is broken")
              return payload === "mine"
            },
          })
          return job.done(`${note.payload} ${job.poll("note").payload} attempt ${job.attempt}`)
        },
      })
      const handle = await pool.client.sample.start({ id: "filter" })
      await handle.signal.note("other")
      await handle.signal.note("mine")
      expect(await handle.result({ timeout: 10_000 })).toBe("mine other attempt 2")
      expect(pool.events.find((event) => event.type === "failed")).toMatchObject({ error: { message: "the filter is broken" } })
    })

    test("an iteration keeps the version with which it came by, later ones have the newest, and a run whose version is gone waits", async () => {
      const rest = async (job: any, version: number): Promise<unknown> => {
        await job.step("a", () => 1)
        await job.receive("stop")
        job.state.log = [...job.state.log, `${job.iteration}:${version}`]
        return job.iteration === 1 ? job.again() : job.done(job.state.log.join(" "))
      }
      const old = await pool.worker({ run: async (job: any) => await rest(job, 1) })
      const handle = await pool.client.sample.start({ id: "versions" })
      await until(async () => (await handle.history()).journal.length >= 2, "it waits in its first iteration")
      await old.close()
      const newer = await pool.worker({ run: async (job: any) => await rest(job, job.version("change", 1, 2)) })
      await handle.signal.stop()
      await until(
        async () => (await handle.history()).journal.some((entry: any) => entry.t === "version"),
        "its second iteration has begun",
      )
      await newer.close()
      // code that knows only a later version, then the one before again
      const newest = await pool.worker({ run: async (job: any) => await rest(job, job.version("change", 3, 3)) })
      await until(async () => (await handle.describe()).blocked?.includes('version 2 of the change "change"'), "it waits for code")
      await newest.close()
      expect((await handle.describe()).phase).toBe("active")
      expect(pool.events.filter(({ type }) => type === "failed")).toEqual([])
      expect(pool.events).toContainEqual(expect.objectContaining({ type: "blocked", kind: "sample", key: "versions" }))
    })

    test("updates are applied once, answered, validated; a throw leaves the state as it was", async () => {
      await pool.worker({
        run: (job: any) => job.again({ on: ["stop"] }),
        updates: {
          add: (job: any, by: number) => {
            job.state.count += by
            if (by < 0) throw new RejectedError({ reason: "negative" })
            return job.state.count
          },
        },
        queries: { count: (view: any) => view.state.count },
      })
      const handle = await pool.client.sample.start({ id: "updates" })
      expect(await handle.update.add(2)).toBe(2)
      expect(await handle.update.add(3, { id: "once" })).toBe(5)
      expect(await handle.update.add(3, { id: "once" })).toBe(5)
      await expect(handle.update.add(-1)).rejects.toMatchObject({ _tag: "Rejected", reason: "negative" })
      expect(await handle.query.count()).toBe(5)
      await expect(handle.update.add("x")).rejects.toMatchObject({ _tag: "BadInput" })
      expect((await handle.describe()).state).toEqual({ count: 5, log: [] })
    })

    test("an update reaches a handler that waits inside an iteration", async () => {
      let attempts = 0
      await pool.worker({
        run: async (job: any) => {
          await job.receive("stop")
          await job.step("after", () => 1)
          if (attempts++ === 0) throw new Error("replay me")
          return job.done(String(job.state.count))
        },
        updates: { add: (job: any, by: number) => (job.state.count += by) },
      })
      const handle = await pool.client.sample.start({ id: "inside" })
      expect(await handle.update.add(7)).toBe(7)
      await handle.signal.stop()
      expect(await handle.result({ timeout: 10_000 })).toBe("7")
    })

    test("a receive of several signals takes the first that comes, in order, also on replay, and no other", async () => {
      let attempts = 0
      await pool.worker({
        run: async (job: any) => {
          const got: Array<string> = []
          for (;;) {
            const { name: what, payload } = await job.receive(["note", "stop"])
            if (what === "stop") break
            got.push(payload)
          }
          const late = await job.receive(["stop", "note"], { timeout: 1, filter: () => false })
          if (attempts++ === 0) throw new Error("replay me")
          const last = await job.receive("note")
          return job.done(`${got.join(" ")} ${late === undefined} ${last.payload}`)
        },
      })
      const handle = await pool.client.sample.start({ id: "several" })
      for (const text of ["a", "b"]) await handle.signal.note(text)
      await handle.signal.stop()
      await handle.signal.note("c")
      expect(await handle.result({ timeout: 10_000 })).toBe("a b true c")
    })

    test("a durable call in the body of a step is refused, and so is to wait for oneself", async () => {
      const refused: Array<string> = []
      const seen = (error: any): void =>
        void refused.push(`${error._tag}: ${String(error.message).slice(String(error.message).indexOf("expected"))}`)
      await pool.worker({
        run: async (job: any) => {
          const [before] = await Promise.all([
            // beside each other they are no part of one another
            job.step("outer", async () => await job.step("inner", () => 1)).catch(seen),
            job.step("beside", async () => await Promise.resolve(2)),
          ])
          await job.step("effect", () => job.sleep(1)).catch(seen)
          const self = await job.jobs.sample.start({ id: job.key })
          await (async () => await self.result())().catch(seen)
          await (async () => await job.jobs.sample.get(job.key).result())().catch(seen)
          return job.done(String(before))
        },
      })
      const handle = await pool.client.sample.start({ id: "nested" })
      expect(await handle.result({ timeout: 10_000 })).toBe("undefined")
      const inside = (step: string, call: string): RegExp =>
        new RegExp(`^NotAllowed: expected the body of step "${step}" to make no durable calls, got: ${call}`)
      const oneself = /^NotAllowed: expected sample\/nested to wait for the result of another run, got: its own/
      const expected = [inside("outer", 'step "inner"'), inside("effect", "sleep"), oneself, oneself]
      expect(refused).toHaveLength(expected.length)
      refused.forEach((text, at) => expect(text).toMatch(expected[at] as RegExp))
    })

    test("a receive of what is no signal is refused", async () => {
      const refused: Array<string> = []
      await pool.worker({
        run: async (job: any) => {
          for (const name of ["typo", [], ["note", "typo"], undefined])
            try {
              await job.receive(name)
            } catch (error) {
              refused.push(`${(error as { _tag: string })._tag} ${String((error as Error).message.includes("note, stop"))}`)
            }
          return job.done("end")
        },
      })
      await (await pool.client.sample.start({ id: "no-signal" })).result({ timeout: 10_000 })
      expect(refused).toEqual(Array.from({ length: 4 }, () => "BadOption true"))
    })

    test("activities run, retry, and give declared errors", async () => {
      let flaky = 0
      await pool.worker(
        {
          run: async (job: any) => {
            const loud = await job.activities.shout("hi")
            const flakyResult = await job.activities.shout("flaky")
            const refused = await job.activities.shout("bad").catch((error: any) => `${error._tag} ${error.reason}`)
            const failed = await job.activities.shout("never").catch((error: any) => `${error._tag} ${error.details.tries.length}`)
            return job.done([loud, flakyResult, refused, failed].join("|"))
          },
        },
        {
          activities: {
            shout: (call: any, input: string) => {
              if (input === "flaky" && flaky++ < 2) throw new Error("flaky")
              if (input === "bad") throw new RejectedError({ reason: "bad" })
              if (input === "never") throw new Error("never")
              return Effect.succeed(`${input.toUpperCase()}${call.attempt}`)
            },
          },
        },
      )
      const handle = await pool.client.sample.start({ id: "activities" })
      expect(await handle.result({ timeout: 20_000 })).toBe("HI1|FLAKY3|Rejected bad|ActivityFailed 3")
    })

    test("cancel reaches a waiting handler, which may clean up; terminate does not ask", async () => {
      const cleaned: Array<string> = []
      await pool.worker({
        run: async (job: any) => {
          try {
            await job.receive("stop")
          } finally {
            await job.step("clean", () => cleaned.push(job.key))
          }
          return job.done("never")
        },
      })
      const a = await pool.client.sample.start({ id: "a" })
      await until(async () => (await a.describe()).phase === "active", "taken")
      await a.cancel("enough")
      await expect(a.result({ timeout: 10_000 })).rejects.toMatchObject({ _tag: "Cancelled", details: { reason: "enough" } })
      expect(cleaned).toEqual(["a"])
      const b = await pool.client.sample.start({ id: "b" })
      await b.terminate("now")
      await expect(b.result({ timeout: 10_000 })).rejects.toMatchObject({ _tag: "Terminated" })
      await expect(b.signal.stop()).rejects.toMatchObject({ _tag: "RunEnded" })
    })

    test.each(["cancel", "got"])("what was recorded (%s) while the handler ended is not lost", async (type) => {
      const gate = Promise.withResolvers<void>()
      const engine = await openEngine(pool.store)
      // a cancel: the handler returns while the write of the entry is under way, and it is acknowledged when nobody waits for it any more
      const slow = wrapEngine(engine, {
        commit: async (name, groups) => {
          if (groups.some((group) => group.items.some((item) => item.append.some((entry) => entry.includes(`"t":"${type}"`))))) {
            gate.resolve()
            await new Promise((resolve) => setTimeout(resolve, 20))
          }
          return engine.commit(name, groups)
        },
      })
      const worker = await pool.worker(
        {
          run: async (job: any) => {
            const unread = job.poll()
            if (unread !== undefined) return job.done(`read ${unread.payload}`)
            // the handler ends when it is offered the message, before that is delivered
            void job.receive("note", { filter: () => (gate.resolve(), true) })
            await gate.promise
            // what was recorded waits while the handler still makes calls
            void job.receive("stop")
            return job.again({ on: ["note"] })
          },
        },
        { engine: slow, store: undefined },
      )
      const handle = await pool.client.sample.start({ id: "late" })
      await until(async () => (await handle.describe()).phase === "active", "taken")
      if (type === "cancel") {
        await handle.cancel("enough")
        await expect(handle.result({ timeout: 5_000 })).rejects.toMatchObject({ _tag: "Cancelled" })
      } else {
        await handle.signal.note("it")
        expect(await handle.result({ timeout: 5_000 })).toBe("read it")
      }
      await worker.close()
      await engine.close()
    })

    test("the resource is opened once while resident and closed at the end", async () => {
      const log: Array<string> = []
      await pool.worker({
        open: (job: any) => (log.push(`open ${job.key}`), { n: 0 }),
        close: () => void log.push("close"),
        run: (job: any, resource: { n: number }) => {
          resource.n++
          return resource.n < 3 ? job.again({ after: 1 }) : job.done(String(resource.n))
        },
      })
      const handle = await pool.client.sample.start({ id: "resource" })
      expect(await handle.result({ timeout: 10_000 })).toBe("3")
      await until(() => log.includes("close"), "the resource is closed")
      expect(log).toEqual(["open resource", "close"])
    })

    test("a job moves when its worker drains, and goes on from its journal", async () => {
      const ran: Array<string> = []
      const handlers = (who: string) => ({
        run: async (job: any) => {
          await job.step("once", () => ran.push(who))
          await job.receive("stop")
          return job.done(who)
        },
      })
      const first = await pool.worker(handlers("first"))
      const handle = await pool.client.sample.start({ id: "moves" })
      await until(() => ran.length === 1, "the step ran")
      await pool.worker(handlers("second"))
      await first.drain()
      await handle.signal.stop()
      expect(await handle.result({ timeout: 10_000 })).toBe("second")
      expect(ran).toEqual(["first"])
    })

    test("changed code is a mismatch: the run is blocked and goes on with code that fits", async () => {
      const old = await pool.worker({
        run: async (job: any) => {
          await job.step("one", () => 1)
          await job.receive("stop")
          return job.done("old")
        },
      })
      const handle = await pool.client.sample.start({ id: "changed" })
      await until(async () => (await handle.describe()).phase === "active", "taken")
      await until(async () => (await pool.client.sample.get("changed").describe()).phase === "active", "journaled")
      await new Promise((resolve) => setTimeout(resolve, 50))
      await old.drain()
      const wrong = await pool.worker({
        run: async (job: any) => {
          await job.step("other", () => 1)
          return job.done("new")
        },
      })
      const described = await until(async () => {
        const seen = await handle.describe()
        return seen.blocked === undefined ? undefined : seen
      }, "blocked")
      expect(described.blocked).toContain('step "one"')
      expect(described.blocked).toContain('step "other"')
      await wrong.drain()
    })

    test("inputs and keys are refused at the call, with the path", async () => {
      await expect(pool.client.sample.start({ id: "x", limit: "many" })).rejects.toMatchObject({
        _tag: "BadInput",
        details: { path: "limit" },
      })
      await expect(pool.client.sample.start({ id: "" })).rejects.toMatchObject({ _tag: "BadKey" })
      await expect(pool.client.sample.start({ id: "a\nb" })).rejects.toMatchObject({ _tag: "BadKey" })
      await expect(pool.client.sample.start({ id: "k".repeat(513) })).rejects.toMatchObject({ _tag: "BadKey" })
      await expect(pool.client.sample.get("nobody").signal.stop()).rejects.toMatchObject({ _tag: "RunNotFound" })
    })

    test("of starts with one id, one counts, whatever has become of its run", async () => {
      const { sample } = pool.client
      const ran: Array<string> = []
      await pool.worker({
        run: async (job: any) => {
          ran.push(job.run)
          return job.done(String((await job.receive("note")).payload))
        },
      })
      const signal = { name: "note", payload: "first" }
      const once = { id: "request 1", signal }
      const handle = await sample.start({ id: "x" }, once)
      expect(await handle.result({ timeout: 10_000 })).toBe("first")
      // a repeated request, after the run has ended, also where it wants a new one at any price
      await sample.start({ id: "x" }, { ...once, ifRunning: "replace" })
      await Promise.all([sample.start({ id: "x" }, once), sample.start({ id: "x" }, { ...once, ifEnded: "reject" })])
      expect((await handle.describe()).run).toBe(ran[0])
      // another request, and the same for another key, are new starts
      await sample.start({ id: "x" }, { id: "request 2" })
      await sample.start({ id: "x" }, once)
      const other = await sample.start({ id: "y" }, once)
      expect(await other.result({ timeout: 10_000 })).toBe("first")
      // the repeated one has told the new run nothing
      await handle.signal.note("second")
      expect(await handle.result({ timeout: 10_000 })).toBe("second")
      expect(new Set(ran).size).toBe(3)
      await expect(sample.start({ id: "x" }, { id: "" })).rejects.toMatchObject({ _tag: "BadOption" })
    })

    test("a query without a worker says so", async () => {
      const handle = await pool.client.sample.start({ id: "lonely" })
      await expect(handle.query.count(undefined, { timeout: 100 })).rejects.toMatchObject({ _tag: "NoWorker" })
    })
  })
}
