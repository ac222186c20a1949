/** A pool whose Redis loses a primary, moves slots, is emptied or goes back in time (O2, O4, P9). */
import { afterAll, beforeAll, expect, test } from "vitest"
import { slotOf } from "../../src/engine/redis/slot.ts"
import { ownNodes, ownSentinels, settle, type TestCluster, type TestSentinels } from "../engine/redis-nodes.ts"
import { describeOwnRedis, ownRedis, type OwnRedis } from "../engine/redis-server.ts"
import { endGrounds, fast, Ground, keys, shards, until } from "./support.ts"

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

/** After a failover: the 40 that ran run again, and new ones with them. */
const goesOn = async (ground: Ground): Promise<void> => {
  await until(() => held(ground) === shards && ground.history.running().length === 40, "all run again", failoverMs)
  await ground.start(await ground.engine(), keys(60).slice(40))
  await until(() => ground.history.running().length === 60, "new ones run too", failoverMs)
  ground.history.checkNoOverlap()
  checkEpochs(ground)
  await ground.end()
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
    await Promise.all(cluster.primaries.map((node) => node.copied()))
    const dying = await cluster.primaryOf(slotOf(`p:{${ground.pool}}:settings`))
    await dying.kill()
    await until(() => ground.history.running().length < 40, "what cannot be renewed stops", failoverMs)
    await goesOn(ground)
  })
})

/** Of a test whose Sentinels failed over more often than it asked for. */
const roundsMax = 3

/**
 * One failover: on a machine without a free core Sentinels make two of one, and what was acknowledged in between is gone, so that nothing is proved. Such a
 * round is made again.
 */
const oneFailover = async (round: (world: TestSentinels) => Promise<void>): Promise<void> => {
  for (let count = 1; ; count++) {
    const world = await ownSentinels()
    const before = await world.epoch()
    try {
      return await round(world)
    } catch (error) {
      if (count === roundsMax || (await world.epoch()) <= before + 1) throw error
      console.log(`the Sentinels made ${(await world.epoch()) - before} failovers of one: again`)
    } finally {
      // With the store that they have.
      await endGrounds().catch(() => {})
      await world.stop()
    }
  }
}

describeOwnRedis("a pool on a primary that Sentinels watch", () => {
  test("loses it: what was acknowledged and copied runs on", async () => {
    await oneFailover(async (world) => {
      const ground = await running(world.url, 40)
      const old = await world.named()
      await settle(
        old,
        world.nodes.filter((node) => node !== old),
      )
      await old.kill()
      await until(async () => (await world.named()) !== old, "the Sentinels name another one", failoverMs)
      await goesOn(ground)
    })
  })
})

describeOwnRedis("a pool whose replicas are behind", () => {
  test("goes on from what they have: moved shards are claimed with higher epochs, and no worker runs beside another", async () => {
    await oneFailover(async (world) => {
      const ground = await running(world.url, 40)
      const old = await world.named()
      const replicas = world.nodes.filter((node) => node !== old)
      await settle(old, replicas)
      // They keep what they have, and hear of nothing more. The Sentinels would mend it, some ten seconds later.
      await Promise.all(replicas.map((node) => node.call("REPLICAOF", "127.0.0.1", 1)))
      await old.call("CLIENT", "UNPAUSE")
      const c = await ground.join("c", { options: settings })
      await until(() => c.member.owned().length >= 5 && held(ground) === shards, "c has its share")
      await until(() => ground.history.running().length === 40, "all run")
      await ground.start(await ground.engine(), ["late"])
      await until(() => ground.history.running().length === 41, "the late one runs")
      await old.kill()
      await until(async () => (await world.named()) !== old, "the Sentinels name another one", failoverMs)
      await until(() => held(ground) === shards && ground.history.running().length === 40, "what was copied runs again", failoverMs)
      await until(() => ground.members.every((member) => member.owned().length >= 5), "three hold a third", failoverMs)
      await ground.start(await ground.engine(), ["new"])
      await until(() => ground.history.running().length === 41, "a new one runs", failoverMs)
      ground.history.checkNoOverlap()
      checkEpochs(ground)
      await ground.end()
    })
  })
})

describeOwnRedis("a pool whose store forgets", () => {
  let redis: OwnRedis
  beforeAll(async () => {
    redis = await ownRedis()
  })
  afterAll(() => redis.stop())

  const claims = (ground: Ground): number => ground.seen("claimed").length + ground.seen("rescued").length

  test("everything: all stop within a renewal, nobody claims before a lease is over, epochs grow, and new jobs run", async () => {
    const ground = await running(redis.url, 40)
    const before = claims(ground)
    const flushed = performance.now()
    await redis.client.flushall()
    await until(() => ground.history.running().length === 0, "all have stopped")
    await until(() => claims(ground) > before, "the first claim under the new incarnation")
    expect(performance.now() - flushed).toBeGreaterThan(settings.leaseMs)
    await until(() => held(ground) === shards, "both hold their share again")
    await ground.start(await ground.engine(), keys(40))
    await until(() => ground.history.running().length === 40, "new jobs run")
    ground.history.checkNoOverlap()
    checkEpochs(ground)
    await ground.end()
  })

  test("everything, and a new worker comes at once: the others hear of it and stop, before they renew", async () => {
    const slow = { ...settings, leaseMs: 6_000, renewMs: 2_000, watchMs: 5_000 }
    const ground = new Ground(redis.url)
    await ground.join("a", { options: slow })
    await until(() => held(ground) === shards, "a holds all")
    await ground.start(await ground.engine(), keys(20))
    await until(() => ground.history.running().length === 20, "all run")
    await redis.client.flushall()
    const flushed = performance.now()
    await ground.join("c", { options: slow })
    await until(() => ground.history.running().length === 0, "a has stopped")
    expect(performance.now() - flushed).toBeLessThan(slow.renewMs / 2)
    await ground.end()
  })

  test("the last moves: everybody finds back, what was saved runs on once, epochs grow", async () => {
    const ground = await running(redis.url, 40)
    await redis.client.save()
    // From here on the store will know nothing of: a third worker, its shards, an end, a start.
    const c = await ground.join("c", { options: settings })
    await until(() => c.member.owned().length >= 5 && held(ground) === shards, "c has its share")
    const [, b] = ground.members
    await b?.drain()
    await until(() => held(ground) === shards && ground.history.running().length === 40, "b has left, all run")
    await ground.start(await ground.engine(), ["late"])
    await until(() => ground.history.running().length === 41, "the late one runs")
    await redis.restart()
    const engine = await ground.engine()
    const all = Array.from({ length: shards }, (_, shard) => shard)
    const owned = () => ground.members.flatMap((member) => member.owned())
    await until(
      async () => {
        const headers = await engine.headers(ground.pool, all)
        const agreed = headers.every(({ shard, epoch }) => owned().some((one) => one.shard === shard && one.epoch === epoch))
        return agreed && held(ground) === shards && ground.history.running().length === 40
      },
      "the store and the workers agree on who holds what, what was saved runs, and no more",
      failoverMs,
    )
    const stays = performance.now() + 500
    await until(() => performance.now() > stays, "it stays so")
    expect([held(ground), ground.history.running().length]).toEqual([shards, 40])
    await ground.start(await ground.engine(), ["new"])
    await until(() => ground.history.running().length === 41, "a new one runs")
    ground.history.checkNoOverlap()
    checkEpochs(ground)
    await ground.end()
  })

  test("one shard while it is handed over: the next owner waits until its last holder has stopped", async () => {
    const ground = await running(redis.url, 40)
    const [a] = ground.members
    const shard = a?.owned()[0]?.shard ?? 0
    await ground.join("c", { options: settings })
    await until(() => ground.members.every((member) => member.owned().length >= 5), "three hold a third")
    // A primary of a cluster that came back empty: the pool's own slot is elsewhere and knows everybody.
    await redis.client.unlink(["r", "q", "w", "a", "d", "o", "k"].map((name) => `p:{${ground.pool}:${shard}}:${name}`))
    const emptied = performance.now()
    const holder = ground.members.find((member) => member.owned().some((owned) => owned.shard === shard))
    await until(() => ground.seen("deposed").some(({ shards: lost }) => lost.includes(shard)), "its holder is told")
    await until(() => held(ground) === shards, "it is claimed again")
    const claimed = [...ground.events].reverse().find((event) => event.type === "claimed" && event.shard === shard)
    const by = ground.members[["a", "b", "c"].indexOf(claimed?.on ?? "")]
    if (by !== holder) expect(performance.now() - emptied).toBeGreaterThan(settings.leaseMs)
    ground.history.checkNoOverlap()
    checkEpochs(ground)
    await ground.end()
  })
})
