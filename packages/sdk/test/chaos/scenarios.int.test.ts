/** Every scenario once, on every store that the machine can start. `npm run chaos` makes random ones of the same verbs. */
import { afterAll, describe, expect, test } from "vitest"
import { describeOwnRedis } from "../engine/redis-server.ts"
import { scenarios } from "./scenarios.ts"
import { openStore, type ChaosStore, type StoreName } from "./stores.ts"
import { verdictText, World } from "./world.ts"

const suite = async (name: StoreName): Promise<void> => {
  // What a store can suffer is known when it is open; a test opens its own.
  const probe = await openStore(name)
  const { proxy } = await probe.connect()
  const chosen = scenarios.filter(({ applies }) => applies(probe, proxy !== undefined))
  await probe.stop()
  let store: ChaosStore | undefined
  afterAll(() => store?.stop())
  test.each(chosen.map((scenario) => [scenario.name, scenario] as const))("%s", async (_, scenario) => {
    store = await openStore(name)
    const world = await World.open(store, { workers: scenario.workers, options: scenario.options ?? {} })
    try {
      await scenario.run(world)
      const verdict = await world.verify()
      console.log(`${name}, ${scenario.name}: ${verdictText(verdict)}`)
      expect(verdict.problems).toEqual([])
    } finally {
      await world.close()
      await store.stop()
      store = undefined
    }
  })
}

describe("chaos on a file", async () => await suite("file"))
describeOwnRedis("chaos on Redis", () => suite("redis"))
describeOwnRedis("chaos on a cluster", () => suite("cluster"))
describeOwnRedis("chaos on Redis with Sentinels", () => suite("sentinel"))
