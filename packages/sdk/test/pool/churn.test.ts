/** Members come, go, die and are cut off at random, while jobs run and end: nothing is lost, and nothing runs twice at once. */
import { expect, test } from "vitest"
import { address, cuttable, describeStores, fast, Ground, Holder, keys, shards, until } from "./support.ts"
import type { PoolMember } from "../../src/pool/member.ts"

/** Mulberry32: a run can be repeated by its seed. */
const random = (seed: number) => (): number => {
  seed = (seed + 0x6d2b79f5) | 0
  let hash = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  hash = (hash + Math.imul(hash ^ (hash >>> 7), 61 | hash)) ^ hash
  return ((hash ^ (hash >>> 14)) >>> 0) / 4294967296
}

interface Present {
  readonly member: PoolMember
  readonly holder: Holder
  readonly down: { is: boolean }
}

describeStores("churn", (url) => {
  for (const seed of [1, 2, 3]) {
    test(`loses and doubles nothing (seed ${seed})`, async () => {
      const next = random(seed)
      const ground = new Ground(url())
      const engine = await ground.engine()
      const present: Array<Present> = []
      let count = 0
      const join = async (): Promise<void> => {
        const { engine: cut, down } = cuttable(await ground.engine())
        present.push({ ...(await ground.join(`m${count++}`, { engine: cut })), down })
      }
      await join()
      await ground.start(engine, keys(60))
      let expected = 60
      for (let step = 0; step < 14; step++) {
        const dice = next()
        const victim = present[Math.floor(next() * present.length)]
        if (victim === undefined || present.length < 2 || dice < 0.3) await join()
        else if (dice < 0.5) {
          victim.member.kill()
          present.splice(present.indexOf(victim), 1)
        } else if (dice < 0.75) {
          await victim.member.drain()
          present.splice(present.indexOf(victim), 1)
        } else {
          // Sometimes a blink, sometimes long enough to be marked dead.
          victim.down.is = true
          setTimeout(() => (victim.down.is = false), next() * 2 * fast.leaseMs)
        }
        // Some jobs end, here and there.
        for (const { holder } of present) {
          const [one] = holder.held.keys()
          if (one === undefined) continue
          const ended = await holder.commit(one, { phase: "ended", outcome: "", retention: 60_000 }).catch(() => undefined)
          if (ended?.status === "ok") expected--
        }
        await new Promise((resolve) => setTimeout(resolve, next() * 200))
      }
      if (present.length === 0) await join()
      const alive = () => present.reduce((sum, { holder }) => sum + holder.held.size, 0)
      const owned = () => present.reduce((sum, { member }) => sum + member.owned().length, 0)
      const live = async (): Promise<number> => {
        const records = await engine.read(
          ground.pool,
          keys(60).map((key) => ground.item(key)),
        )
        return records.filter((record) => record !== undefined && record.phase !== "ended").length
      }
      await until(() => owned() === shards, "every shard has an owner")
      // A commit whose outcome was not heard may have ended its run or not: the store knows.
      const left = await live()
      expect(left).toBeLessThanOrEqual(expected)
      await until(() => alive() === left, `all ${left} run`)
      ground.history.checkNoOverlap()
      expect(new Set(ground.history.executions.map((execution) => execution.address))).toEqual(new Set(keys(60).map(address)))
    })
  }
})
