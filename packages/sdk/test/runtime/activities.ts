/** What activities promise, on any store: deadlines, heartbeats, cancellation, errors, and the order in which queues give them out. */
import { Queue } from "bullmq"
import { afterEach, describe, expect, test } from "vitest"
import { uniqueName } from "../../../../tools/with-redis.ts"
import { retry } from "../../src/define/index.ts"
import type { ActivityOptions } from "../../src/define/index.ts"
import { openEngine } from "../../src/engine/open.ts"
import { addressOf, shardOf } from "../../src/key.ts"
import type { WorkPool } from "./activity-fixture.ts"
import { workPool } from "./activity-fixture.ts"
import { RejectedError, until, wrapEngine } from "./fixture.ts"

const once: ActivityOptions = { retry: retry.none }
const quick = retry.fixed({ every: 5, attempts: 3 })

/** Resolves when the signal fires; gives its reason. */
const aborted = (signal: AbortSignal): Promise<any> =>
  new Promise((resolve) => signal.addEventListener("abort", () => resolve(signal.reason), { once: true }))

export const activitySuite = (name: string, store: () => string): void => {
  describe(`activities on ${name}`, () => {
    let pool: WorkPool | undefined
    afterEach(() => pool?.close())
    const open = (options: Readonly<Record<string, ActivityOptions>>): WorkPool =>
      (pool = workPool(store(), uniqueName("activities"), options))

    /** One call of `act` as the whole run; gives its result, or its error. */
    const only = (input: string) => ({
      run: async (job: any) => {
        const result: unknown = await job.activities.act(input).catch((error: unknown) => error)
        caught = result
        return job.done(typeof result === "string" ? result : "failed")
      },
    })
    let caught: any

    describe("queues", () => {
      test("of two that wait, the one with the smaller priority number is taken first", async () => {
        const log: Array<string> = []
        const gate = Promise.withResolvers<void>()
        const one = { queue: "one" }
        const { worker, work } = open({
          block: { ...one, concurrency: 1 },
          low: { ...one, priority: 30 },
          high: { ...one, priority: 10 },
          middle: { ...one, priority: 20 },
          first: one,
        })
        const act = async (call: any, input: string) => (log.push(input), input)
        await worker({
          run: async (job: any) => {
            const { block, low, high, middle, first } = job.activities
            const blocked = block("block")
            await job.receive("stop")
            await Promise.all([blocked, low("low"), high("high"), middle("middle"), first("first")])
            return job.done(log.join(" "))
          },
          activities: { block: async () => (log.push("block"), await gate.promise, "done"), low: act, high: act, middle: act, first: act },
        })
        const handle = await work.start({ id: "order" })
        await until(() => log.includes("block"), "the queue's only place is taken")
        await handle.signal.stop()
        await until(async () => (await handle.describe()).activities.length === 5, "all were called")
        await waiting(pool as WorkPool, "work.one", 4)
        gate.resolve()
        expect(await handle.result({ timeout: 10_000 })).toBe("block first high middle low")
      })

      test("a call may have a priority and a delay of its own, which a replay keeps", async () => {
        const log: Array<string> = []
        const gate = Promise.withResolvers<void>()
        const { worker, work } = open({
          block: { queue: "one", concurrency: 1 },
          act: { queue: "one", priority: 20, delay: "1 hour" },
        })
        let attempts = 0
        await worker({
          run: async (job: any) => {
            attempts++
            const { block, act } = job.activities
            const blocked = block("block")
            await job.receive("stop")
            const now = { delay: 0 }
            const calls = [act("as declared", now), act("late", { delay: 0, priority: 30 }), act("early", { ...now, priority: 10 })]
            const delayed = act("delayed", { delay: "30 minutes", priority: 0 })
            // the attempt that follows makes the same calls, and finds what became of them
            await job.step("once", () => attempts)
            if (attempts === 1) throw new Error("again please")
            await Promise.all([blocked, ...calls])
            void delayed
            return job.done(log.join(", "))
          },
          activities: {
            block: async () => (await gate.promise, "done"),
            act: (_: any, input: string) => (log.push(input), input),
          },
          retry: retry.fixed({ every: 5, attempts: 3 }),
        })
        const handle = await work.start({ id: "own" })
        await handle.signal.stop()
        const activities = await until(async () => {
          const seen = await handle.describe()
          return seen.attempt === 2 && seen.activities.length === 5 ? seen.activities : undefined
        }, "all were called, twice")
        expect(activities.map((one: any) => one.startsAt - one.scheduledAt)).toEqual([0, 0, 0, 0, 1_800_000])
        await waiting(pool as WorkPool, "work.one", 3)
        gate.resolve()
        expect(await handle.result({ timeout: 10_000 })).toBe("early, as declared, late")
      })

      test("wrong options of a call are refused where it is made", async () => {
        const { worker, work } = open({ act: {} })
        const errors: Array<string> = []
        await worker({
          run: async (job: any) => {
            for (const options of [{ delay: "soon" }, { priority: -1 }, { priority: 1.5 }, { retries: 3 }, 7])
              try {
                await job.activities.act("x", options)
              } catch (error: any) {
                errors.push(`${error._tag} ${error.message}`)
              }
            return job.done(String(errors.length))
          },
          activities: { act: () => "x" },
        })
        const handle = await work.start({ id: "wrong" })
        expect(await handle.result({ timeout: 10_000 })).toBe("5")
        expect(errors.every((error) => error.startsWith("BadOption"))).toBe(true)
        expect(errors[0]).toContain("delay of the call of activity act")
        expect(errors[3]).toContain("`retries`")
      })

      test("a rate limit holds back what exceeds it, and nothing else", async () => {
        const log: Array<string> = []
        const act = (call: any, input: string) => (log.push(input), input)
        const { worker, work } = open({ limited: { rateLimit: { max: 2, per: "1 hour" } }, free: {} })
        await worker({
          run: async (job: any) => {
            for (let i = 0; i < 5; i++) void job.activities.limited(`limited ${i}`)
            await until(() => log.length === 2, "as many ran as may")
            for (let i = 0; i < 10; i++) await job.activities.free(`free ${i}`)
            return job.done(log.filter((line) => line.startsWith("limited")).join(", "))
          },
          activities: { limited: act, free: act },
        })
        const handle = await work.start({ id: "limited" })
        expect(await handle.result({ timeout: 10_000 })).toBe("limited 0, limited 1")
        expect(log).toHaveLength(12)
      })

      test("no more tries run at the same time in one worker than the queue's concurrency, others are not held up", async () => {
        let running = 0
        let peak = 0
        const { worker, work } = open({ narrow: { concurrency: 2 }, wide: {} })
        await worker({
          run: async (job: any) => {
            const narrow = Array.from({ length: 6 }, () => job.activities.narrow("n"))
            await job.activities.wide("w")
            await Promise.all(narrow)
            return job.done(`peak ${peak}`)
          },
          activities: {
            narrow: async () => {
              peak = Math.max(peak, ++running)
              await new Promise((resolve) => setTimeout(resolve, 5))
              running--
              return "x"
            },
            wide: () => "x",
          },
        })
        const handle = await work.start({ id: "narrow" })
        expect(await handle.result({ timeout: 10_000 })).toBe("peak 2")
      })

      test("a delayed call starts no earlier, and is described until then", async () => {
        const { worker, work } = open({ act: { ...once, delay: "1 hour" } })
        let ran = 0
        await worker({ ...only("x"), activities: { act: () => String(ran++) } })
        const handle = await work.start({ id: "delayed" })
        const [pending] = await until(async () => {
          const { activities } = await handle.describe()
          return activities.length === 0 ? undefined : activities
        }, "it was called")
        expect(pending.startsAt - pending.scheduledAt).toBe(3_600_000)
        expect(pending).toMatchObject({ name: "act", attempt: 1, startedAt: undefined, lastError: undefined })
        expect(ran).toBe(0)
      })
    })

    describe("deadlines", () => {
      test("a try that ends too late fails, its function is told, and the next one runs", async () => {
        const reasons: Array<string> = []
        const { worker, work } = open({ act: { retry: quick, timeout: 100 } })
        await worker({
          ...only("x"),
          activities: {
            act: async (call: any) => {
              if (call.attempt === 2) return "second"
              reasons.push(((await aborted(call.abortSignal)) as Error).message)
              return "too late"
            },
          },
        })
        expect(await (await work.start({ id: "close" })).result({ timeout: 10_000 })).toBe("second")
        expect(reasons[0]).toContain("ActivityTimeout")
        expect(reasons[0]).toContain("(timeout)")
      })

      test("a try that no worker takes fails as such, and is not run when a worker comes", async () => {
        const ran: Array<string> = []
        const { worker, work } = open({ act: { ...once, startTimeout: 50 }, other: once })
        const alone = await worker(only("early"))
        const handle = await work.start({ id: "start" })
        expect(await handle.result({ timeout: 10_000 })).toBe("failed")
        expect(caught).toMatchObject({ _tag: "ActivityFailed", details: { tries: [{ try: 1, missed: "start", tag: "ActivityTimeout" }] } })
        expect(caught.message).toContain("was not started within 50 ms (startTimeout)")
        expect(caught.details.tries[0].started).toBeUndefined()
        await alone.close()
        const act = (_: any, input: string) => (ran.push(input), input)
        await worker({ run: async (job: any) => job.done(await job.activities.other("late")), activities: { act, other: act } })
        // a queue gives in order: the one that was given up would come first
        const served = await work.start({ id: "served" })
        expect(await served.result({ timeout: 10_000 })).toBe("late")
        expect(ran).toEqual(["late"])
      })

      test("all tries together end with totalTimeout, also one that runs", async () => {
        let tries = 0
        const { worker, work } = open({ act: { retry: retry.fixed({ every: 1 }), totalTimeout: 2_000 } })
        const told = Promise.withResolvers<string>()
        await worker({
          ...only("x"),
          activities: {
            act: async (call: any) => {
              if (++tries < 3) throw new Error("not yet")
              told.resolve(((await aborted(call.abortSignal)) as Error).message)
              return "too late"
            },
          },
        })
        expect(await (await work.start({ id: "total" })).result({ timeout: 10_000 })).toBe("failed")
        expect(caught.details.tries.map((one: any) => one.missed)).toEqual([undefined, undefined, "total"])
        expect(await told.promise).toContain("totalTimeout")
      })

      test("no try begins that could not end in time", async () => {
        const { worker, work } = open({ act: { retry: retry.fixed({ every: "1 hour" }), totalTimeout: "30 minutes" } })
        await worker({ ...only("x"), activities: { act: () => Promise.reject(new Error("no")) } })
        expect(await (await work.start({ id: "no-time" })).result({ timeout: 10_000 })).toBe("failed")
        expect(caught.message).toContain("no time is left of the 1800000 ms that it may take in all (totalTimeout); 1 try failed")
      })

      test("a late result of an old try changes nothing", async () => {
        const started = Promise.withResolvers<{ id: string; attempt: number }>()
        const gate = Promise.withResolvers<void>()
        const { worker, work, store: url, pool: poolName, shards } = open({ act: { retry: quick } })
        await worker({
          ...only("x"),
          activities: {
            act: async (call: any) => {
              if (call.attempt === 1) throw new Error("first")
              started.resolve(call)
              await gate.promise
              return "second"
            },
          },
        })
        const handle = await work.start({ id: "late" })
        const { id } = await started.promise
        const engine = await openEngine(url)
        const { run } = await handle.describe()
        const item = { shard: shardOf("late", shards), address: addressOf("work", "late"), run, kind: "result", name: `${id}.1` } as const
        await engine.message(poolName, [
          { ...item, id: "late result", payload: JSON.stringify({ ok: "first after all" }), inboxLimit: 100, retention: 60_000 },
        ])
        await until(async () => (await handle.describe()).activities[0]?.attempt === 2, "the second try runs")
        gate.resolve()
        expect(await handle.result({ timeout: 10_000 })).toBe("second")
        await engine.close()
      })
    })

    describe("heartbeats", () => {
      test("are described with the try that gave them, and the next try gets the last details", async () => {
        const gate = Promise.withResolvers<void>()
        const { worker, work } = open({ act: { retry: quick } })
        await worker({
          ...only("x"),
          activities: {
            act: async (call: any) => {
              if (call.attempt === 1) throw new Error("without details")
              if (call.attempt === 3) return JSON.stringify(call.lastHeartbeat)
              expect(call.lastHeartbeat).toBeUndefined()
              call.heartbeat({ done: 1 })
              await gate.promise
              for (let i = 2; i <= 100; i++) call.heartbeat({ done: i })
              throw new Error("later")
            },
          },
        })
        const handle = await work.start({ id: "beat" })
        const pending = await until(async () => {
          const [one] = (await handle.describe()).activities
          return one?.heartbeat === undefined ? undefined : one
        }, "the heartbeat is known")
        expect(pending).toMatchObject({ name: "act", attempt: 2, heartbeat: { done: 1 }, lastError: "without details" })
        expect(pending.worker).toContain(`:${process.pid}`)
        expect(pending.startedAt.getTime()).toBeGreaterThanOrEqual(pending.startsAt.getTime() - 10)
        expect(pending.heartbeatAt.getTime()).toBeGreaterThanOrEqual(pending.startedAt.getTime())
        gate.resolve()
        expect(await handle.result({ timeout: 10_000 })).toBe('{"done":100}')
      })

      test("a try without them fails after heartbeatTimeout; one that gives them may take longer", async () => {
        const { worker, work } = open({ act: { retry: quick, heartbeatTimeout: 1_000 } })
        const reasons: Array<string> = []
        await worker({
          ...only("x"),
          activities: {
            act: async (call: any) => {
              if (call.attempt === 1) reasons.push(((await aborted(call.abortSignal)) as Error).message)
              for (let i = 0; i < 25 && call.attempt === 2; i++) {
                call.heartbeat(i)
                await new Promise((resolve) => setTimeout(resolve, 50))
              }
              return `${call.attempt} ${call.abortSignal.aborted}`
            },
          },
        })
        expect(await (await work.start({ id: "silent" })).result({ timeout: 10_000 })).toBe("2 false")
        expect(reasons[0]).toContain("gave no heartbeat within 1000 ms (heartbeatTimeout)")
      })

      test("details that are too large, or no data, are refused where they are given", async () => {
        const { worker, work } = open({ act: once })
        const refused: Array<string> = []
        await worker({
          ...only("x"),
          activities: {
            act: (call: any) => {
              for (const details of ["x".repeat(20_000), () => 1]) {
                try {
                  call.heartbeat(details)
                } catch (error: any) {
                  refused.push(error._tag)
                }
              }
              return "alive"
            },
          },
        })
        expect(await (await work.start({ id: "large" })).result({ timeout: 10_000 })).toBe("alive")
        expect(refused).toEqual(["PayloadTooLarge", "NotAllowed"])
      })
    })

    describe("cancellation reaches the running function", () => {
      /** An activity that ends only when it is told to; gives why. */
      const hanging = () => {
        const begun = Promise.withResolvers<void>()
        const told = Promise.withResolvers<any>()
        const act = async (call: any) => {
          begun.resolve()
          told.resolve(await aborted(call.abortSignal))
          return "too late"
        }
        return { act, begun: begun.promise, told: told.promise }
      }

      test.each(["cancel", "terminate"] as const)("when its run is ended by %s", async (how) => {
        const { act, begun, told } = hanging()
        const { worker, work } = open({ act: once })
        await worker({ run: async (job: any) => job.done(await job.activities.act("x")), activities: { act } })
        const handle = await work.start({ id: how })
        await begun
        await handle[how]("enough")
        expect(await told).toMatchObject({ _tag: "Cancelled" })
        await expect(handle.result({ timeout: 10_000 })).rejects.toMatchObject({ _tag: how === "cancel" ? "Cancelled" : "Terminated" })
      })

      test("when its iteration ended without waiting for it", async () => {
        const { act, begun, told } = hanging()
        const { worker, work } = open({ act: once })
        await worker({
          run: async (job: any) => {
            void job.activities.act("x")
            await begun
            return job.again({ on: ["stop"] })
          },
          activities: { act },
        })
        await work.start({ id: "left" })
        expect((await told).message).toContain("has ended: the result of this try counts no more")
      })

      test("with its next heartbeat, when the message was lost", async () => {
        const { act, begun, told } = hanging()
        const { worker, work } = open({ act: { ...once, heartbeatTimeout: 1_000 } })
        const engine = await openEngine((pool as WorkPool).store)
        let lost = 0
        const lossy = wrapEngine(engine, {
          publish: async (of, channel, text) => {
            if (channel.startsWith("cancels:") && lost++ === 0) return
            await engine.publish(of, channel, text)
          },
        })
        const busy = async (call: any) => {
          const beating = setInterval(() => call.heartbeat(), 20)
          call.abortSignal.addEventListener("abort", () => clearInterval(beating))
          return act(call)
        }
        await worker(
          { run: async (job: any) => job.done(await job.activities.act("x")), activities: { act: busy } },
          { engine: lossy, ...(name === "Redis" ? {} : { store: undefined }) },
        )
        const handle = await work.start({ id: "lost" })
        await begun
        await handle.cancel("enough")
        expect(await told).toMatchObject({ _tag: "Cancelled" })
        if (name === "Redis") expect(lost).toBeGreaterThan(1)
        await (pool as WorkPool).close()
        pool = undefined
        await engine.close()
      })
    })

    describe("errors", () => {
      test("the error of an activity that gave up has the history of its tries", async () => {
        const { worker, work } = open({ act: { retry: quick } })
        await worker({ ...only("x"), activities: { act: (call: any) => Promise.reject(new TypeError(`no ${call.attempt}`)) } })
        expect(await (await work.start({ id: "dead" })).result({ timeout: 10_000 })).toBe("failed")
        expect(caught).toMatchObject({
          _tag: "ActivityFailed",
          message: expect.stringContaining("3 tries failed, the last one with: no 3") as string,
        })
        expect(caught.details.tries).toMatchObject([1, 2, 3].map((number) => ({ try: number, tag: "TypeError", message: `no ${number}` })))
        for (const one of caught.details.tries) {
          expect(one.worker).toContain(`:${process.pid}`)
          expect(Date.parse(one.started)).toBeLessThanOrEqual(Date.parse(one.failed))
        }
      })

      test("a hundred tries with long messages are a bounded history: the first, and the last", async () => {
        const { worker, work } = open({ act: { retry: retry.fixed({ every: 0, attempts: 100 }) } })
        await worker({ ...only("x"), activities: { act: () => Promise.reject(new Error("x".repeat(10_000))) } })
        expect(await (await work.start({ id: "many" })).result({ timeout: 20_000 })).toBe("failed")
        const numbers = caught.details.tries.map((one: any) => one.try)
        expect(numbers.slice(0, 11)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 61])
        expect(numbers.at(-1)).toBe(100)
        expect(JSON.stringify(caught.details.tries).length).toBeLessThan(50_000)
      })

      test("what retry.except names, by tag or by name, is not tried again, nor are declared errors", async () => {
        const { worker, work } = open({ act: { retry: retry.fixed({ every: 1, attempts: 9, except: ["Fatal", "TypeError"] }) } })
        let tries = 0
        const errors: Record<string, Error> = {
          tag: Object.assign(new Error("by tag"), { _tag: "Fatal" }),
          name: new TypeError("by name"),
          declared: new RejectedError({ reason: "declared" }),
        }
        await worker({
          run: async (job: any) => {
            const results: Array<string> = []
            for (const input of Object.keys(errors)) {
              const error: any = await job.activities.act(input).catch((failed: unknown) => failed)
              results.push(`${error._tag} ${error.details?.tries?.length ?? ""}`.trim())
            }
            return job.done(results.join(", "))
          },
          activities: { act: (_: any, input: string) => Promise.reject((tries++, errors[input])) },
        })
        expect(await (await work.start({ id: "except" })).result({ timeout: 10_000 })).toBe("ActivityFailed 1, ActivityFailed 1, Rejected")
        expect(tries).toBe(3)
      })

      test("a result over the limit is refused with PayloadTooLarge, and not tried again", async () => {
        const { worker, work } = open({ act: { retry: quick } })
        let tries = 0
        await worker({ ...only("x"), activities: { act: () => (tries++, "ä".repeat(600)) } }, { payloadBytes: 1_024 })
        expect(await (await work.start({ id: "large" })).result({ timeout: 10_000 })).toBe("failed")
        expect(caught.message).toContain("PayloadTooLarge")
        expect(caught.message).toContain("expected the result of activity act of work to have at most 1024 bytes, got 1202")
        expect(tries).toBe(1)
      })
    })
  })
}

/** On Redis, tries are waiting when BullMQ has them; an embedded queue has them at once. */
const waiting = async ({ store, pool }: WorkPool, queue: string, count: number): Promise<void> => {
  if (!store.startsWith("redis")) return
  const { hostname: host, port, username, password } = new URL(store)
  const watched = new Queue(queue, { connection: { host, port: Number(port), username, password }, prefix: `{ponos:${pool}:${queue}}` })
  await until(async () => (await watched.getWaitingCount()) + (await watched.getPrioritizedCount()) === count, `${count} tries wait`)
  await watched.close()
}
