/** Jobs with activities, whose queue is BullMQ's, where Redis is more than one server. */
import { expect, test } from "vitest"
import { uniqueName } from "../../../../tools/with-redis.ts"
import { ownNodes, ownSentinels } from "../engine/redis-nodes.ts"
import { describeOwnRedis } from "../engine/redis-server.ts"
import { startPool } from "./fixture.ts"

const runOne = async (url: string): Promise<string> => {
  const pool = startPool(url, uniqueName("activities"))
  const worker = await pool.worker(
    { run: async (job: any) => job.done(await job.activities.shout("hi")) },
    { activities: { shout: (call: any, input: string) => `${input} ${call.attempt}` } },
  )
  try {
    const handle = await pool.client.sample.start({ id: "one" })
    return (await handle.result({ timeout: 20_000 })) as string
  } finally {
    await worker.close()
    await pool.client.close()
    expect(pool.events.filter(({ type }) => type === "warning" || type === "fault")).toEqual([])
  }
}

describeOwnRedis("activities", () => {
  test("run on a cluster", async () => {
    const cluster = await ownNodes(0)
    try {
      expect(await runOne(cluster.url)).toBe("hi 1")
    } finally {
      await cluster.stop()
    }
  })

  test.each(["", "secret"])("run on a primary that Sentinels watch, password %j", async (password) => {
    const world = await ownSentinels({ password })
    try {
      expect(await runOne(world.url)).toBe("hi 1")
    } finally {
      await world.stop()
    }
  })
})
