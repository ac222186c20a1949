/** Passes on a store, without a worker: what they write, what they refuse, and how many calls they make. */
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { type Engine, internals } from "@ponos/sdk/internal"
import { describeRedis, redisUrl, uniqueName } from "../../../tools/with-redis.ts"
import type { ControllerEvent } from "../src/event.ts"
import { passContext } from "../src/host.ts"
import { readOptions } from "../src/options.ts"
import { heldAt, makePlan, type Plan, runPass } from "../src/pass.ts"
import { type ControllerState, firstState } from "../src/report.ts"
import { fenceText } from "../src/spec.ts"
import { type FeedClient, feedClient, type FeedInput, liveRuns, tenants } from "./feed.ts"

const isBroken = (shard: number): boolean => shard % 2 === 1

class Bench {
  client: FeedClient
  state: ControllerState = firstState()
  readonly events: Array<ControllerEvent> = []
  readonly pool = uniqueName("pass")
  readonly calls = new Map<string, number>()
  #fence = 1n

  constructor(store: string) {
    this.client = feedClient({ pool: this.pool, store, shards: 8 })
  }

  /** Set: odd shards are on a server that does not answer until this is resolved. */
  broken: Promise<void> | undefined

  /** An engine that counts its calls. */
  async engine(): Promise<Engine> {
    const engine = await this.client.tenantFeed[internals].engine()
    return new Proxy(engine, {
      get: (target, name: keyof Engine) => {
        if (this.broken !== undefined && name === "serverOf")
          return (_pool: string, shard: number) => (isBroken(shard) ? "broken" : "whole")
        if (this.broken !== undefined && name === "digests")
          return async (...args: Parameters<Engine["digests"]>) => {
            if (args[2].some(isBroken)) await this.broken
            return await target.digests(...args)
          }
        const member: unknown = target[name]
        if (typeof member !== "function") return member
        return (...args: ReadonlyArray<unknown>) => {
          this.calls.set(name, (this.calls.get(name) ?? 0) + 1)
          return (member as (...args: ReadonlyArray<unknown>) => unknown).call(target, ...args)
        }
      },
    })
  }

  async context(desired: unknown, given: object = {}) {
    const options = readOptions({
      job: this.client.tenantFeed,
      desired: desired as Iterable<FeedInput>,
      stop: "terminate",
      ...given,
    } as never)
    return { options, context: await passContext(options, await this.engine()) }
  }

  async plan(desired: unknown, given: object = {}): Promise<Plan> {
    const { context } = await this.context(desired, given)
    return (
      await makePlan(context, { fence: undefined, full: false, stopping: new Set(), approval: undefined, heldAt: heldAt(this.state) })
    ).plan
  }

  async pass(desired: unknown, given: object = {}, fence = this.#fence++): Promise<ControllerState> {
    const { options, context } = await this.context(desired, given)
    const info = await context.engine.poolInfo(this.pool)
    this.calls.clear()
    this.events.length = 0
    this.state = await runPass(context, this.state, {
      fence: fenceText(fence),
      now: info?.now ?? 0,
      incarnation: info?.incarnation ?? "",
      known: undefined,
      apply: {
        stop: options.stop,
        parallelism: 4,
        inboxLimit: 1_000,
        inboxReserve: 200,
        requestRetentionMs: 86_400_000,
        resultRetentionMs: 86_400_000,
      },
      abortSignal: new AbortController().signal,
      onPlan: options.onPlan,
      onEvent: (event) => this.events.push(event),
    })
    return this.state
  }

  keys = async (): Promise<ReadonlyArray<string>> => [...(await liveRuns(this.client)).keys()].sort()
}

const suite = (storeOf: () => string): void => {
  let bench: Bench
  beforeEach(() => {
    bench = new Bench(storeOf())
  })
  afterEach(() => bench.client.close())

  test("creates, updates, stops, and then has nothing to do", async () => {
    expect((await bench.pass(tenants(20))).last?.applied).toMatchObject({ create: 20, update: 0, stop: 0 })
    const before = await liveRuns(bench.client)
    const changed = [...tenants(2, 60), ...tenants(17, 5, 2), ...tenants(1, 5, 100)]
    expect((await bench.pass(changed)).last).toMatchObject({
      counts: { create: 1, update: 2, stop: 1, unchanged: 17 },
      applied: { create: 1, update: 2, stop: 1, changed: 0, failed: 0 },
      observed: 20,
    })
    const after = await liveRuns(bench.client)
    expect([...after.keys()].sort()).toEqual(changed.map(({ tenantId }) => tenantId).sort())
    for (const { tenantId } of tenants(19)) expect(after.get(tenantId)).toBe(before.get(tenantId))
    expect((await bench.pass(changed)).last).toMatchObject({ counts: { create: 0, update: 0, stop: 0, unchanged: 20 } })
  })

  test("an update puts the new input into the run's inbox, also when a spec comes back to what it once was", async () => {
    await bench.pass(tenants(1, 5))
    for (const pollSeconds of [60, 5, 60]) await bench.pass(tenants(1, pollSeconds))
    const engine = await bench.engine()
    const { address, shard } = bench.client.tenantFeed[internals].prepare(tenants(1)[0], 8)
    const [run] = await engine.read(bench.pool, [{ shard, address }], { full: true })
    expect(run?.inbox.map(({ kind, payload }) => [kind, JSON.parse(payload).pollSeconds])).toEqual([
      ["input", 60],
      ["input", 5],
      ["input", 60],
    ])
  })

  test("K4: a pass without drift makes no call a run, whatever their number", async () => {
    await bench.pass(tenants(300))
    await bench.pass(tenants(300))
    expect(Object.fromEntries(bench.calls)).toEqual({ digests: 1 })
    expect(bench.state.last).toMatchObject({ listedShards: 0, observed: 300, counts: { unchanged: 300 } })
    const one = [...tenants(299), ...tenants(1, 7, 299)]
    await bench.pass(one)
    expect(bench.state.last).toMatchObject({ listedShards: 1, applied: { update: 1 } })
  })

  test("more than a fifth of the jobs stop only after an approval of exactly that plan, once", async () => {
    await bench.pass(tenants(20))
    expect((await bench.pass(tenants(10))).last).toMatchObject({ guard: { allowed: false, reasons: ["ratio"] }, applied: { stop: 0 } })
    expect(bench.events.find(({ type }) => type === "guard")?.message).toMatch(/10 stops are held back: expected at most 20 % of 20/)
    const { hash } = await bench.plan(tenants(10))
    expect(bench.state.last?.hash).toBe(hash)
    // the plan is another one now: the approval does not fit, and is gone
    bench.state = { ...bench.state, approval: hash }
    expect((await bench.pass(tenants(9))).last?.applied.stop).toBe(0)
    expect(bench.state.approval).toBeNull()
    expect((await bench.pass(tenants(10))).last?.applied.stop).toBe(0)
    bench.state = { ...bench.state, approval: hash }
    expect((await bench.pass(tenants(10))).last).toMatchObject({ guard: { allowed: true, approved: true }, applied: { stop: 10 } })
    expect(await bench.keys()).toHaveLength(10)
    expect(bench.state.approval).toBeNull()
  })

  test("held-back stops hold up nothing else", async () => {
    await bench.pass(tenants(10))
    await bench.pass([...tenants(2, 60), ...tenants(3, 5, 50)])
    expect(bench.state.last).toMatchObject({ guard: { allowed: false }, applied: { create: 3, update: 2, stop: 0 } })
    expect(await bench.keys()).toHaveLength(13)
  })

  test("G-7: the creations of the same change do not let its stops pass later", async () => {
    await bench.pass(tenants(40))
    const replaced = [...tenants(30), ...tenants(10, 5, 100)]
    for (let passes = 0; passes < 3; passes++) {
      expect((await bench.pass(replaced)).last).toMatchObject({ guard: { allowed: false, reasons: ["ratio"] }, applied: { stop: 0 } })
      expect((await bench.plan(replaced)).guard.allowed).toBe(false)
    }
    await bench.pass([...tenants(40), ...tenants(10, 5, 100)])
    expect((await bench.pass(replaced)).last).toMatchObject({ guard: { allowed: true }, applied: { stop: 10 } })
  })

  test("an empty desired set stops nothing", async () => {
    await bench.pass(tenants(10))
    expect((await bench.pass([], { guard: { maxStopRatio: 1 } })).last?.guard).toMatchObject({ allowed: false, reasons: ["empty"] })
    expect(await bench.keys()).toHaveLength(10)
  })

  test("a source that throws midway stops nothing, approved or not; what it gave before is started", async () => {
    await bench.pass(tenants(10))
    const broken = async function* () {
      yield* tenants(9)
      yield* tenants(1, 5, 77)
      throw new Error("connection lost")
    }
    bench.state = { ...bench.state, approval: (await bench.plan(tenants(9))).hash }
    await bench.pass(broken)
    expect(bench.state.last).toMatchObject({
      guard: { allowed: false, approvable: false, reasons: ["source"] },
      applied: { create: 1, stop: 0 },
    })
    expect(bench.state.last?.desired).toMatchObject({
      complete: false,
      error: "expected the desired function to be read whole, got: connection lost",
    })
    expect(bench.events.map(({ type }) => type)).toEqual(["source", "guard"])
    expect(await bench.keys()).toHaveLength(11)
    await bench.pass(async () => Promise.reject(new Error("no route")))
    expect(await bench.keys()).toHaveLength(11)
  })

  test("a row that does not match is reported with path and position, keeps its running job, and stops no other", async () => {
    await bench.pass(tenants(10))
    const rows: Array<unknown> = [
      ...tenants(9),
      { tenantId: "t0009", pollSeconds: "often" },
      { tenantId: "new", pollSeconds: 0 },
      ...tenants(1, 5, 20),
    ]
    await bench.pass(rows)
    expect(bench.state.last).toMatchObject({
      counts: { create: 1, stop: 0, unchanged: 10 },
      desired: { valid: 10, invalid: 2, unreadable: 0 },
    })
    expect(bench.state.last?.desired.problems).toMatchObject([
      { type: "invalid", position: "row 10", key: "t0009", path: "pollSeconds" },
      { type: "invalid", position: "row 11", key: "new", path: "pollSeconds" },
    ])
    expect(bench.events.map(({ message }) => message)[0]).toMatch(/^row 10 \(t0009\): BadInput.*`pollSeconds`/)
    expect(await bench.keys()).toEqual([...tenants(10), ...tenants(1, 5, 20)].map(({ tenantId }) => tenantId))
  })

  test("rows without a readable key hold stops back until approved", async () => {
    await bench.pass(tenants(10))
    const rows = [...tenants(9), { tenantId: null, pollSeconds: 5 }]
    expect((await bench.pass(rows)).last?.guard).toMatchObject({ allowed: false, approvable: true, reasons: ["unreadable"] })
    bench.state = { ...bench.state, approval: bench.state.last?.hash ?? "" }
    expect((await bench.pass(rows)).last?.applied.stop).toBe(1)
  })

  test("of rows with one key the first counts, and the others are reported", async () => {
    await bench.pass([...tenants(3), ...tenants(1, 60)])
    expect(bench.state.last).toMatchObject({ applied: { create: 3 }, desired: { valid: 3, duplicates: 1 } })
    expect(bench.state.last?.desired.problems).toMatchObject([{ type: "duplicate", position: "row 4", key: "t0000" }])
    await bench.pass([...tenants(3), ...tenants(1, 60)])
    expect(bench.state.last?.counts).toMatchObject({ unchanged: 3, update: 0 })
  })

  test("runs that a client or another controller started are never touched", async () => {
    await bench.client.tenantFeed.start({ tenantId: "t0000", pollSeconds: 1 })
    await bench.pass(tenants(2, 5, 50), { name: "other" })
    const before = await liveRuns(bench.client)
    bench.state = firstState()
    await bench.pass([...tenants(3), ...tenants(1, 9, 50)], { guard: { maxStopRatio: 1 } })
    expect(bench.state.last).toMatchObject({
      counts: { create: 2, foreign: 2, stop: 0 },
      foreign: expect.arrayContaining(["t0000", "t0050"]),
    })
    await bench.pass(tenants(1, 5, 2), { guard: { maxStopRatio: 1 } })
    const after = await liveRuns(bench.client)
    for (const key of ["t0000", "t0050", "t0051"]) expect(after.get(key)).toBe(before.get(key))
    expect([...after.keys()].sort()).toEqual(["t0000", "t0002", "t0050", "t0051"])
  })

  test("K2: a newer fence at any shard ends the pass of an older controller before it writes", async () => {
    await bench.pass(tenants(5), {}, 9n)
    await bench.pass(tenants(8), {}, 8n)
    expect(bench.state.last).toMatchObject({ superseded: true, applied: { create: 0 } })
    expect(await bench.keys()).toHaveLength(5)
  })

  test("K2: a fence that is raised in the middle refuses the rest", async () => {
    const { context, options } = await bench.context(tenants(8))
    const engine = new Proxy(context.engine, {
      get: (target, name: keyof Engine) => {
        if (name !== "addKinds") return target[name]
        return async (...args: Parameters<Engine["addKinds"]>) => {
          await target.addKinds(...args)
          await target.digests(bench.pool, "tenant-feed", [0, 1, 2, 3, 4, 5, 6, 7], fenceText(100n))
        }
      },
    })
    const limits = { inboxLimit: 10, inboxReserve: 1, requestRetentionMs: 1_000, resultRetentionMs: 1_000 }
    const state = await runPass({ ...context, engine }, firstState(), {
      fence: fenceText(5n),
      now: 0,
      incarnation: "",
      known: undefined,
      apply: { stop: options.stop, parallelism: 1, ...limits },
      abortSignal: new AbortController().signal,
      onPlan: () => {},
      onEvent: () => {},
    })
    expect(state.last).toMatchObject({ superseded: true, applied: { create: 0 } })
    expect(await bench.keys()).toEqual([])
  })

  test("an action whose run is not what was observed is refused, and the next pass looks again", async () => {
    await bench.pass(tenants(3))
    const runs = await liveRuns(bench.client)
    // between plan and action, somebody ends the run and starts another one
    const onPlan = (): void => {}
    const { context, options } = await bench.context(tenants(2), { guard: { maxStopRatio: 1 } })
    const engine = new Proxy(context.engine, {
      get: (target, name: keyof Engine) => {
        if (name !== "terminate") return target[name]
        return async (...args: Parameters<Engine["terminate"]>) => {
          await bench.client.tenantFeed.get("t0002").terminate()
          await bench.client.tenantFeed.start({ tenantId: "t0002", pollSeconds: 1 })
          return await target.terminate(...args)
        }
      },
    })
    const limits = { inboxLimit: 10, inboxReserve: 1, requestRetentionMs: 1_000, resultRetentionMs: 1_000 }
    const state = await runPass({ ...context, engine }, bench.state, {
      fence: fenceText(50n),
      now: 0,
      incarnation: "",
      known: undefined,
      apply: { stop: options.stop, parallelism: 1, ...limits },
      abortSignal: new AbortController().signal,
      onPlan,
      onEvent: () => {},
    })
    expect(state.last?.applied).toMatchObject({ stop: 0, changed: 1 })
    expect((await liveRuns(bench.client)).get("t0002")).not.toBe(runs.get("t0002"))
  })

  test("a job that ended by itself is started again, later each time; one that somebody ended, at once", async () => {
    const engine = await bench.engine()
    const end = async (key: string, type: string): Promise<void> => {
      const { address, shard } = bench.client.tenantFeed[internals].prepare({ tenantId: key, pollSeconds: 5 }, 8)
      const outcome = JSON.stringify({ type })
      await engine.terminate(bench.pool, [{ shard, address, outcome, newRevision: uniqueName("r"), retention: 60_000 }])
    }
    await bench.pass(tenants(2))
    for (let round = 0; round < 2; round++) {
      await end("t0001", "terminated")
      expect((await bench.pass(tenants(2))).last?.applied).toMatchObject({ create: 1, delayed: 0 })
    }
    await end("t0000", "done")
    expect((await bench.pass(tenants(2))).last?.applied).toMatchObject({ create: 1 })
    await end("t0000", "done")
    await bench.pass([...tenants(2), ...tenants(1, 5, 5)])
    const failures = [{ address: "tenant-feed/t0000", action: "create", attempts: 1 }]
    expect(bench.state.last).toMatchObject({ applied: { create: 1, delayed: 1 }, failures })
  })

  test("a cancelled run is asked once, counts as stopping until it ends, and needs no second approval", async () => {
    await bench.pass(tenants(10))
    const given = { stop: "cancel", guard: { maxStopRatio: 1 } }
    expect((await bench.pass(tenants(4), given)).last?.applied.stop).toBe(6)
    expect((await bench.pass(tenants(4))).last).toMatchObject({ counts: { stop: 0, stopping: 6, unchanged: 4 }, guard: { allowed: true } })
    const engine = await bench.engine()
    const { address, shard } = bench.client.tenantFeed[internals].prepare(tenants(1, 5, 9)[0], 8)
    const [run] = await engine.read(bench.pool, [{ shard, address }], { full: true })
    expect(run?.inbox.map(({ kind, payload }) => [kind, payload])).toEqual([["cancel", '"no longer desired (controller tenant-feed)"']])
  })

  test("plan() reads only: it raises no fence and writes no run", async () => {
    await bench.pass(tenants(3))
    bench.calls.clear()
    const plan = await bench.plan([...tenants(3, 9), ...tenants(1, 5, 9)])
    expect(plan).toMatchObject({ controller: "tenant-feed", kind: "tenant-feed", counts: { create: 1, update: 3 } })
    expect([...bench.calls.keys()].sort()).toEqual(["digests", "list"])
    await bench.pass(tenants(3), {}, 1n)
    expect(bench.state.last?.superseded).toBe(false)
  })

  test("a full pass lists all shards", async () => {
    await bench.pass(tenants(10))
    bench.state = { ...bench.state, fullNext: true }
    expect((await bench.pass(tenants(10))).last).toMatchObject({ listedShards: 8, counts: { unchanged: 10 } })
    expect(bench.state.fullNext).toBe(false)
  })

  test("shards whose server does not answer are left to a later pass: the others get theirs, and nothing stops meanwhile", async () => {
    await bench.pass(tenants(40))
    const { promise, resolve } = Promise.withResolvers<void>()
    bench.broken = promise
    const shardOf = (tenant: FeedInput): number => bench.client.tenantFeed[internals].prepare(tenant, 8).shard
    const wanted = tenants(70, 5, 2)
    const missing = wanted.slice(38)
    const reached = missing.filter((tenant) => !isBroken(shardOf(tenant)))
    const state = await bench.pass(wanted)
    expect(state.last).toMatchObject({ unreachableShards: 4, applied: { create: reached.length, stop: 0 } })
    expect(bench.events.filter(({ type }) => type === "store")).toHaveLength(1)
    expect(await bench.keys()).toEqual([...tenants(40), ...reached].map(({ tenantId }) => tenantId).sort())
    resolve()
    const after = await bench.pass(wanted)
    expect(after.last).toMatchObject({ applied: { create: missing.length - reached.length, stop: 2 } })
    expect(after.last).not.toHaveProperty("unreachableShards")
    expect(await bench.keys()).toEqual(wanted.map(({ tenantId }) => tenantId).sort())
  })

  test("another life of the store is reported, and jobs are started anew", async () => {
    await bench.pass(tenants(3))
    bench.state = { ...bench.state, baseline: { incarnation: "another", observed: 3 } }
    await bench.pass(tenants(3))
    expect(bench.events).toMatchObject([{ type: "store" }])
  })
}

describe("a pass on memory:", () => suite(() => `memory:${uniqueName("pass")}`))
describeRedis("a pass on Redis", () => suite(redisUrl))
