/** What interceptors, tracing and logs see: the suite is applied to SQLite and to Redis. */
import { Layer, ManagedRuntime, Tracer } from "effect"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { uniqueName } from "../../../../tools/with-redis.ts"
import { makeClient } from "../../src/gen.ts"
import { jsonLog, traceClient, traceWork } from "../../src/index.ts"
import type { ClientCall, Page, WorkCall } from "../../src/index.ts"
import type { Started } from "./fixture.ts"
import { contract, startPool, until } from "./fixture.ts"

export const interceptorSuite = (name: string, store: () => string): void => {
  describe(`interceptors on ${name}`, () => {
    let pool: Started
    const clients: Array<{ close(): Promise<void> }> = []
    beforeEach(() => {
      pool = startPool(store(), uniqueName("interceptors"))
    })
    afterEach(async () => {
      await Promise.all(clients.splice(0).map((client) => client.close()))
      await pool.close()
    })
    const client = (options: object): any => {
      const made = makeClient({ pool: pool.pool, store: pool.store, shards: pool.shards, ...options }, { sample: contract })
      clients.push(made)
      return made
    }

    test("a worker's are around attempts and steps, the first outermost, with the headers of the start", async () => {
      const seen: Array<string> = []
      const trace = (who: string) => async (call: WorkCall, next: () => Promise<unknown>) => {
        const what = `${who} ${call.type} ${call.name || "-"} ${call.iteration ?? "-"}.${call.attempt} ${call.headers["tenant"] ?? "-"}`
        seen.push(`> ${what}`)
        try {
          return await next()
        } finally {
          seen.push(`< ${what}`)
        }
      }
      let failures = 0
      await pool.worker(
        {
          run: async (job: any) => {
            if (job.iteration === 1) return job.again()
            await job.step("one", () => 1)
            if (failures++ === 0) throw new Error("again please")
            return job.done("done")
          },
        },
        { interceptors: [trace("a"), trace("b")] },
      )
      const handle = await client({
        interceptors: [
          async (call: ClientCall, next: () => Promise<unknown>) => {
            if (call.type === "start") call.headers["tenant"] = "acme"
            return await next()
          },
        ],
      }).sample.start({ id: "seen" })
      expect(await handle.result({ timeout: 10_000 })).toBe("done")
      const nested = (what: string, inner: ReadonlyArray<string> = []) => [
        `> a ${what}`,
        `> b ${what}`,
        ...inner,
        `< b ${what}`,
        `< a ${what}`,
      ]
      expect(seen).toEqual([
        ...nested("run - 1.1 acme"),
        ...nested("run - 2.1 acme", nested("step one 2.1 acme")),
        // replayed: the step's body does not run again
        ...nested("run - 2.2 acme"),
      ])
    })

    test("a worker's are around what a handler asks of other jobs, each time that it is sent, and give a child its headers", async () => {
      const seen: Array<string> = []
      const interceptor = async (call: WorkCall, next: () => Promise<unknown>) => {
        if (call.type === "run" && call.kind === "helper")
          seen.push(`run ${call.key} for ${call.headers["tenant"]} by ${call.headers["by"]}`)
        if (call.to === undefined) return await next()
        if (call.outgoing !== undefined) call.outgoing["by"] = `${call.kind}/${call.key}`
        const what = `${call.type} ${call.to.kind}/${call.to.key} ${call.name || "-"} ${call.attempt} of ${call.headers["tenant"]}`
        if (call.type === "cancel" && call.attempt === 1) throw new Error("not yet")
        return await next().then(
          () => void seen.push(what),
          (error: any) => {
            seen.push(`${what}: ${error._tag}`)
            throw error
          },
        )
      }
      const helper = {
        run: async (job: any) => {
          await job.receive("go")
          return job.done("gone")
        },
      }
      const run = async (job: any) => {
        const { helper: other } = job.jobs
        const child = await other.start({ id: "child" })
        await other.start({ id: "child" }, { ifRunning: "reject" }).catch(() => undefined)
        const result = child.result()
        await child.signal.go("on")
        await result
        await other.start({ id: "other" }, { onParentEnd: "abandon" })
        await other.get("other").cancel()
        return job.done("done")
      }
      await pool.worker({ run }, { helper, interceptors: [interceptor] })
      const fill = async (call: ClientCall, next: () => Promise<unknown>) => {
        call.headers["tenant"] = "acme"
        return await next()
      }
      const handle = await client({ interceptors: [fill] }).sample.start({ id: "seen" })
      expect(await handle.result({ timeout: 10_000 })).toBe("done")
      await expect(pool.client.helper.get("other").result({ timeout: 10_000 })).rejects.toMatchObject({ _tag: "Cancelled" })
      // the cancel was refused in the first attempt: what had been answered by then is not asked again
      expect(seen.toSorted()).toEqual(
        [
          "cancel helper/other - 2 of acme",
          "result helper/child - 1 of acme",
          "run child for acme by sample/seen",
          "run other for acme by sample/seen",
          "signal helper/child go 1 of acme",
          "start helper/child - 1 of acme",
          "start helper/child - 1 of acme: RunExists",
          "start helper/other - 1 of acme",
        ].toSorted(),
      )
    })

    test("an interceptor that answers for another job, or gives it headers that are no texts, is a mistake that is told", async () => {
      const errors: Array<string> = []
      const helper = { run: (job: any) => job.done("x") }
      const run = async (job: any) => {
        for (const id of ["silent", "wrong"])
          await job.jobs.helper.start({ id }).catch((error: any) => errors.push(`${error._tag} ${error.message}`))
        return job.done("done")
      }
      const interceptor = async (call: WorkCall, next: () => Promise<unknown>) => {
        if (call.to?.key === "silent") return "nothing"
        if (call.outgoing !== undefined) (call.outgoing as Record<string, unknown>)["n"] = 7
        return await next()
      }
      await pool.worker({ run }, { helper, interceptors: [interceptor] })
      const handle = await pool.client.sample.start({ id: "mistaken" })
      expect(await handle.result({ timeout: 10_000 })).toBe("done")
      expect(errors[0]).toMatch(/^NotAllowed .*without having called next/)
      expect(errors[1]).toMatch(/^BadOption .*header "n"/)
    })

    test("a worker's are around each try of an activity; an error of theirs fails it", async () => {
      const seen: Array<string> = []
      const interceptor = async (call: WorkCall, next: () => Promise<unknown>) => {
        if (call.type !== "activity") return await next()
        seen.push(`${call.kind}/${call.key} ${call.name} ${call.attempt} ${call.headers["tenant"]}`)
        if (call.attempt === 1) throw new Error("not this time")
        return String(await next()).toUpperCase()
      }
      const activities = { shout: (_: any, input: string) => `${input}!` }
      await pool.worker(
        { run: async (job: any) => job.done(await job.activities.shout("hi")) },
        { activities, interceptors: [interceptor] },
      )
      const fill = async (call: ClientCall, next: () => Promise<unknown>) => {
        call.headers["tenant"] = "acme"
        return await next()
      }
      const handle = await client({ interceptors: [fill] }).sample.start({ id: "seen" })
      expect(await handle.result({ timeout: 10_000 })).toBe("HI!")
      expect(seen).toEqual(["sample/seen shout 1 acme", "sample/seen shout 2 acme"])
    })

    test("a client's are around its calls, and may refuse one", async () => {
      await pool.worker({
        run: (job: any) => job.again({ on: ["stop"] }),
        updates: { add: (job: any, by: number) => (job.state.count += by) },
        queries: { count: (view: any) => view.state.count },
      })
      const calls: Array<string> = []
      const guarded = client({
        interceptors: [
          async ({ type, kind, key, name: what, input }: ClientCall, next: () => Promise<unknown>) => {
            calls.push(`${type} ${kind} ${key} ${what} ${JSON.stringify(input)}`)
            if (type === "terminate") throw new Error("you may not")
            return await next()
          },
        ],
      })
      const handle = await guarded.sample.start({ id: "acme" })
      await handle.signal.note("hi")
      expect(await handle.update.add(2)).toBe(2)
      expect(await handle.query.count()).toBe(2)
      await expect(handle.terminate("no")).rejects.toThrow("you may not")
      await handle.cancel("enough")
      await expect(handle.result({ timeout: 10_000 })).rejects.toMatchObject({ _tag: "Cancelled" })
      expect(calls).toEqual([
        'start sample acme  {"id":"acme"}',
        'signal sample acme note "hi"',
        "update sample acme add 2",
        "query sample acme count undefined",
        'terminate sample acme  "no"',
        'cancel sample acme  "enough"',
        "result sample acme  undefined",
      ])
    })

    test("a client's are around all that reads, too: they may refuse it, and leave runs out of a list", async () => {
      await pool.worker({ run: (job: any) => job.again({ on: ["stop"] }) })
      const calls: Array<string> = []
      const mine = client({
        interceptors: [
          async ({ type, kind, key, input }: ClientCall, next: () => Promise<unknown>) => {
            calls.push(`${type} ${kind} ${key} ${JSON.stringify(input)}`)
            if (key !== "" && key !== "mine") throw new Error("you may not")
            const answer = await next()
            if (type !== "list") return answer
            const page = answer as Page
            return { ...page, runs: page.runs.filter((run) => run.key === "mine") }
          },
        ],
      })
      await pool.client.sample.start({ id: "theirs" })
      const handle = await mine.sample.start({ id: "mine" })
      const theirs = mine.sample.get("theirs")
      const refused = ["describe", "history", "result", "cancel", "terminate", "signal.stop", "update.add", "query.count"]
      for (const call of refused) {
        const [method = "", name = ""] = call.split(".")
        const made = name === "" ? theirs[method]() : theirs[method][name]()
        await expect(made, call).rejects.toThrow("you may not")
      }
      expect(calls.splice(0).map((call) => call.split(" ")[0])).toEqual(["start", ...refused.map((call) => call.split(".")[0])])
      expect((await handle.describe()).key).toBe("mine")
      expect((await handle.history()).key).toBe("mine")
      const listed: Array<string> = []
      for await (const { key } of mine.sample.list({ phase: ["ready", "active", "parked"], limit: 5 })) listed.push(key as string)
      expect(listed).toEqual(["mine"])
      expect((await mine.sample.page({ limit: 7 })).runs).toHaveLength(1)
      expect((await mine.stats({ maxWorkers: 3 })).groups).toBeDefined()
      await handle.terminate("enough")
      await expect(handle.result({ timeout: 10_000 })).rejects.toMatchObject({ _tag: "Terminated" })
      expect(calls).toEqual([
        "describe sample mine undefined",
        "history sample mine undefined",
        'list sample  {"phase":["ready","active","parked"],"limit":200,"cursor":""}',
        'list sample  {"limit":7}',
        'stats   {"maxWorkers":3}',
        'terminate sample mine "enough"',
        "result sample mine undefined",
      ])
    })

    test("an error of one is an error of what it wraps", async () => {
      let attempts = 0
      await pool.worker(
        { run: (job: any) => job.done("in") },
        {
          interceptors: [
            async (_: WorkCall, next: () => Promise<unknown>) => {
              if (attempts++ === 0) throw new Error("not yet")
              return await next()
            },
          ],
        },
      )
      const handle = await pool.client.sample.start({ id: "once" })
      expect(await handle.result({ timeout: 10_000 })).toBe("in")
      expect(pool.events.find((event) => event.type === "failed")).toMatchObject({ error: { message: "not yet" }, attempt: 1 })
    })

    test("spans of a start, its attempts and their steps are one trace", async () => {
      const spans: Array<Tracer.Span> = []
      const tracer = Tracer.make({
        span: (options) => {
          const span = new Tracer.NativeSpan(options)
          spans.push(span)
          return span
        },
      })
      const layer = Layer.succeed(Tracer.Tracer, tracer)
      await pool.worker(
        {
          run: async (job: any) => {
            await job.step("one", () => 1)
            if (job.attempt === 1) throw new Error("again please")
            return job.done("traced")
          },
        },
        { layer, interceptors: [traceWork()] },
      )
      const runtime = ManagedRuntime.make(layer)
      const handle = await client({ interceptors: [traceClient({ runtime })] }).sample.start({ id: "traced" })
      expect(await handle.result({ timeout: 10_000 })).toBe("traced")
      await runtime.dispose()
      // the wait for the result is no part of what the run does
      const [waits] = spans.splice(
        spans.findIndex((span) => span.name === "result sample"),
        1,
      )
      expect(waits?.parent._tag).toBe("None")
      const seen = spans.map((span) => {
        const parent = span.parent._tag === "Some" ? span.parent.value : undefined
        const above = spans.find(({ spanId }) => spanId === parent?.spanId)
        return `${span.name} #${(span.attributes.get("ponos.attempt") as number | undefined) ?? "-"} in ${above?.name ?? "nothing"}`
      })
      expect(seen).toEqual([
        "start sample #- in nothing",
        "run sample #1 in start sample",
        "step one #1 in run sample",
        "run sample #2 in start sample",
      ])
      expect(new Set(spans.map(({ traceId }) => traceId)).size).toBe(1)
    })

    test("the spans of a child and of what is asked of it belong to the trace of its parent", async () => {
      const spans: Array<Tracer.Span> = []
      const tracer = Tracer.make({
        span: (options) => {
          const span = new Tracer.NativeSpan(options)
          spans.push(span)
          return span
        },
      })
      const helper = { run: async (job: any) => job.done((await job.receive("go")).payload) }
      const run = async (job: any) => {
        const child = await job.jobs.helper.start({ id: "child" })
        await child.signal.go("on")
        return job.done(await child.result())
      }
      await pool.worker({ run }, { helper, layer: Layer.succeed(Tracer.Tracer, tracer), interceptors: [traceWork()] })
      const handle = await client({ interceptors: [traceClient()] }).sample.start({ id: "parent" })
      expect(await handle.result({ timeout: 10_000 })).toBe("on")
      await until(() => spans.length === 5 && spans.every(({ status }) => status._tag === "Ended"), "all have ended")
      const above = ({ parent }: Tracer.Span): string => {
        const id = parent._tag === "Some" ? parent.value.spanId : ""
        return spans.find(({ spanId }) => spanId === id)?.name ?? "the client"
      }
      expect(spans.map((span) => `${span.name} in ${above(span)}`).toSorted()).toEqual([
        "result helper in run sample",
        "run helper in start helper",
        "run sample in the client",
        "signal go in run sample",
        "start helper in run sample",
      ])
      expect(new Set(spans.map(({ traceId }) => traceId)).size).toBe(1)
    })

    test("a log has a line of JSON for each event", async () => {
      const lines: Array<any> = []
      await pool.worker(
        {
          run: (job: any) => {
            if (job.attempt === 1) throw new Error("broken")
            return job.done("x")
          },
        },
        { onEvent: jsonLog((line) => lines.push(JSON.parse(line))) },
      )
      const handle = await pool.client.sample.start({ id: "logged" })
      await handle.result({ timeout: 10_000 })
      await until(() => lines.some(({ event }) => event === "ended"), "its end is logged")
      expect(lines.find(({ event }) => event === "failed")).toMatchObject({
        level: "error",
        kind: "sample",
        key: "logged",
        attempt: 1,
        error: { message: "broken" },
        time: expect.stringMatching(/^\d{4}-/) as unknown,
      })
    })

    test("what is no list of functions is refused", async () => {
      await expect(pool.worker({ run: (job: any) => job.done("") }, { interceptors: [1] })).rejects.toMatchObject({ _tag: "BadOption" })
      expect(() => client({ interceptors: {} })).toThrow(/interceptors/)
    })
  })
}
