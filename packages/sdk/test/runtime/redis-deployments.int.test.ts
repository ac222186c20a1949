/** Jobs with activities, whose queue is BullMQ's, where Redis is more than one server. */
import { expect, test } from "vitest"
import { uniqueName } from "../../../../tools/with-redis.ts"
import { follows, ownNodes, ownSentinels, waitFor } from "../engine/redis-nodes.ts"
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

  test("go on when their primary hangs and another one takes over, and when it comes back", async () => {
    const world = await ownSentinels()
    const pool = startPool(world.url, uniqueName("hanging"))
    const worker = await pool.worker(
      { run: async (job: any) => job.done(await job.activities.shout("hi")) },
      { activities: { shout: (_: unknown, input: string) => `${input}!` } },
    )
    const run = async (id: string): Promise<unknown> => await (await pool.client.sample.start({ id })).result({ timeout: 20_000 })
    try {
      expect(await run("before")).toBe("hi!")
      const old = await world.named()
      old.freeze()
      await waitFor(async () => (await world.named()) !== old, "another one is named")
      expect(await run("meanwhile")).toBe("hi!")
      old.thaw()
      // It takes itself for a primary, and would take tasks, until the Sentinels tell it that it is none: some ten seconds.
      expect(await run("after")).toBe("hi!")
      await old.call("REPLICAOF", "127.0.0.1", (await world.named()).port)
      await waitFor(async () => await follows(old), "the old one follows")
      expect(await run("at last")).toBe("hi!")
    } finally {
      await worker.close()
      await pool.client.close()
      await world.stop()
    }
  })
})
