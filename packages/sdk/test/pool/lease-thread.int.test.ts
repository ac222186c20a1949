/**
 * S4, S5: what becomes of a worker whose event loop is blocked, by the records that the processes themselves keep on the host's monotonic clock.
 */
import { once } from "node:events"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, afterEach, describe, expect, test } from "vitest"
import { describeRedis, redisUrl, uniqueName } from "../../../../tools/with-redis.ts"
import { Pool, type PoolJoinOptions } from "../../src/pool/index.ts"
import { Process } from "./processes.ts"
import { shards } from "./settings.ts"
import { until } from "./support.ts"

const brief = { leaseMs: 500 } as const
const keys = Array.from({ length: 20 }, (_, i) => `key-${i}`)

const closing: Array<() => Promise<void>> = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

/** Two workers that share all keys, and how to tell the first one's job of a key what to do. */
const pair = async (store: string, options: PoolJoinOptions) => {
  const name = uniqueName("thread")
  const client = await Pool.join(name, { store, shards })
  closing.push(() => client.close())
  const join = async (): Promise<Process> => {
    const worker = new Process(store, name, options, {}, { program: "blocking-process.ts", quiet: true })
    await until(() => worker.session !== "", "it joined")
    return worker
  }
  const [a, b] = [await join(), await join()]
  await until(() => b.claims >= shards / 2 && a.seen("released").length === shards / 2, "they share")
  await Promise.all(keys.map((key) => client.dispatch(key, new Uint8Array())))
  await until(() => a.running().length > 0 && a.running().length + b.running().length === keys.length, "all run")
  const key = a.running()[0] ?? ""
  const tell = (what: string): Promise<void> => client.notify(key, Buffer.from(`${a.session} ${what}`))
  return { a, b, key, tell }
}

/** The last proof that the process ran code of the key, before `until`. */
const lastSign = (process: Process, key: string): number =>
  Math.max(...process.lines.filter((line) => line.key === key && line.what !== "outcome").map(({ at }) => at))
const firstBegin = (process: Process, key: string): number =>
  process.lines.find((line) => line.what === "begin" && line.key === key)?.at ?? Number.NaN
const problems = (process: Process): ReadonlyArray<string> =>
  process.lines.map(({ what }) => what).filter((what) => ["deposed", "end", "markedDead", "rescued", "fault"].includes(what))

const suite = (store: () => string): void => {
  test("onOverrun exit: a blocked loop is ended by the lease thread before another owner runs its jobs", async () => {
    const { a, b, key, tell } = await pair(store(), { leaseMs: 1_500, maxStallMs: 250, onOverrun: "exit" })
    const mine = a.running()
    const exited = once(a.child, "exit")
    await tell("block 20000")
    expect(await exited).toEqual([null, "SIGKILL"])
    await until(() => b.running().length === keys.length, "the other runs all")
    // Its jobs ran until the end of it, which was not before its last word.
    const last = lastSign(a, key)
    for (const one of mine) expect(firstBegin(b, one) - last, one).toBeGreaterThan(0)
    const gap = Math.min(...mine.map((one) => firstBegin(b, one))) - last
    console.log(`from the last word of the ended process to the first of its jobs elsewhere: ${gap.toFixed(0)} ms`)
    expect(a.stderr).toMatch(new RegExp(`blocked for \\d+ ms by ~/${key} at .*blocking-process\\.ts`))
    expect(a.stderr).toContain("ends this process (SIGKILL): its lease is over")
  })

  test("onOverrun report: a blocked loop is deposed, its late write is refused, and who blocked it is told", async () => {
    const { a, b, key, tell } = await pair(store(), brief)
    const mine = a.running()
    await tell("write 3000")
    await until(() => mine.every((one) => b.running().includes(one)), "the other runs its jobs")
    // What the stated overlap is: it still ran then.
    await until(() => a.seen("loopBlocked").length > 0, "it tells")
    expect(a.seen("loopBlocked")[0]).toMatchObject({ kind: "~", key, stack: expect.stringContaining("blocking-process.ts") as string })
    expect(a.seen("loopBlocked")[0]?.ms).toBeGreaterThan(2_500)
    expect(a.lines.filter(({ what }) => what === "outcome").map(({ event }) => event)).toEqual([{ outcome: "Deposed" }])
    expect(a.seen("deposed").length).toBeGreaterThan(0)
    expect(a.child.exitCode).toBeNull()
    await until(() => a.seen("joined").length === 2, "it joins anew")
  })

  test("a stall that is shorter than the lease costs nothing, although no renewal could have been sent by the loop", async () => {
    // The loop renewed a second before at most: abort would come 2,250 ms after that.
    const { a, b, tell } = await pair(store(), { leaseMs: 3_000 })
    const running = a.running()
    await tell("block 2400")
    await until(() => a.seen("loopBlocked").length > 0, "it is told")
    expect(a.seen("loopBlocked")[0]?.ms).toBeGreaterThan(2_000)
    // And it is renewed again: a lease later nobody has noticed anything.
    const renewed = performance.now() + 3_500
    await until(() => performance.now() > renewed, "a lease has passed")
    expect([problems(a), problems(b)]).toEqual([[], []])
    expect(a.running()).toEqual(running)
  })

  test("a lease thread that dies is noticed: the session ends, and joins again with a new one", async () => {
    const { a, tell } = await pair(store(), brief)
    await tell("thread")
    await until(() => a.seen("joined").length === 2, "it joins anew")
    expect(a.seen("fault").map((event) => String(event.error))).toEqual([expect.stringMatching(/StoreFault .*lease thread/)])
    expect(a.seen("deposed")[0]).toMatchObject({ why: "its lease thread ended" })
    await until(() => a.running().length > 0, "it works again")
  })
}

const folder = await mkdtemp(join(tmpdir(), "ponos-thread-"))
afterAll(() => rm(folder, { recursive: true, force: true }))
let files = 0

describe("a blocked loop, on a file", () => suite(() => `file:${join(folder, `pool-${++files}.db`)}`))
describeRedis("a blocked loop, on Redis", () => suite(redisUrl))
