/** Runs that wait leave memory, the idlest first, and come back for what they wait for; timers keep their time. */
import { afterEach, expect, test } from "vitest"
import { uniqueName } from "../../../../tools/with-redis.ts"
import { describeStores } from "../pool/support.ts"
import type { Started } from "./fixture.ts"
import { startPool, until } from "./fixture.ts"

describeStores("runs that wait", (url) => {
  let pool: Started
  afterEach(() => pool.close())

  test("the idlest leave memory when there are more than maxResident, with their resources, and come back for their event", async () => {
    pool = startPool(url(), uniqueName("parking"))
    const log: Array<string> = []
    await pool.worker(
      {
        open: (job: any) => (log.push(`open ${job.key}`), job.key),
        close: (key: string) => void log.push(`close ${key}`),
        run: (job: any, resource: string) => {
          const note = job.poll("note")
          if (note !== undefined) return job.done(`${note.payload} for ${resource}`)
          return job.again({ on: ["note"] })
        },
      },
      { maxResident: 2 },
    )
    const parked = async (id: string) => {
      const handle = await pool.client.sample.start({ id })
      await until(async () => (await handle.describe()).phase === "parked", `${id} is parked`)
      return handle
    }
    const a = await parked("a")
    await parked("b")
    expect(log).toEqual(["open a", "open b"])
    await parked("c")
    await until(() => log.includes("close b"), "the two idlest left")
    await parked("d")
    expect(log).toEqual(["open a", "open b", "open c", "close a", "close b", "open d"])
    await a.signal.note("hi")
    expect(await a.result({ timeout: 10_000 })).toBe("hi for a")
    expect(log.filter((line) => line.endsWith(" a"))).toEqual(["open a", "close a", "open a", "close a"])
  })

  test("a sleep never ends early, and ends by its own timer, in memory and out of it", async () => {
    pool = startPool(url(), uniqueName("timers"))
    const late: Array<number> = []
    // nothing else would wake them in time
    const noSweep = { sweepMs: 60_000 }
    await pool.worker(
      {
        run: async (job: any) => {
          if (job.wake.by !== "start") {
            late.push(Date.now() - job.wake.scheduled.getTime())
            return job.done("out of memory")
          }
          const before = performance.now()
          await job.sleep(150)
          late.push(performance.now() - before - 150)
          return job.again({ after: 130 })
        },
      },
      noSweep,
    )
    for (let n = 0; n < 3; n++) await (await pool.client.sample.start({ id: `sleeps ${n}` })).result({ timeout: 30_000 })
    expect(late).toHaveLength(6)
    expect(Math.min(...late)).toBeGreaterThanOrEqual(0)
  })
})
