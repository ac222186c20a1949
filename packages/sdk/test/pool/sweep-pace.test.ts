/** Where each shard is a call of its own the sweep goes round, so that a pool of many shards does not ask for all of them each second (W7). */
import { expect, test } from "vitest"
import type { Engine } from "../../src/engine/engine.ts"
import { describeStores, fast, Ground, keys, shards, tampered, until } from "./support.ts"

describeStores("a sweep that goes round", (url) => {
  test("asks for its share, and finds in a round what lost hints missed", async () => {
    const ground = new Ground(url())
    const engine = await ground.engine()
    // Takes of what was claimed: until their answers are here they may bring what is started then.
    let taken = 0
    const asked: Array<{ readonly what: string; readonly shards: number }> = []
    const counted = (): Engine =>
      tampered(engine, {
        spansShards: false,
        onHint: async () => async () => {},
        take: async (pool, groups) => {
          const replies = await engine.take(pool, groups)
          taken += groups.length
          return replies
        },
        sweep: async (pool, some) => {
          asked.push({ what: "sweep", shards: some.length })
          return await engine.sweep(pool, some)
        },
      })
    // 32 a second, at 5 sweeps a second, for two.
    const options = { ...fast, leaseMs: 3_000, sweepMs: 200 }
    await ground.join("a", { engine: counted(), options })
    await ground.join("b", { engine: counted(), options })
    await until(() => ground.members.every((member) => member.owned().length === shards / 2), "both hold their half")
    await until(() => taken >= shards, "what was claimed is taken")
    asked.length = 0
    // What is taken with the claims would find them too.
    await until(() => asked.length >= 4, "both have swept")
    await ground.start(engine, keys(40))
    await until(() => ground.history.running().length === 40, "all are found")
    expect(new Set(asked.map((call) => call.shards))).toEqual(new Set([3]))
    ground.history.checkNoOverlap()
    await ground.end()
  })
})
