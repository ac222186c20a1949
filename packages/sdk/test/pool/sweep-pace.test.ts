/**
 * Where each shard is a call of its own the sweep goes round, so that a pool of many shards does not ask for all of them each second (W7). Where calls span
 * shards it asks for all, some at a time, so that one sweep does not hold up everything else.
 */
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

describeStores("a sweep whose calls span shards", (url) => {
  test("asks for some shards at a time, for all of them, and finds what lost hints missed", async () => {
    const many = 80
    const ground = new Ground(url(), many)
    const engine = await ground.engine()
    let round: Array<number> = []
    const rounds: Array<ReadonlyArray<number>> = []
    let most = 0
    const deaf = tampered(engine, {
      spansShards: true,
      onHint: async () => async () => {},
      sweep: async (pool, some) => {
        most = Math.max(most, some.length)
        if (some.some((shard) => round.includes(shard))) {
          rounds.push(round)
          round = []
        }
        round.push(...some)
        return await engine.sweep(pool, some)
      },
    })
    await ground.join("a", { engine: deaf, options: { ...fast, leaseMs: 3_000, sweepMs: 200 } })
    await until(() => ground.members[0]?.owned().length === many, "it holds all")
    rounds.length = 0
    await until(() => rounds.length >= 3, "it has swept")
    await ground.start(engine, keys(40))
    await until(() => ground.history.running().length === 40, "all are found")
    expect(most).toBe(32)
    // the first one was under way
    for (const one of rounds.slice(1)) expect(one.toSorted((a, b) => a - b)).toEqual(Array.from({ length: many }, (_, shard) => shard))
    await ground.end()
  })
})
