import { randomBytes } from "node:crypto"
import { afterEach, describe, expect, test } from "vitest"
import { describeRedis, redisUrl, uniqueName } from "../../../tools/with-redis.ts"
import { CodecChain } from "../src/codec/codec.ts"
import { compress, encrypt } from "../src/codec/index.ts"
import type { Engine } from "../src/engine/engine.ts"
import { openEngine } from "../src/engine/open.ts"
import { makeClient } from "../src/gen.ts"
import { shardOf } from "../src/key.ts"
import { contract, startPool, until } from "./runtime/fixture.ts"
import type { Started } from "./runtime/fixture.ts"

const key = randomBytes(32)
const long = "lorem ipsum ".repeat(100)

describe("a chain of codecs", () => {
  test("gives back what it got, whatever it is", () => {
    const chain = new CodecChain([compress({ minBytes: 10 }), encrypt({ keys: { a: key }, current: "a" })])
    for (const text of ["", "{}", long, '"ä€😀"', "~br:looks encoded".slice(4)]) {
      const encoded = chain.encode(text, "pool/job/key")
      expect(encoded).toMatch(/^~gcm:a:/)
      expect(chain.decode(encoded, "pool/job/key")).toBe(text)
    }
    expect(chain.encode(long, "p").length).toBeLessThan(long.length / 4)
  })

  test("leaves a text that compression would make longer", () => {
    expect(new CodecChain([compress()]).encode("short", "p")).toBe("short")
    expect(new CodecChain([compress({ minBytes: 0 })]).encode("x", "p")).toBe("x")
  })

  test("reads what was stored before it was set, and what older keys wrote; only the current key writes", () => {
    const other = randomBytes(32)
    const before = new CodecChain([encrypt({ keys: { old: key }, current: "old" })])
    const after = new CodecChain([compress({ minBytes: 10 }), encrypt({ keys: { old: key, new: other }, current: "new" })])
    expect(after.decode('{"plain":1}', "p")).toBe('{"plain":1}')
    expect(after.decode(before.encode(long, "p"), "p")).toBe(long)
    expect(after.encode(long, "p")).toMatch(/^~gcm:new:/)
  })

  test("never encodes a text twice alike, and reads none at another place, none that was changed", () => {
    const chain = new CodecChain([encrypt({ keys: { a: key }, current: "a" })])
    const encoded = chain.encode("secret", "pool/job/one")
    expect(chain.encode("secret", "pool/job/one")).not.toBe(encoded)
    const unreadable = expect.objectContaining({ _tag: "PayloadUnreadable" }) as unknown
    expect(() => chain.decode(encoded, "pool/job/two")).toThrow(unreadable)
    expect(() => chain.decode(`${encoded.slice(0, -6)}AAAA==`, "pool/job/one")).toThrow(unreadable)
  })

  test("says which codec or key is missing", () => {
    const chain = new CodecChain([encrypt({ keys: { a: key }, current: "a" })])
    const encoded = chain.encode("secret", "p")
    expect(() => new CodecChain([]).decode(encoded, "p")).toThrow(/expected a codec "gcm".*got: none/)
    const other = new CodecChain([encrypt({ keys: { b: key }, current: "b" })])
    expect(() => other.decode(encoded, "p")).toThrow(/expected the key "a"/)
  })

  test("refuses what is no chain", () => {
    const refused = expect.objectContaining({ _tag: "BadOption" }) as unknown
    expect(() => new CodecChain([compress(), compress()])).toThrow(refused)
    expect(() => new CodecChain([{} as never])).toThrow(refused)
    expect(() => encrypt({ keys: { a: randomBytes(16) }, current: "a" })).toThrow(refused)
    expect(() => encrypt({ keys: { a: key }, current: "b" })).toThrow(refused)
    expect(() => compress({ quality: 12 })).toThrow(refused)
  })
})

/** All texts that a store has of a pool. */
const stored = async (engine: Engine, pool: string, shards: number): Promise<string> => {
  const texts: Array<unknown> = []
  for (let shard = 0; shard < shards; shard++) {
    const page = await engine.list(pool, shard, "0", 1_000)
    texts.push(
      page.runs,
      await engine.read(
        pool,
        page.runs.map(({ address }) => ({ shard, address })),
        { full: true },
      ),
    )
  }
  return JSON.stringify(texts)
}

const suite = (store: () => string): void => {
  let pool: Started | undefined
  afterEach(() => pool?.close())

  test("a job works as without, and the store sees no plain text; who lacks the key sees that, and stops nobody", async () => {
    const codecs = [compress({ minBytes: 64 }), encrypt({ keys: { k1: key }, current: "k1" })]
    pool = startPool(store(), uniqueName("codec"))
    const sealed = makeClient({ pool: pool.pool, store: pool.store, shards: pool.shards, codecs }, { sample: contract })
    const engine = await openEngine(pool.store)
    await pool.worker(
      {
        run: async (job: any) => {
          const one = await job.step("one", () => "secret of a step")
          const { payload } = await job.receive("note")
          job.state.log = [`secret of the state ${long}`]
          if (job.iteration === 1) return job.again({ on: ["note"] })
          const shouted = await job.activities.shout("secret of an activity")
          return job.done(`${one}, ${payload}, ${shouted}`)
        },
        updates: { add: (job: any, by: number) => (job.state.count += by) },
        queries: { count: (view: any) => view.state.count },
      },
      { codecs, activities: { shout: (_: unknown, text: string) => text.toUpperCase() } },
    )
    const handle = await sealed.sample.start({ id: "acme" })
    await until(async () => (await handle.history()).journal.length === 2, "it waits in its first iteration")
    expect(await handle.update.add(3)).toBe(3)
    expect(await stored(engine, pool.pool, pool.shards)).not.toMatch(/secret|count/)
    await handle.signal.note("secret of a signal")
    await until(async () => (await handle.describe()).phase === "parked", "it waits for its second iteration")
    expect((await handle.describe()).state.log[0]).toContain("secret of the state")
    expect(await handle.query.count()).toBe(3)
    expect(await stored(engine, pool.pool, pool.shards)).not.toMatch(/secret|count/)
    // somebody without the key
    await expect(pool.client.sample.get("acme").describe()).rejects.toMatchObject({ _tag: "PayloadUnreadable" })
    await handle.signal.note("secret of another signal")
    expect(await handle.result({ timeout: 10_000 })).toBe("secret of a step, secret of another signal, SECRET OF AN ACTIVITY")
    expect(await stored(engine, pool.pool, pool.shards)).not.toMatch(/secret|count/i)
    await sealed.close()
    await engine.close()
  })

  test("a worker without the key reports the run and leaves it alone, and runs those that it can read", async () => {
    const codecs = [encrypt({ keys: { k1: key }, current: "k1" })]
    pool = startPool(store(), uniqueName("codec"))
    const sealed = makeClient({ pool: pool.pool, store: pool.store, shards: pool.shards, codecs }, { sample: contract })
    // both in one shard, so that they come in one take
    const ids = Array.from({ length: 100 }, (_, i) => `key-${i}`).filter((id) => shardOf(id, 8) === shardOf("key-0", 8))
    const closed = await sealed.sample.start({ id: ids[0] })
    const open = await pool.client.sample.start({ id: ids[1] })
    await pool.worker({ run: (job: any) => job.done(job.key) })
    expect(await open.result({ timeout: 10_000 })).toBe(ids[1])
    const { events } = pool
    await until(() => events.some((event) => event.type === "blocked" && event.key === ids[0]), "the other one is reported")
    expect((await closed.describe()).outcome).toBeUndefined()
    await sealed.close()
  })
}

describe("codecs on memory", () => suite(() => `memory:${uniqueName("codec")}`))
describeRedis("codecs on Redis", () => suite(redisUrl))
