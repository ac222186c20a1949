/** The same crash on BullMQ: three workers, running jobs, SIGKILL of the one with most of them, until all of its jobs run elsewhere. */
import { Queue } from "bullmq"
import { Redis } from "ioredis"
import { clock } from "../clock.ts"
import type { Child } from "../child.ts"
import { until, type Stage } from "../stage.ts"

type Begun = ReadonlyArray<readonly [id: string, at: number]>

const size = 3
const jobs = 2_000
const queueName = "tenants"

/** Of BullMQ's `Worker`; what is not given is its default. */
export type BullmqOptions = Readonly<Record<string, number>>

/** As aggressive as it runs here, most of the time, without losing jobs of live workers. */
export const fastBullmq = { lockDuration: 1_000, stalledInterval: 250, maxStalledCount: 1_000 } as const

export const bullmqTakeover = async (stage: Stage, options: BullmqOptions, boundMs: number): Promise<number> => {
  const prefix = `{${stage.name()}}`
  const { url } = stage.redis
  const connection = new Redis(url, { maxRetriesPerRequest: null })
  const queue = new Queue(queueName, { connection, prefix })
  const workers = Array.from({ length: size }, () => stage.spawn("bullmq-worker.ts", [prefix, url, JSON.stringify(options)]))
  try {
    await Promise.all(workers.map((worker) => worker.call("open")))
    await queue.addBulk(Array.from({ length: jobs }, (_, number) => ({ name: "tenant", data: {}, opts: { jobId: `tenant-${number}` } })))
    const running = async (of: ReadonlyArray<Child>): Promise<ReadonlyArray<number>> =>
      await Promise.all(of.map((worker) => worker.call<number>("running")))
    await until("BullMQ runs all jobs", async () => (await running(workers)).reduce((a, b) => a + b, 0) >= jobs)
    const counts = await running(workers)
    const victim = workers[counts.indexOf(Math.max(...counts))] as Child
    const others = workers.filter((worker) => worker !== victim)
    const lost = (await victim.call<Begun>("begun")).map(([id]) => id)
    const at = clock()
    victim.signal("SIGKILL")
    let last = at
    const allRun = async (): Promise<boolean> => {
      if ((await running(others)).reduce((a, b) => a + b, 0) < jobs) return false
      const begun = new Map((await Promise.all(others.map((worker) => worker.call<Begun>("begun")))).flat())
      last = Math.max(...lost.map((id) => begun.get(id) ?? Number.POSITIVE_INFINITY))
      return last < Number.POSITIVE_INFINITY
    }
    await until("BullMQ runs all jobs of the killed worker again", allRun, boundMs)
    return last - at
  } finally {
    await Promise.all(workers.map((worker) => worker.end()))
    await queue.close()
    connection.disconnect()
  }
}
