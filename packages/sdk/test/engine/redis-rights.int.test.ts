/** A user with the rights that docs/redis.md lists, and no other, can do all that Ponos does. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { uniqueName } from "../../../../tools/with-redis.ts"
import { openEngine } from "../../src/engine/open.ts"
import { slotOf } from "../../src/engine/redis/slot.ts"
import { BadOption } from "../../src/errors.ts"
import { startPool } from "../runtime/fixture.ts"
import { conformance } from "./conformance.ts"
import { ownNodes, ownSentinels, waitFor } from "./redis-nodes.ts"
import { describeOwnRedis, ownCluster, ownRedis, type OwnRedis } from "./redis-server.ts"
import { redisStore } from "./stores.ts"
import type { TestStore } from "./world.ts"

const text = readFileSync(join(import.meta.dirname, "../../../../docs/redis.md"), "utf8")
const sentinelRule = [...text.matchAll(/\+sentinel\|[a-z-]+/g)].map(([right]) => right)
const rules = [...text.matchAll(/```acl\nACL SETUSER ponos([^`]*)```/g)].map(([, rule]) => (rule ?? "").trim().split(/\s+/))

type Server = Pick<OwnRedis, "client">

/** The documented rules for the user `name`, for one pool (a pattern) under a key prefix. */
async function grantOn({ client }: Server, name: string, pool: string, prefix = "p", without: ReadonlyArray<string> = []): Promise<void> {
  for (const rule of rules) {
    const words = rule
      .filter((word) => !without.includes(word))
      .map((word) => word.replaceAll("<pool>", pool).replace(/^([~&])p:/, `$1${prefix}:`))
    await client.call("ACL", "SETUSER", name, ...words)
  }
}
async function grant(redis: OwnRedis, name: string, pool: string, prefix = "p", without: ReadonlyArray<string> = []): Promise<string> {
  await grantOn(redis, name, pool, prefix, without)
  return `redis://${name}:password@127.0.0.1:${redis.port}`
}

/** What was refused to anybody since the last look, and to whom. */
async function refused(redis: Server): Promise<ReadonlyArray<string>> {
  const log = (await redis.client.call("ACL", "LOG")) as ReadonlyArray<ReadonlyArray<unknown>>
  await redis.client.call("ACL", "LOG", "RESET")
  return log.map((entry) => ["username", "reason", "object"].map((name) => String(entry[entry.indexOf(name) + 1])).join(" "))
}

describeOwnRedis("a user with the documented rights", () => {
  let redis: OwnRedis
  beforeAll(async () => {
    redis = await ownRedis()
  })
  afterAll(() => redis.stop())

  test("the rules are found in the documentation", () => {
    expect(rules.map((rule) => rule.length > 5)).toEqual([true, true])
  })

  describe("does all that an engine does", () => {
    let store: (TestStore & { readonly prefix: string }) | undefined
    beforeAll(async () => {
      const own = redisStore(redis.url)
      const url = await grant(redis, "engine", "pool-*", own.prefix)
      store = { ...own, open: (options) => openEngine(url, { ...options, prefix: own.prefix }) }
    })
    conformance("Redis, as a user", () => {
      if (store === undefined) throw new Error("not yet")
      return store
    })
    test("and nothing was refused to it", async () => expect(await refused(redis)).toEqual([]))
  })

  const runOne = async (url: string, name: string): Promise<ReadonlyArray<string>> => {
    const pool = startPool(url, name)
    const worker = await pool.worker(
      { run: async (job: any) => job.done(await job.activities.shout("hi")) },
      { activities: { shout: (call: any, input: string) => `${input} ${call.attempt}` } },
    )
    try {
      const handle = await pool.client.sample.start({ id: "one" })
      expect(await handle.result({ timeout: 20_000 })).toBe("hi 1")
    } finally {
      await worker.close()
      await pool.client.close()
    }
    return pool.events.flatMap((event) => (event.type === "warning" ? [event.text] : []))
  }

  test("runs jobs with activities, and nothing is refused to it", async () => {
    const name = uniqueName("pool")
    const url = await grant(redis, "worker", name)
    expect(await runOne(url, name)).toEqual([])
    expect(await refused(redis)).toEqual([])
  })

  test("does so on a cluster", async () => {
    const cluster = await ownCluster()
    try {
      const name = uniqueName("pool")
      expect(await runOne(await grant(cluster, "worker", name), name)).toEqual([])
      expect(await refused(cluster)).toEqual([])
    } finally {
      await cluster.stop()
    }
  })

  test("does so on a cluster whose slots move", async () => {
    const cluster = await ownNodes(0)
    try {
      const name = uniqueName("pool")
      for (const node of cluster.nodes) await grantOn(node, "worker", name)
      const engine = await openEngine(cluster.url.replace("//", "//worker:password@"))
      const slot = slotOf(`p:{${name}:0}:r`)
      const from = await cluster.primaryOf(slot)
      const item = (run: string) => [{ shard: 0, address: `kind/${run}`, run, body: "" }]
      await engine.openPool(name, { shards: 1 })
      await engine.start(name, item("before"))
      const to = cluster.primaries.find((node) => node !== from) ?? from
      const between: Promise<unknown>[] = []
      await cluster.moveSlot(slot, to, async () => {
        // It waits until the slot has arrived, and asks its way there meanwhile.
        between.push(engine.start(name, item("between")))
        await waitFor(async () => String(await to.call("INFO", "commandstats")).includes("cmdstat_asking"), "it asks")
      })
      await Promise.all(between)
      await engine.start(name, item("after"))
      expect((await engine.list(name, 0, "0", 10)).runs.map(({ run }) => run).toSorted()).toEqual(["after", "before", "between"])
      await engine.close()
      expect((await Promise.all(cluster.nodes.map(refused))).flat()).toEqual([])
    } finally {
      await cluster.stop()
    }
  })

  test("does so behind Sentinels, which give it the documented rights", async () => {
    const world = await ownSentinels({ password: "secret" })
    try {
      const name = uniqueName("pool")
      for (const node of world.nodes) await grantOn(node, "worker", name)
      for (const { client } of world.sentinels)
        await client.call("ACL", "SETUSER", "worker", "on", ">password", "resetkeys", "resetchannels", "-@all", ...sentinelRule)
      expect(await runOne(world.url.replace(/\/\/[^@]*@/, "//worker:password@"), name)).toEqual([])
      expect((await Promise.all([...world.nodes, ...world.sentinels].map(refused))).flat()).toEqual([])
    } finally {
      await world.stop()
    }
  })

  test("without client|list warns once, and runs", async () => {
    const name = uniqueName("pool")
    const url = await grant(redis, "blind", name, "p", ["+client|list"])
    const warnings = await runOne(url, name)
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toMatch(/Allow its user \+client\|info \+client\|list/)
    expect(new Set(await refused(redis))).toEqual(new Set(["blind command client|list"]))
  })

  test("is kept out of another pool, and is told why", async () => {
    const url = await grant(redis, "other", uniqueName("pool"))
    const engine = await openEngine(url)
    const error = await engine.openPool(uniqueName("pool"), { shards: 1 }).catch((cause: unknown) => cause)
    await engine.close()
    expect(BadOption.is(error)).toBe(true)
    expect(String(error)).toMatch(/NOPERM.*the user's rights/)
    expect(await refused(redis)).toHaveLength(1)
  })
})
