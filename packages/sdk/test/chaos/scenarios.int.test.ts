/** Every scenario once, on every store that the machine can start. `npm run chaos` makes random ones of the same verbs. */
import { describe, expect, onTestFinished, test } from "vitest"
import { describeOwnRedis } from "../engine/redis-server.ts"
import { runScenario, scenarios } from "./scenarios.ts"
import { openStore, type StoreName } from "./stores.ts"
import { verdictText } from "./verdict.ts"

/** A cluster and Sentinels differ from a single server in these only, and cost more to start. */
const ofMany = [
  "a worker is killed",
  "the way between a worker and the store is cut, in both directions and in each",
  "replies are lost: the script ran, and its answer did not arrive",
  "the store restarts with what it saved",
  "a primary is killed, and another one takes over",
  "a primary hangs for two leases, another one takes over, and the first comes back",
  "a primary is killed, and one takes over that is behind",
  "slots of the pool move to another server",
]

/** Of a scenario whose servers failed over by themselves. */
const roundsMax = 3
/** What a world waits for in vain it tells itself, with the reason: all its waits together are shorter. */
const patienceMs = 300_000

const suite = async (name: StoreName, only?: ReadonlyArray<string>): Promise<void> => {
  // What a store can suffer is known when it is open; a test opens its own.
  const probe = await openStore(name)
  const chosen = scenarios.filter(({ applies }) => applies(probe)).filter(({ name: one }) => only?.includes(one) ?? true)
  await probe.stop()
  test.each(chosen.map((scenario) => [scenario.name, scenario] as const))("%s", { timeout: patienceMs }, async (_, scenario) => {
    for (let round = 1; ; round++) {
      const store = await openStore(name)
      let stopped: Promise<void> | undefined
      const stop = (): Promise<void> => (stopped ??= store.stop())
      // Also when the test's time is over.
      onTestFinished(stop)
      try {
        const verdict = await runScenario(store, scenario)
        console.log(`${name}, ${scenario.name}: ${verdictText(verdict)}`)
        if (verdict.disturbed !== undefined && !verdict.ok && round < roundsMax) continue
        return expect(verdict.problems).toEqual([])
      } finally {
        await stop()
      }
    }
  })
}

describe("chaos on a file", async () => await suite("file"))
describeOwnRedis("chaos on Redis", () => suite("redis"))
describeOwnRedis("chaos on a cluster", () => suite("cluster", ofMany))
describeOwnRedis("chaos on Redis with Sentinels", () => suite("sentinel", ofMany))
