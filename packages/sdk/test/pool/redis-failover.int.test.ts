/** A pool whose Redis loses a primary, moves slots, is emptied or goes back in time (O2, O4, P9). */
import { afterAll, beforeAll, expect, test } from "vitest"
import { slotOf } from "../../src/engine/redis/slot.ts"
import { ownNodes, ownSentinels, type TestCluster, type TestSentinels } from "../engine/redis-nodes.ts"
import { describeOwnRedis, ownRedis, type OwnRedis } from "../engine/redis-server.ts"
import { fast, Ground, keys, shards, until } from "./support.ts"

const settings = { ...fast, leaseMs: 1_000 }
const failoverMs = 20_000

/** Each shard was claimed with growing epochs only, whoever claimed it. */
const checkEpochs = (ground: Ground): void => {
  const last = new Map<number, number>()
  for (const event of ground.events) {
    if (event.type !== "claimed" && event.type !== "rescued") continue
    expect(event.epoch, `shard ${event.shard}`).toBeGreaterThan(last.get(event.shard) ?? 0)
    last.set(event.shard, event.epoch)
  }
}
const held = (ground: Ground): number => ground.members.reduce((sum, member) => sum + member.owned().length, 0)

async function running(url: string, count: number): Promise<Ground> {
  const ground = new Ground(url)
  await ground.join("a", { options: settings })
  await ground.join("b", { options: settings })
  await until(() => ground.members.every((member) => member.owned().length === shards / 2), "both hold their half")
  await ground.start(await ground.engine(), keys(count))
  await until(() => ground.history.running().length === count, "all run")
  return ground
}

describeOwnRedis("a pool on a Redis Cluster", () => {
  let cluster: TestCluster
  beforeAll(async () => {
    cluster = await ownNodes(3)
  }, 60_000)
  afterAll(() => cluster.stop())

  test("goes on while the slots of its shards and its own one move", async () => {
    const ground = await running(cluster.url, 40)
    const engine = await ground.engine()
    for (const tag of [`p:{${ground.pool}}:settings`, ...[0, 1, 2].map((shard) => `p:{${ground.pool}:${shard}}:r`)]) {
      const slot = slotOf(tag)
      const from = await cluster.primaryOf(slot)
      await cluster.moveSlot(slot, cluster.primaries.find((node) => node !== from) ?? from)
    }
    await ground.start(engine, keys(60).slice(40))
    await until(() => ground.history.running().length === 60, "those that were started after it run too")
    ground.history.checkNoOverlap()
    checkEpochs(ground)
    await ground.end()
  })

  test("loses a primary: what was acknowledged and copied runs on, with higher epochs where shards were claimed again", async () => {
    const ground = await running(cluster.url, 40)
    await Promise.all(cluster.primaries.map((node) => node.call("WAIT", 1, 5_000)))
    const dying = await cluster.primaryOf(slotOf(`p:{${ground.pool}}:settings`))
    await dying.kill()
    await until(() => ground.history.running().length < 40, "what cannot be renewed stops", failoverMs)
    await until(() => held(ground) === shards && ground.history.running().length === 40, "all run again", failoverMs)
    await ground.start(await ground.engine(), keys(60).slice(40))
    await until(() => ground.history.running().length === 60, "new ones run too", failoverMs)
    ground.history.checkNoOverlap()
    checkEpochs(ground)
    await ground.end()
  })
})

describeOwnRedis("a pool on a primary that Sentinels watch", () => {
  let world: TestSentinels
  beforeAll(async () => {
    world = await ownSentinels()
  }, 60_000)
  afterAll(() => world.stop())

  test("loses it: what was acknowledged and copied runs on", async () => {
    const ground = await running(world.url, 40)
    const old = await world.named()
    await old.call("WAIT", 2, 5_000)
    await old.kill()
    await until(async () => (await world.named()) !== old, "the Sentinels name another one", failoverMs)
    await until(() => held(ground) === shards && ground.history.running().length === 40, "all run again", failoverMs)
    await ground.start(await ground.engine(), keys(60).slice(40))
    await until(() => ground.history.running().length === 60, "new ones run too", failoverMs)
    ground.history.checkNoOverlap()
    checkEpochs(ground)
    await ground.end()
  })
})

describeOwnRedis("a pool whose store forgets", () => {
  let redis: OwnRedis
  beforeAll(async () => {
    redis = await ownRedis()
  })
  afterAll(() => redis.stop())

  test("everything: all stop within a renewal, nobody claims before a lease is over, epochs grow, and new jobs run", async () => {
    const ground = await running(redis.url, 40)
    const flushed = performance.now()
    await redis.client.flushall()
    await until(() => ground.history.running().length === 0, "all have stopped")
    const claimed = (): number => ground.seen("claimed").length
    const before = claimed()
    await until(() => claimed() > before, "the first claim under the new incarnation")
    expect(performance.now() - flushed).toBeGreaterThan(settings.leaseMs)
    await until(() => held(ground) === shards, "both hold their share again")
    await ground.start(await ground.engine(), keys(40))
    await until(() => ground.history.running().length === 40, "new jobs run")
    ground.history.checkNoOverlap()
    checkEpochs(ground)
    await ground.end()
  })
})
