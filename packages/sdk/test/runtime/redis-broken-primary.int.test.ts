/** One primary of a cluster stands still: tenants whose shards are on the others notice nothing (shard-batcher.ts, server-turns.ts). */
import { expect, test } from "vitest"
import { uniqueName } from "../../../../tools/with-redis.ts"
import { shardOf } from "../../src/key.ts"
import { slotOf } from "../../src/engine/redis/slot.ts"
import { type Node, ownNodes, type TestCluster, waitFor } from "../engine/redis-nodes.ts"
import { describeOwnRedis } from "../engine/redis-server.ts"
import { startPool } from "./fixture.ts"

const shards = 48

/** Keys by the primary of their shard: `count` for each, none of which was given before. */
const keysOn = async (cluster: TestCluster, pool: string): Promise<(node: Node, count: number) => ReadonlyArray<string>> => {
  const nodeOf = await Promise.all(Array.from({ length: shards }, (_, shard) => cluster.primaryOf(slotOf(`p:{${pool}:${shard}}:r`))))
  let next = 0
  return (node, count) => {
    const keys: string[] = []
    while (keys.length < count) {
      const key = `tenant-${next++}`
      if (nodeOf[shardOf(key, shards)] === node) keys.push(key)
    }
    return keys
  }
}

describeOwnRedis("a primary that stands still", () => {
  test("stops its own shards only: on the others jobs take steps, are started, woken and ended", async () => {
    const cluster = await ownNodes(0, { "cluster-require-full-coverage": "no" })
    const pool = startPool(cluster.url, uniqueName("broken"), shards)
    const steps = new Map<string, number>()
    const stepsOf = (key: string): number => steps.get(key) ?? 0
    const worker = await pool.worker({
      init: () => ({ count: 0, log: [] }),
      run: async (job: any) => {
        const { id } = job.input
        if (job.poll()?.name === "stop") return job.done("stopped")
        await job.step("one", () => job.state.count)
        await job.step("two", () => job.state.count)
        job.state.count++
        steps.set(id, stepsOf(id) + 1)
        return job.again({ after: 5, on: ["stop"] })
      },
    })
    const start = (id: string) => pool.client.sample.start({ id })
    const stop = async (id: string): Promise<unknown> => {
      const handle = pool.client.sample.get(id)
      await handle.signal.stop()
      return await handle.result({ timeout: 20_000 })
    }
    let frozen: Node | undefined
    try {
      const keys = await keysOn(cluster, pool.pool)
      const members = await cluster.primaryOf(slotOf(`p:{${pool.pool}}:settings`))
      const broken = cluster.primaries.find((node) => node !== members) ?? members
      const living = cluster.primaries.filter((node) => node !== broken)
      const stuck = keys(broken, 8)
      const healthy = living.flatMap((node) => keys(node, 8))
      await Promise.all([...stuck, ...healthy].map(start))
      await waitFor(() => [...stuck, ...healthy].every((key) => stepsOf(key) > 2), "all take steps")

      broken.freeze()
      frozen = broken
      // Many turns of calls for the broken one: each batch that waits for it would be one less for the others.
      const stuckLater = keys(broken, 40)
      const waiting = stuckLater.map(async (key) => {
        await new Promise((resolve) => setTimeout(resolve, stuckLater.indexOf(key) * 5))
        return await start(key).catch(() => undefined)
      })
      const before = new Map(healthy.map((key) => [key, stepsOf(key)]))
      const wentOn = (key: string): boolean => stepsOf(key) >= (before.get(key) ?? 0) + 40
      await waitFor(() => healthy.every(wentOn), "those on the others take steps")
      const later = living.flatMap((node) => keys(node, 20))
      for (const key of later) await start(key)
      await waitFor(() => later.every((key) => stepsOf(key) > 2), "those that are started meanwhile run")
      expect(await Promise.all([...healthy.slice(0, 4), ...later].map(stop))).toEqual(
        [...healthy.slice(0, 4), ...later].map(() => "stopped"),
      )

      const held = new Map(stuck.map((key) => [key, stepsOf(key)]))
      broken.thaw()
      frozen = undefined
      await Promise.all(waiting)
      await waitFor(() => stuck.every((key) => stepsOf(key) > (held.get(key) ?? 0) + 2), "those on the broken one go on")
      // Who got no answer repeats the start: it counts once.
      await Promise.all(stuckLater.map(start))
      await waitFor(() => stuckLater.every((key) => stepsOf(key) > 2), "those that were started there run")
      expect(await Promise.all([...stuck, ...stuckLater].map(stop))).toEqual([...stuck, ...stuckLater].map(() => "stopped"))
    } finally {
      frozen?.thaw()
      await worker.close()
      await pool.client.close()
      await cluster.stop()
    }
    expect(pool.events.filter(({ type }) => type === "fault")).toEqual([])
  })
})
