/** Where the Redis driver goes when servers die, hang, come back as replicas, or give slots away (B4, W7). */
import { afterAll, afterEach, beforeAll, expect, test } from "vitest"
import type { Engine, EngineOptions, Hint } from "../../src/engine/engine.ts"
import { openEngine } from "../../src/engine/open.ts"
import { slotOf } from "../../src/engine/redis/slot.ts"
import { BadOption } from "../../src/errors.ts"
import { follows, ownNodes, ownSentinels, type TestCluster, type TestSentinels, waitFor } from "./redis-nodes.ts"
import { describeOwnRedis, ownCluster, ownRedis } from "./redis-server.ts"
import { Heard, only } from "./world.ts"

const engines: Engine[] = []
const open = async (url: string, options: EngineOptions = {}): Promise<Engine> => {
  const engine = await openEngine(url, options)
  engines.push(engine)
  return engine
}
const failure = async (url: string): Promise<Error> =>
  await openEngine(url, { connectTimeout: 1_000 }).then(
    async (engine) => {
      await engine.close()
      throw new Error("expected it to fail")
    },
    (error: Error) => error,
  )
afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.close()
})

const shards = 32
const all = Array.from({ length: shards }, (_, shard) => shard)
const claimAll = async (engine: Engine, pool: string) => {
  const headers = await engine.headers(pool, all)
  const replies = await engine.claim(
    pool,
    headers.map((header) => ({ shard: header.shard, session: "s1", from: header, knownEpoch: 0 })),
  )
  return replies.map((reply, shard) => ({ shard, session: "s1", epoch: reply.status === "claimed" ? reply.epoch : 0 }))
}
const startAll = async (engine: Engine, pool: string, name: string) =>
  await engine.start(
    pool,
    all.map((shard) => ({ shard, address: `kind/${name}-${shard}`, run: `${name}-${shard}`, body: "" })),
  )

test("slots are those of Redis", () => {
  const known: ReadonlyArray<readonly [string, number]> = [
    ["123456789", 12739],
    ["p:{pool:3}:r", slotOf("pool:3")],
    ["{}a", slotOf("{}a")],
    ["a{b}c{d}", slotOf("b")],
  ]
  for (const [key, slot] of known) expect(slotOf(key)).toBe(slot)
})

describeOwnRedis("a cluster whose slots move", () => {
  let cluster: TestCluster
  beforeAll(async () => {
    cluster = await ownNodes(0)
  }, 60_000)
  afterAll(() => cluster.stop())

  test("slots are where the servers have them, also of names that are not ASCII", async () => {
    for (const key of ["p:{pool:3}:r", "{}a", "{", "a{}", "ü{é}", "p:{pool}:settings"])
      expect(await cluster.nodes[0]?.call("CLUSTER", "KEYSLOT", key), key).toBe(slotOf(key))
  })

  test("any node is a seed, and a list of hosts with a dead one", async () => {
    const [, second, third] = cluster.nodes
    for (const hosts of [`127.0.0.1:${third?.port}`, `127.0.0.1:1,127.0.0.1:${second?.port},127.0.0.1:${third?.port}`]) {
      const engine = await open(`redis://${hosts}`)
      await engine.openPool("seeds", { shards })
      expect(await engine.headers("seeds", all)).toHaveLength(shards)
    }
  })

  test("calls wait for a slot that moves and follow it, and its channel is heard again", async () => {
    const [engine, other] = [await open(cluster.url), await open(cluster.url)]
    await engine.openPool("moving", { shards })
    const owners = await claimAll(engine, "moving")
    await startAll(engine, "moving", "before")
    const heard = new Heard<Hint>()
    await other.onHint("moving", 5, heard.listener)
    const slot = slotOf("p:{moving:5}:r")
    const from = await cluster.primaryOf(slot)
    const to = cluster.nodes.find((node) => node !== from) ?? from
    const owner = owners.filter(({ shard }) => shard === 5)
    const start = async (name: string) => await engine.start("moving", [{ shard: 5, address: `kind/${name}`, run: name, body: "" }])
    const take = async () => await engine.take("moving", [{ ...only(owner), limit: 10, timers: false }])
    let waiting: Promise<ReadonlyArray<unknown>> | undefined
    await cluster.moveSlot(slot, to, async () => {
      waiting = Promise.all([start("while"), take()])
      waiting.catch(() => {})
      await new Promise((resolve) => setTimeout(resolve, 100))
    })
    expect(await waiting).toMatchObject([[{ status: "started" }], [{ status: "taken" }]])
    expect(only(await start("after")).status).toBe("started")
    await take()
    const [status] = await engine.sweep("moving", [5])
    expect(status?.active.toSorted()).toEqual(["kind/after", "kind/before-5", "kind/while"])
    // A gap is told, and then what happens there is heard.
    await heard.until((hints) => hints.some((hint) => hint.type === "ready" && hint.epoch === 0))
    const before = heard.all.length
    await start("heard")
    await heard.until((hints) => hints.slice(before).some((hint) => hint.type === "ready" && hint.epoch === only(owner).epoch))
    expect(await cluster.primaryOf(slot)).toBe(to)
  })

  test("nothing is lost or doubled when slots move under load", async () => {
    const engine = await open(cluster.url, { callTimeout: 15_000 })
    await engine.openPool("loaded", { shards })
    const owners = await claimAll(engine, "loaded")
    const taken = new Map<string, number>()
    let [count, moving] = [0, true]
    const addresses = new Set<string>()
    const work = async (owner: (typeof owners)[number]): Promise<void> => {
      while (moving) {
        const address = `kind/${owner.shard}-${count++}`
        expect(only(await engine.start("loaded", [{ shard: owner.shard, address, run: address, body: "" }])).status).toBe("started")
        addresses.add(address)
        const reply = only(await engine.take("loaded", [{ ...owner, limit: 10, timers: false }]))
        if (reply.status !== "taken") throw new Error("the shard's header was lost")
        for (const run of reply.runs) taken.set(run.address, (taken.get(run.address) ?? 0) + 1)
        const next = { phase: "ended", outcome: "", retention: 600_000 } as const
        const items = reply.runs.map((run) => ({
          address: run.address,
          run: run.run,
          revision: run.revision,
          newRevision: `${owner.epoch}.${count++}`,
          journalLength: 0,
          append: [],
          journal: "clear" as const,
          next,
          consumed: 0,
          seen: 0,
          answers: [],
        }))
        const commits = items.length === 0 ? [] : only(await engine.commit("loaded", [{ ...owner, items }]))
        expect(commits.map(({ status }) => status)).toEqual(items.map(() => "ok"))
      }
    }
    const workers = Promise.all(owners.filter(({ shard }) => shard < 8).map(work))
    workers.catch(() => (moving = false))
    for (const shard of [0, 1, 2, 3, 4, 5, 6, 7]) {
      const slot = slotOf(`p:{loaded:${shard}}:r`)
      const from = await cluster.primaryOf(slot)
      const to = cluster.nodes.find((node) => node !== from) ?? from
      await cluster.moveSlot(slot, to)
    }
    moving = false
    await workers
    expect(taken.size).toBe(addresses.size)
    expect([...taken].filter(([, times]) => times > 1)).toEqual([])
    for (const { shard } of owners.slice(0, 8)) {
      const { runs } = await engine.list("loaded", shard, "0", 100_000)
      expect(runs.every(({ phase }) => phase === "ended")).toBe(true)
    }
  })

  test("the pool's own slot moves: members, renewals and the life go with it", async () => {
    const engine = await open(cluster.url)
    const watcher = await open(cluster.url)
    await engine.openPool("own", { shards })
    const lives = new Heard<string>()
    const { life } = await engine.registerLife("own", "s1", { onChange: ({ sign, left }) => left === "all" && lives.listener(sign) })
    await engine.join("own", { session: "s1", record: "{}" })
    expect(await watcher.probe("own", [life.sign])).toEqual(["alive"])
    const slot = slotOf("p:{own}:settings")
    const from = await cluster.primaryOf(slot)
    const to = cluster.nodes.find((node) => node !== from) ?? from
    let waiting: Promise<ReadonlyArray<unknown>> | undefined
    await cluster.moveSlot(slot, to, async () => {
      waiting = Promise.all([engine.renew("own", "s1"), engine.updateMember("own", { session: "s1", record: "{}" })])
    })
    expect(await waiting).toMatchObject([{ alive: true }, true])
    expect((await engine.renew("own", "s1")).alive).toBe(true)
    await lives.until((signs) => signs.some((sign) => sign !== life.sign && sign !== ""))
    await watcher.renew("own", undefined)
    await waitFor(async () => (await watcher.probe("own", [lives.all.at(-1) ?? ""]))[0] === "alive", "the new life is seen")
    expect(await watcher.probe("own", [life.sign]), "another server's word").toEqual(["unknown"])
  })
})

describeOwnRedis("a cluster whose primary dies", () => {
  let cluster: TestCluster
  beforeAll(async () => {
    cluster = await ownNodes(3)
  }, 60_000)
  afterAll(() => cluster.stop())

  test("its replica serves what was acknowledged and copied; hints are heard there; epochs grow", async () => {
    const [engine, other] = [await open(cluster.url, { callTimeout: 15_000 }), await open(cluster.url, { callTimeout: 15_000 })]
    await engine.openPool("failing", { shards })
    const owners = await claimAll(engine, "failing")
    await startAll(engine, "failing", "before")
    const dying = await cluster.primaryOf(slotOf("p:{failing:7}:r"))
    await Promise.all(cluster.primaries.map((node) => node.copied()))
    const heard = new Heard<Hint>()
    await other.onHint("failing", 7, heard.listener)
    await dying.kill()
    // One verb over all shards: those of the living primaries answer, the others wait for the replica.
    const taken = await engine.take(
      "failing",
      owners.map((owner) => ({ ...owner, limit: 10, timers: false })),
    )
    expect(taken.flatMap((reply) => (reply.status === "taken" ? reply.runs.map(({ run }) => run) : [reply.status]))).toEqual(
      all.map((shard) => `before-${shard}`),
    )
    const after = await startAll(engine, "failing", "after")
    expect(after.every(({ status }) => status === "started")).toBe(true)
    await heard.until((hints) => hints.some((hint) => hint.type === "ready" && hint.epoch === 0), 15_000)
    const before = heard.all.length
    await engine.take(
      "failing",
      owners.map((owner) => ({ ...owner, limit: 10, timers: false })),
    )
    await engine.start("failing", [{ shard: 7, address: "kind/heard", run: "heard", body: "" }])
    await heard.until((hints) => hints.length > before)
    const again = await claimAll(engine, "failing")
    for (const [shard, { epoch }] of again.entries()) expect(epoch).toBeGreaterThan(owners[shard]?.epoch ?? 0)
  })
})

describeOwnRedis("a primary that Sentinels watch", () => {
  let world: TestSentinels
  beforeAll(async () => {
    world = await ownSentinels()
  }, 60_000)
  afterAll(() => world.stop())

  test("is found, also with a dead Sentinel in the list; a name that they do not know is told", async () => {
    const engine = await open(world.url.replace("://", "://127.0.0.1:1,"))
    await engine.openPool("found", { shards })
    expect((await engine.poolInfo("found"))?.shards).toBe(shards)
    const error = await failure(world.url.replace(/main$/, "other"))
    expect(BadOption.is(error)).toBe(true)
    expect(error.message).toMatch(/expected the store URL to name a primary that the Sentinels watch, got: "other"/)
  })

  test("a hanging one is left for the new one, and is not believed when it comes back", async () => {
    const engine = await open(world.url, { callTimeout: 20_000 })
    await engine.openPool("hanging", { shards })
    const heard = new Heard<Hint>()
    await engine.onHint("hanging", 0, heard.listener)
    const [owner] = await claimAll(engine, "hanging")
    const old = await world.named()
    await old.copied()
    old.freeze()
    const reply = await engine.start("hanging", [{ shard: 0, address: "kind/a", run: "a", body: "" }])
    expect(only(reply).status).toBe("started")
    // The Sentinel that leads the failover names the old one a little longer than the others, under the same epoch.
    await waitFor(async () => (await world.named()) !== old, "all name the new one")
    const now = await world.named()
    expect(await now.call("HEXISTS", "p:{hanging:0}:r", "kind/a")).toBe(1)
    old.thaw()
    // The Sentinels do it too, some ten seconds later.
    await old.call("REPLICAOF", "127.0.0.1", now.port)
    await waitFor(async () => String(await old.call("INFO", "replication")).includes("master_link_status:up"), "the old one follows")
    expect(
      only(await engine.take("hanging", [{ ...only([owner ?? { shard: 0, session: "", epoch: 0 }]), limit: 1, timers: false }])),
    ).toMatchObject({
      status: "taken",
      runs: [{ run: "a" }],
    })
    const before = heard.all.length
    await engine.start("hanging", [{ shard: 0, address: "kind/b", run: "b", body: "" }])
    await heard.until((hints) => hints.length > before)
  })

  test("a hanging one is not waited for by who just connects to it", async () => {
    const old = await world.named()
    old.freeze()
    const engine = await open(world.url, { connectTimeout: 60_000 })
    expect(await world.named()).not.toBe(old)
    await engine.openPool("connecting", { shards })
    old.thaw()
    await old.call("REPLICAOF", "127.0.0.1", (await world.named()).port)
    await waitFor(async () => await follows(old), "the old one follows")
  })

  test("one that became a replica is left", async () => {
    const engine = await open(world.url, { callTimeout: 20_000 })
    await engine.openPool("demoted", { shards })
    const old = await world.named()
    await waitFor(async () => (await world.sentinels[0]?.call("SENTINEL", "FAILOVER", "main").catch(() => "")) === "OK", "they begin")
    await waitFor(async () => (await world.named()) !== old, "another one is named")
    // What the old one still takes until it hears of it, or until it is left, is lost: that is what the replication is.
    let count = 0
    await waitFor(async () => {
      const address = `kind/${count++}`
      expect(only(await engine.start("demoted", [{ shard: 0, address, run: "a", body: "" }])).status).toBe("started")
      return (await (await world.named()).call("HEXISTS", "p:{demoted:0}:r", address)) === 1
    }, "the new one is written to")
  })

  test("a killed one is replaced", async () => {
    const engine = await open(world.url, { callTimeout: 40_000 })
    await engine.openPool("killed", { shards })
    let old = await world.named()
    let address = ""
    let count = 0
    // On a busy machine the Sentinels replace one more that answers late, and then name a replica for some seconds; whom a failover left to another,
    // they mend after up to twenty.
    await waitFor(
      async () => {
        address = `kind/a${count++}`
        expect(only(await engine.start("killed", [{ shard: 0, address, run: "a", body: "" }])).status).toBe("started")
        old = await world.named()
        return (await old.call("HEXISTS", "p:{killed:0}:r", address).catch(() => 0)) === 1
      },
      "the one that they name is written to",
      40_000,
    )
    await old.copied(40_000)
    await old.kill()
    expect(only(await engine.start("killed", [{ shard: 0, address: "kind/b", run: "b", body: "" }])).status).toBe("started")
    expect((await engine.read("killed", [{ shard: 0, address }]))[0]?.run).toBe("a")
  })
})

describeOwnRedis("a cluster that announces names", () => {
  test("is gone to by them, and by the asked host's own where it announces nothing", async () => {
    for (const [preferred, expected] of [
      ["hostname", "localhost"],
      ["unknown-endpoint", "127.0.0.1"],
    ] as const) {
      const redis = await ownCluster({ "cluster-announce-hostname": "localhost", "cluster-preferred-endpoint-type": preferred })
      const warnings: string[] = []
      try {
        await redis.client.config("SET", "maxmemory-policy", "allkeys-lru")
        const engine = await open(redis.url, { onWarning: (text) => warnings.push(text) })
        await engine.openPool("named", { shards })
        expect(warnings.join()).toContain(`redis://${expected}:${redis.port} has maxmemory-policy`)
        await engine.close()
      } finally {
        await redis.stop()
      }
    }
  })
})

describeOwnRedis("an address that does not fit what answers", () => {
  test("several hosts that are no cluster; a database of a cluster", async () => {
    const redis = await ownRedis()
    const cluster = await ownNodes(0)
    try {
      const hosts = await failure(`redis://127.0.0.1:${redis.port},127.0.0.1:${redis.port}`)
      expect(BadOption.is(hosts)).toBe(true)
      expect(hosts.message).toMatch(/expected several hosts in the store URL to be nodes of one Redis Cluster.*redis\+sentinel:/)
      const database = await failure(`${cluster.url}/1`)
      expect(BadOption.is(database)).toBe(true)
      // Valkey's clusters may have several, and say that they have not this one.
      expect(database.message).toMatch(/without a database number|number of a database that Redis has/)
    } finally {
      await redis.stop()
      await cluster.stop()
    }
  })
})
