import { spawn } from "node:child_process"
import { once } from "node:events"
import { join } from "node:path"
import { Redis } from "ioredis"
import { afterEach, beforeEach, expect, test } from "vitest"
import { describeRedis, redisUrl, uniqueName } from "../../../../tools/with-redis.ts"
import type { Started } from "./fixture.ts"
import { startPool, until } from "./fixture.ts"

describeRedis("activities on Redis", () => {
  let name: string
  let pool: Started
  let kill: Array<() => void>
  beforeEach(() => {
    name = uniqueName("activities")
    pool = startPool(redisUrl(), name)
    kill = []
  })
  afterEach(async () => {
    for (const end of kill) end()
    await pool.close()
  })

  /** Another process with a worker of the pool; tells what it said. */
  const start = (mode: "activities" | "own") => {
    const file = join(import.meta.dirname, "activity-process.ts")
    const child = spawn(process.execPath, ["--conditions=source", file, redisUrl(), name, mode], { stdio: ["ignore", "pipe", "inherit"] })
    kill.push(() => child.kill("SIGKILL"))
    let said = ""
    child.stdout.on("data", (data: Buffer) => (said += data.toString()))
    return { child, says: (text: string) => until(() => said.includes(text), `the other process says ${text}`, 30_000) }
  }

  test("an activity whose worker was killed fails its try, and the next one runs elsewhere, long before its deadline", async () => {
    const { child, says } = start("activities")
    await says("ready")
    await pool.worker({ run: async (job: any) => job.done(await job.activities.shout("hi")) })
    const handle = await pool.client.sample.start({ id: "killed" })
    await says("taken")
    child.kill("SIGKILL")
    await once(child, "exit")
    await pool.worker({}, { jobs: [], activities: { shout: (call: any, input: string) => `${input} ${call.attempt}` } })
    // the try's own deadline is a minute after its start: only the report of its loss is faster (decision 0003)
    expect(await handle.result({ timeout: 30_000 })).toBe("hi 2")
  })

  test("a killed worker gives no heartbeats: the next try goes on from the last one", async () => {
    const { child, says } = start("activities")
    await says("ready")
    await pool.worker({ run: async (job: any) => job.done(await job.activities.work("x")) })
    const handle = await pool.client.sample.start({ id: "silent" })
    await until(async () => (await handle.describe()).activities[0]?.heartbeat, "a heartbeat is known")
    child.kill("SIGKILL")
    await once(child, "exit")
    const [pending] = await until(async () => {
      const { activities } = await handle.describe()
      return activities[0]?.attempt === 2 ? activities : undefined
    }, "its try has failed")
    expect(pending).toMatchObject({ name: "work", heartbeat: { done: 7 }, lastError: expect.stringContaining("heartbeat") as string })
    await pool.worker({}, { jobs: [], activities: { work: (call: any) => `${call.attempt} ${JSON.stringify(call.lastHeartbeat)}` } })
    expect(await handle.result({ timeout: 30_000 })).toBe('2 {"done":7}')
  })

  test("a frozen worker that wakes up finds its try given up: its function is told, its result changes nothing", async () => {
    const { child, says } = start("activities")
    await says("ready")
    await pool.worker({
      run: async (job: any) => {
        const result: unknown = await job.activities.work("x")
        await job.receive("stop")
        return job.done(result)
      },
    })
    const handle = await pool.client.sample.start({ id: "frozen" })
    // frozen before its owner heard of it, only the deadline of its start would find it (D1)
    await until(async () => (await handle.describe()).activities[0]?.heartbeat, "a heartbeat is known")
    child.kill("SIGSTOP")
    await until(async () => (await handle.describe()).activities[0]?.attempt === 2, "its try has failed")
    await pool.worker({}, { jobs: [], activities: { work: (call: any) => `try ${call.attempt}` } })
    const ended = async () => (await handle.history()).journal.filter((entry: any) => entry.t === "end").length
    await until(async () => (await ended()) === 1, "the second try has ended")
    child.kill("SIGCONT")
    await says("told")
    await until(
      async () =>
        (await handle.history()).inbox.filter((message: any) => message.kind === "result" && message.name.endsWith(".1")).length === 1,
      "the late result is there",
    )
    await handle.signal.stop()
    expect(await handle.result({ timeout: 30_000 })).toBe("try 2")
  })

  test("a try that its queue has lost, as a primary that was replaced may, is given to it again", async () => {
    await pool.worker({ run: async (job: any) => job.done(await job.activities.shout("hi")) })
    const handle = await pool.client.sample.start({ id: "lost" })
    const redis = new Redis(redisUrl())
    try {
      const queued = () => redis.keys(`{ponos:${name}:*:wait`)
      await until(async () => (await queued()).length === 1, "it waits in its queue")
      await redis.del(...(await redis.keys(`{ponos:${name}:*`)))
      await until(async () => (await queued()).length === 1, "it waits there again", 30_000)
    } finally {
      redis.disconnect()
    }
    await pool.worker({}, { jobs: [], activities: { shout: (call: any, input: string) => `${input} ${call.attempt}` } })
    expect(await handle.result({ timeout: 30_000 })).toBe("hi 1")
  })

  test("the owner of the run is killed: the next one hears of the try that runs, and takes its result", async () => {
    const owner = start("own")
    await owner.says("ready")
    const begun = Promise.withResolvers<void>()
    const gate = Promise.withResolvers<void>()
    const tries: Array<number> = []
    await pool.worker(
      {},
      {
        jobs: [],
        activities: {
          work: async (call: any) => {
            tries.push(call.attempt)
            begun.resolve()
            const beating = setInterval(() => call.heartbeat("alive"), 50)
            await gate.promise
            clearInterval(beating)
            return `try ${call.attempt}`
          },
        },
      },
    )
    const handle = await pool.client.sample.start({ id: "moved" })
    await begun.promise
    owner.child.kill("SIGKILL")
    await once(owner.child, "exit")
    await pool.worker({ run: async (job: any) => job.done(await job.activities.work("x")) })
    const [pending] = await until(async () => {
      const { activities } = await handle.describe()
      return activities[0]?.heartbeat === undefined ? undefined : activities
    }, "the next owner has heard of it")
    expect(pending).toMatchObject({ attempt: 1, worker: expect.stringContaining(`:${process.pid}`) as string, lastError: undefined })
    gate.resolve()
    expect(await handle.result({ timeout: 30_000 })).toBe("try 1")
    expect(tries).toEqual([1])
  })
})
