/** What a session believes of its lease (U1-U4 in trust.ts), and how a blocked loop is seen, with clocks that the test moves. */
import { stat } from "node:fs"
import { describe, expect, test } from "vitest"
import { StoreUnavailable } from "../../src/errors.ts"
import type { BlockedLoop } from "../../src/pool/events.ts"
import type { KeeperCommands } from "../../src/pool/keeper.ts"
import { LeaseMemory } from "../../src/pool/lease-memory.ts"
import { LoopWatch, type Sight } from "../../src/pool/loop-watch.ts"
import { readPoolOptions } from "../../src/pool/options.ts"
import { Trust } from "../../src/pool/trust.ts"
import { leaseEvents } from "./lease-events.ts"
import { describeStores, fast, Ground, keys, shards, tampered, until } from "./support.ts"

/** A lease whose keeper is the test. */
const stage = (given: { readonly leaseMs?: number; readonly maxStallMs?: number } = {}) => {
  const time = { at: 1_000, wall: 5_000_000 }
  const { told, tell, events } = leaseEvents()
  const memory = LeaseMemory.make(true, time.at)
  const keeper: KeeperCommands = {
    start: () => {},
    stop: tell("stop"),
    setPeers: () => {},
    setLife: () => {},
    renewNow: tell("renew"),
    handled: tell("handled"),
  }
  const trust = new Trust({
    engine: { poolInfo: () => Promise.reject(new StoreUnavailable("none")) },
    pool: "pool",
    options: readPoolOptions({ leaseMs: 500, ...given }),
    clock: () => time.at,
    wall: () => time.wall,
    offset: 0,
    memory,
    ...events,
    onSuspended: tell("suspended"),
    onKeeperSilent: tell("silent"),
    onFault: (error) => void told.push(`fault ${error instanceof Error ? error.message : ""}`),
  })
  const held = (end: number, renewedAt = time.at): void => memory.tell({ phase: "held", end, renewedAt })
  const reading = (): void => trust.onReading({ memberVersion: 1, assignmentVersion: 1, now: 0 }, time.at)
  return { time, told, memory, keeper, trust, held, reading }
}

describe("trust", () => {
  test("ends by the clock, whatever the keeper does (U1)", () => {
    const { time, trust, held } = stage()
    held(1_500)
    expect([trust.trusted(), trust.mayTake()]).toEqual([true, true])
    time.at = 1_499
    expect(trust.trusted()).toBe(true)
    time.at = 1_500
    expect([trust.trusted(), trust.mayTake()]).toEqual([false, false])
  })

  test("that came back is not seen before each end of it was handled (U2)", () => {
    const { trust, memory, held } = stage()
    memory.countDeposition()
    held(2_000)
    expect(trust.trusted()).toBe(false)
    trust.onDepose("trust ended")
    expect(trust.trusted()).toBe(true)
  })

  test("gives up a keeper that does not tell that it has ended (U3)", async () => {
    const { time, told, trust, keeper, held } = stage({ maxStallMs: 50 })
    held(1_200)
    trust.start(keeper)
    time.at = 1_300
    await until(() => told.includes("silent"), "it is given up")
    trust.onLost(new Error("terminated"))
    expect(told.slice(-4)).toEqual(["stop", "fault terminated", "depose its lease thread ended", "dead"])
    expect(trust.trusted()).toBe(false)
  })

  test("does not hold a keeper silent that told, or whose trust is open (U3)", async () => {
    const { time, told, trust, keeper, memory, held } = stage({ maxStallMs: 50 })
    held(1_200)
    trust.start(keeper)
    time.at = 1_300
    memory.countDeposition()
    memory.tell({ phase: "deposed", end: 1_200, renewedAt: 1_000 })
    trust.onDepose("trust ended")
    let beats = 0
    await until(() => ++beats > 100, "it had many beats")
    expect(told).not.toContain("silent")
    trust.stop()
  })

  test("that has ended is acted upon in the turn that finds it, before any timer, and once (U5)", async () => {
    const { time, told, trust, keeper, held } = stage()
    held(1_500)
    trust.start(keeper)
    const deposed = (): ReadonlyArray<string> => told.filter((what) => what !== "renew")
    // In the polling part of a turn, as a process that waits for something.
    await new Promise<void>((resolve) => stat(".", () => resolve()))
    expect(deposed()).toEqual([])
    // It stands still: all of these are due when it goes on.
    const order: Array<number> = []
    for (const ms of [1, 5, 10]) setTimeout(() => order.push(deposed().length), ms)
    const end = performance.now() + 20
    while (performance.now() < end);
    time.at = 1_500
    await until(() => order.length === 3, "the timers ran")
    expect(order).toEqual([1, 1, 1])
    expect(deposed()).toEqual(["depose trust ended"])
    // The keeper's own word comes later, and opens it (U2): the next end is another one.
    trust.onAbort("trust ends")
    trust.onDepose("trust ended")
    held(2_000)
    told.length = 0
    time.at = 2_000
    await until(() => deposed().length > 0, "it is acted upon")
    expect(deposed()).toEqual(["depose trust ended"])
    trust.stop()
  })

  test("that ended inside of a callback that had asked for it is acted upon before the next one (U5)", async () => {
    const { time, told, trust, keeper, held } = stage()
    held(1_500)
    trust.start(keeper)
    const order: Array<string> = []
    const deposed = (): string => (told.includes("depose trust ended") ? "aborted" : "not aborted")
    const done = new Promise<void>((resolve) => {
      // Both belong to one part of a turn, behind the check of that turn.
      setImmediate(() => {
        setImmediate(() => {
          trust.trusted()
          void Promise.resolve().then(() => {
            // It is frozen here.
            time.at = 1_500
            order.push(deposed())
          })
        })
        setImmediate(() => {
          order.push(deposed())
          resolve()
        })
      })
    })
    await done
    expect(order).toEqual(["not aborted", "aborted"])
    trust.stop()
  })

  test("is doubted after a suspension until a renewal that was sent since is answered, and is not lost by it (U4)", async () => {
    const { time, told, trust, keeper, held, reading } = stage()
    held(1_500)
    trust.start(keeper)
    told.length = 0
    time.at += 10
    time.wall += 510
    expect(trust.confirmed()).toBeUndefined()
    time.at += 10
    time.wall += 511
    let confirmed = false
    const doubt = trust.confirmed()?.then(() => (confirmed = true))
    expect(told).toEqual(["renew", "suspended 501"])
    expect([trust.trusted(), trust.mayTake()]).toEqual([true, false])
    // The answer of a renewal that was sent before proves nothing.
    held(1_510, 1_015)
    reading()
    await Promise.resolve()
    expect(confirmed).toBe(false)
    held(1_520, 1_020)
    reading()
    await doubt
    expect([trust.confirmed(), trust.mayTake()]).toEqual([undefined, true])
    trust.stop()
  })

  test("a wall clock that is set back, or slewed for long, is no suspension (U4)", () => {
    const { time, told, trust } = stage()
    time.wall -= 3_600_000
    expect(trust.confirmed()).toBeUndefined()
    for (let n = 0; n < 100; n++) {
      time.at += 100
      time.wall += 150
      expect(trust.confirmed()).toBeUndefined()
    }
    expect(told).toEqual([])
  })

  test("what waits for a confirmation goes on when trust ended instead, and sees that (U4)", async () => {
    const { time, trust, memory, held } = stage()
    held(1_500)
    time.wall += 60_000
    const doubt = trust.confirmed()
    memory.countDeposition()
    memory.tell({ phase: "dead", end: 1_500, renewedAt: 1_000 })
    trust.onDepose("marked dead")
    await doubt
    expect(trust.trusted()).toBe(false)
  })
})

describe("the watch over the loop", () => {
  const watch = (look: (valid: () => boolean) => Promise<Sight | undefined>) => {
    const time = { at: 0 }
    const blocked: Array<BlockedLoop> = []
    const suspended: Array<number> = []
    const memory = LeaseMemory.make(true, 0)
    const loop = new LoopWatch({
      clock: () => time.at,
      onBlocked: (one) => blocked.push(one),
      onSuspended: (ms) => suspended.push(ms),
      look,
    })
    loop.watch("s", { memory, maxStallMs: 100 })
    return { time, blocked, suspended, memory, loop }
  }
  const sight: Sight = { work: { kind: "tenant", key: "acme", step: "charge" }, stack: "charge (jobs.ts:3:1)\nrun (jobs.ts:9:1)" }

  test("tells who blocked it and for how long, once it turns", async () => {
    let looks = 0
    const { time, blocked, memory, loop } = watch(async () => {
      looks++
      return sight
    })
    memory.beat(10)
    const advance = async (to: number, done: () => boolean): Promise<void> => {
      // In steps that are no pause of the watch itself.
      while (!done() && time.at < to) {
        time.at += 20
        await new Promise((resolve) => setTimeout(resolve, 30))
      }
    }
    await advance(100, () => false)
    expect(looks).toBe(0)
    await advance(400, () => looks > 0)
    expect(looks).toBe(1)
    expect(loop.blocked).toMatchObject({ kind: "tenant", key: "acme", step: "charge" })
    memory.beat(500)
    await until(() => blocked.length > 0, "it is told")
    expect(blocked).toEqual([{ ms: 490, kind: "tenant", key: "acme", step: "charge", stack: sight.stack }])
    loop.unwatch("s")
  })

  test("tells of a pause of its own, as of a frozen process, and blames no code for it", async () => {
    let looks = 0
    const { time, loop, suspended, blocked } = watch(async () => {
      looks++
      return undefined
    })
    for (let n = 1; n <= 5; n++) {
      time.at += 10_000
      await until(() => suspended.length === n, "it is told")
    }
    expect([looks, blocked]).toEqual([0, []])
    expect(suspended).toEqual([10_000, 10_000, 10_000, 10_000, 10_000])
    loop.unwatch("s")
  })

  test("leaves out a pause of its own from the time for which the loop is blocked after it", async () => {
    const { time, blocked, suspended, memory, loop } = watch(async () => sight)
    memory.beat(10)
    time.at = 5_000
    await until(() => suspended.length > 0, "the process goes on")
    // Its loop does not.
    while (loop.blocked === undefined) {
      time.at += 10
      await new Promise((resolve) => setTimeout(resolve, 30))
    }
    expect(loop.blocked.ms).toBeLessThan(250)
    memory.beat(time.at)
    await until(() => blocked.length > 0, "it is told")
    expect(blocked[0]?.ms).toBeLessThan(250)
    expect(suspended).toHaveLength(1)
    loop.unwatch("s")
  })

  test("a beat after the pause counts as one: what follows is not taken for a part of it", async () => {
    const { time, suspended, memory, loop } = watch(async () => sight)
    time.at = 5_000
    memory.beat(4_999)
    await until(() => suspended.length > 0, "the process goes on")
    for (let n = 0; n < 20 && loop.blocked === undefined; n++) {
      time.at += 10
      await new Promise((resolve) => setTimeout(resolve, 30))
    }
    expect(loop.blocked?.ms).toBeLessThan(250)
    loop.unwatch("s")
  })
})

describeStores("a suspended machine", (url) => {
  test("that kept its lease goes on with a renewal, and loses nothing (S6)", async () => {
    const ground = new Ground(url())
    const engine = await ground.engine()
    const clocks = { wall: 0 }
    const clock = (): number => performance.now()
    const gate = { closed: false }
    const held = tampered(engine, {
      renew: async (pool, session) => {
        await until(() => !gate.closed, "the store answers")
        return engine.renew(pool, session)
      },
    })
    // A lease that a busy machine does not outlast while renewals are held.
    const options = { ...fast, leaseMs: 60_000, renewMs: 100 }
    const { member, holder } = await ground.join("a", { engine: held, options, clock, wall: () => clock() + clocks.wall })
    await until(() => member.owned().length === shards, "it holds all")
    await ground.start(engine, keys(5))
    await until(() => holder.held.size === 5, "all run")
    const [shard] = member.owned()
    gate.closed = true
    clocks.wall += 3_600_000
    let confirmed = false
    void shard?.confirmed()?.then(() => (confirmed = true))
    expect(shard?.confirmed()).toBeDefined()
    // Taken work would be begun: none is taken.
    await ground.start(engine, ["later"])
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect([confirmed, holder.held.size]).toEqual([false, 5])
    gate.closed = false
    await until(() => confirmed && holder.held.size === 6, "it goes on")
    expect(ground.seen("suspended").map(({ ms }) => Math.round(ms / 1_000))).toEqual([3_600])
    expect(ground.seen("deposed")).toEqual([])
  })
})
