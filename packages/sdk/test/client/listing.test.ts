import { describe, expect, test } from "vitest"
import { uniqueName } from "../../../../tools/with-redis.ts"
import { Pace } from "../../src/client/listing.ts"
import { openEngine } from "../../src/engine/open.ts"
import { makeClient } from "../../src/gen.ts"
import { describeStores } from "../pool/support.ts"
import { removePool } from "../runtime/cleanup.ts"
import { contract, wrapEngine } from "../runtime/fixture.ts"

const runs = (count: number, bytes: number) => Array.from({ length: count }, () => ({ body: "x".repeat(bytes), outcome: undefined }))

describe("the pace of a list", () => {
  const steps = (bytes: number): ReadonlyArray<number> => {
    const pace = new Pace()
    return Array.from({ length: 8 }, () => {
      const step = pace.step(1_000)
      pace.found(runs(step, bytes))
      return step
    })
  }
  test("begins small, grows to 200 where runs are small, and stays small where they are large", () => {
    expect(steps(300)).toEqual([10, 20, 40, 80, 160, 200, 200, 200])
    expect(steps(4_096)).toEqual([10, 20, 40, 64, 64, 64, 64, 64])
    expect(steps(1_048_576)).toEqual([10, 1, 1, 1, 1, 1, 1, 1])
    expect(new Pace().step(3)).toBe(3)
  })
  test("an empty look says nothing of sizes", () => {
    const pace = new Pace()
    pace.found([])
    expect(pace.step(1_000)).toBe(20)
  })
})

describeStores("a list", (url) => {
  test("comes whole, in looks that are small where its runs are large", async () => {
    const pool = uniqueName("listing")
    const engine = await openEngine(url())
    const looks: Array<number> = []
    const list = async (...args: Parameters<typeof engine.list>) => {
      looks.push(args[3])
      return engine.list(...args)
    }
    const client = makeClient({ pool, engine: wrapEngine(engine, { list }), shards: 1 }, { sample: contract })
    try {
      const keys = Array.from({ length: 60 }, (_, n) => `key ${n}`)
      const note = { name: "note", payload: "x" }
      await Promise.all(keys.map((id) => client.sample.start({ id }, { labels: { text: "y".repeat(256) }, signal: note })))
      const found: Array<string> = []
      for await (const run of client.sample.list()) found.push(run.key)
      expect(new Set(found)).toEqual(new Set(keys))
      expect(looks[0]).toBe(10)
      expect(Math.max(...looks)).toBeLessThanOrEqual(200)
      await expect(client.sample.page({ limit: 5 })).resolves.toMatchObject({ runs: expect.anything() as unknown })
    } finally {
      await client.close()
      await engine.close()
      await removePool(url(), pool)
    }
  })
})
