/** What a whole pool does together: starts with an answer, shutdown, tickers, schedules. */
import fc from "fast-check"
import { expect, test } from "vitest"
import { uniqueName } from "../../../../tools/with-redis.ts"
import { Pool, type PoolJoinOptions, type Tick, type Worker } from "../../src/pool/index.ts"
import { missedBetween, slotOf } from "../../src/pool/ticker.ts"
import type { PoolEvent } from "../../src/pool/events.ts"
import type { Engine } from "../../src/engine/engine.ts"
import { openEngine } from "../../src/engine/open.ts"
import { StoreUnavailable } from "../../src/errors.ts"
import { ConfigMap } from "../../src/pool/pool-config.ts"
import { shutDown } from "../../src/pool/shut-down.ts"
import { describeStores, fast, shards, tampered, until } from "./support.ts"

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (some: Uint8Array): string => new TextDecoder().decode(some)

/** Runs a worker's loop; jobs settle when they are aborted. Those whose payload says so are refused. */
const serve = (worker: Worker) => {
  const running = new Map<string, string>()
  const ended = (async () => {
    for await (const job of worker.jobs()) {
      const payload = text(job.payload)
      if (payload.startsWith("refuse")) {
        await job.refuse("no such thing")
        continue
      }
      running.set(job.key, payload)
      job.abortSignal.addEventListener("abort", () => {
        running.delete(job.key)
        job.settle()
      })
    }
  })()
  return { running, ended }
}

test("slots are multiples of the interval, and what lies between two of them was missed", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 4e12 }),
      fc.integer({ min: 10, max: 1e9 }),
      fc.integer({ min: 1, max: 1_000 }),
      (now, every, n) => {
        const slot = slotOf(now, every)
        expect(slot % every).toBe(0)
        expect(now - slot).toBeLessThan(every)
        expect(missedBetween(slot, slot + n * every, every)).toBe(n - 1)
        // Also where the last tick was of another interval.
        expect(missedBetween(slot + 1, slot + n * every, every)).toBe(n - 1)
        expect(missedBetween(undefined, slot, every)).toBe(0)
      },
    ),
  )
})

test("a shutdown outlives a store that does not answer for a while: it is written, and goes on waiting", async () => {
  const name = uniqueName("control")
  const engine = await openEngine(`memory:${name}`)
  await engine.openPool(name, { shards })
  let asked = 0
  const members: Engine["members"] = async (pool) => {
    if (asked++ < 2) throw new StoreUnavailable("cut by the test")
    return await engine.members(pool)
  }
  const config = await ConfigMap.join(engine, name)
  try {
    await shutDown({ engine: tampered(engine, { members }), pool: name, config: () => Promise.resolve(config) }, 5_000)
    expect(asked).toBe(3)
    expect(config.config.shutDownAt).toBeGreaterThan(0)
  } finally {
    await config.map.close()
    await engine.close()
  }
})

describeStores("a pool as a whole", (url) => {
  const join = (name: string, given: PoolJoinOptions = {}) => Pool.join(name, { store: url(), shards, ...fast, ...given })

  test("a dispatch tells how the start went: which worker, refused, taken by nobody in time", async () => {
    const name = uniqueName("control")
    const client = await join(name)
    const pool = await join(name)
    try {
      await expect(client.dispatch("early", bytes("x"), { startedWithinMs: 50 })).rejects.toMatchObject({ _tag: "WaitTimeout" })
      const worker = await pool.addWorker()
      const { running } = serve(worker)
      await until(() => running.has("early"), "what waited is taken all the same")
      const started = await client.dispatch("acme", bytes("hello"), { startedWithinMs: 5_000 })
      expect(started).toMatchObject({ status: "started", session: worker.id })
      expect(running.get("acme")).toBe("hello")
      expect(await client.dispatch("acme", bytes("again"), { startedWithinMs: 5_000 })).toMatchObject({
        status: "running",
        run: started.run,
      })
      const refused: unknown = await client.dispatch("bad", bytes("refuse me"), { startedWithinMs: 5_000 }).catch((error: unknown) => error)
      expect(refused).toMatchObject({ _tag: "JobRefused", details: { key: "bad", reason: "no such thing" } })
      expect(await client.job("bad")).toBeUndefined()
      await expect(client.result("bad")).rejects.toMatchObject({ _tag: "JobRefused" })
      // The key is free.
      expect(await client.dispatch("bad", bytes("better"), { startedWithinMs: 5_000 })).toMatchObject({ status: "started" })
      const info = await client.job("bad")
      expect({ ...info, payload: text(info?.payload ?? bytes("")) }).toEqual({ key: "bad", payload: "better", status: "running" })
      await expect(client.dispatch("x", bytes(""), { startedWithinMs: -1 })).rejects.toThrow("expected startedWithinMs to be a number")
    } finally {
      await pool.close()
      await client.close()
    }
  })

  test("a shutdown stops every worker of every process, keeps the jobs, and refuses new workers until it is opened again", async () => {
    const name = uniqueName("control")
    const [one, two, client] = [await join(name), await join(name), await join(name)]
    try {
      const [a, b] = [await one.addWorker(), await two.addWorker()]
      const [ofA, ofB] = [serve(a), serve(b)]
      await until(() => a.shards().length === 8 && b.shards().length === 8, "they share")
      const keys = Array.from({ length: 20 }, (_, i) => `key-${i}`)
      await Promise.all(keys.map((key) => client.dispatch(key, bytes(key))))
      await until(() => ofA.running.size + ofB.running.size === 20, "all run")
      await client.shutdown({ timeoutMs: 5_000 })
      await Promise.all([a.stopped, b.stopped, ofA.ended, ofB.ended])
      expect([ofA.running.size, ofB.running.size]).toEqual([0, 0])
      expect(await client.workers()).toEqual([])
      await expect(one.addWorker()).rejects.toMatchObject({ _tag: "PoolShutDown" })
      // Again, and from another process: nothing more to do.
      await two.shutdown()
      await client.dispatch("later", bytes("x"))
      const waiting = []
      for await (const job of client.jobs()) waiting.push(job.key)
      expect(waiting.sort()).toEqual([...keys, "later"].sort())
      await client.reopen()
      const { running } = serve(await one.addWorker())
      await until(() => running.size === 21, "all run again")
    } finally {
      for (const pool of [one, two, client]) await pool.close()
    }
  })

  test("a shutdown says when workers do not stop in time", async () => {
    const name = uniqueName("control")
    const pool = await join(name, { abortGraceMs: 200 })
    try {
      const worker = await pool.addWorker()
      let held = 0
      void (async () => {
        for await (const _ of worker.jobs()) held++
      })()
      await pool.dispatch("stubborn", bytes("x"))
      await until(() => held === 1, "it runs")
      await expect(pool.shutdown({ timeoutMs: 20 })).rejects.toMatchObject({ _tag: "WaitTimeout", details: { workers: 1 } })
      await worker.stopped
      await pool.shutdown({ timeoutMs: 0 })
    } finally {
      await pool.close()
    }
  })

  const everyMs = 50
  /** Ticks of one member until its signal fires. */
  const listen = (pool: Pool, name: string, busyMs = 0) => {
    const stop = new AbortController()
    const ticks: Array<Tick> = []
    const ended = (async () => {
      for await (const tick of pool.ticker(name, everyMs, { abortSignal: stop.signal })) {
        ticks.push(tick)
        if (busyMs > 0) await new Promise((resolve) => setTimeout(resolve, busyMs))
      }
    })()
    return { ticks, stop: () => stop.abort(), ended }
  }

  test("a ticker gives each slot to one member, no slot twice, and goes on when the one that ticked is gone", async () => {
    const name = uniqueName("control")
    const pools = [await join(name), await join(name), await join(name)]
    try {
      const members = pools.map((pool) => listen(pool, "clean"))
      const all = (): ReadonlyArray<Tick> => members.flatMap(({ ticks }) => ticks)
      await until(() => all().length >= 12, "they tick")
      const last = [...all()].sort((a, b) => b.at - a.at)[0]
      const gone = members.find(({ ticks }) => ticks.at(-1) === last)
      gone?.stop()
      await gone?.ended
      const before = all().length
      await until(() => all().length >= before + 5, "the others go on")
      for (const { stop } of members) stop()
      await Promise.all(members.map(({ ended }) => ended))
      const slots = all().map(({ at }) => at)
      expect(new Set(slots).size).toBe(slots.length)
      expect(slots.every((at) => at % everyMs === 0)).toBe(true)
      // Every slot from the first to the last was ticked, or counted as missed.
      const missed = all().reduce((sum, tick) => sum + tick.missed, 0)
      expect((Math.max(...slots) - Math.min(...slots)) / everyMs + 1).toBe(slots.length + missed)
    } finally {
      for (const pool of pools) await pool.close()
    }
  })

  test("ticks that nobody took in time are one", async () => {
    const name = uniqueName("control")
    const pool = await join(name)
    try {
      const { ticks, stop, ended } = listen(pool, "slow", everyMs * 4)
      await until(() => ticks.length === 3, "it ticks")
      stop()
      await ended
      expect(ticks[0]?.missed).toBe(0)
      for (const tick of ticks.slice(1)) expect(tick.missed).toBeGreaterThanOrEqual(2)
      // A loop that begins later does not get again what was ticked.
      const later = listen(pool, "slow")
      await until(() => later.ticks.length === 1, "it ticks again")
      later.stop()
      await later.ended
      expect(later.ticks[0]?.at).toBeGreaterThan(ticks[2]?.at ?? 0)
      expect(() => pool.ticker("slow", 1)).toThrow("expected every to be at least 10 ms")
      expect(() => pool.ticker("", 100)).toThrow("the ticker's name")
    } finally {
      await pool.close()
    }
  })

  test("a schedule starts and stops jobs by a plan that one member computes, and outlives a producer that fails", async () => {
    const name = uniqueName("control")
    const events: Array<PoolEvent> = []
    const [a, b] = [
      await join(name, { onEvent: (event) => events.push(event) }),
      await join(name, { onEvent: (event) => events.push(event) }),
    ]
    const stop = new AbortController()
    try {
      const { running } = serve(await a.addWorker())
      let wanted = ["one", "two"]
      let fail = false
      const seen: Array<number> = []
      const schedules = [a, b].map((pool) =>
        pool.schedule(
          "tenants",
          everyMs,
          ({ at }) => {
            seen.push(at)
            if (fail) throw new Error("no tenants today")
            return { start: wanted.map((key) => ({ key, payload: bytes(key) })), stopOthers: true }
          },
          { abortSignal: stop.signal },
        ),
      )
      await until(() => [...running.keys()].sort().join() === "one,two", "what is wanted runs")
      wanted = ["two", "three"]
      await until(() => [...running.keys()].sort().join() === "three,two", "what is wanted now runs")
      fail = true
      await until(() => events.some((event) => event.type === "fault"), "it is told")
      fail = false
      wanted = []
      await until(() => running.size === 0, "nothing runs")
      stop.abort()
      await Promise.all(schedules)
      expect(new Set(seen).size).toBe(seen.length)
      await expect(a.schedule("x", everyMs, undefined as never)).rejects.toThrow("expected the producer of schedule")
    } finally {
      stop.abort()
      await a.close()
      await b.close()
    }
  })
})
