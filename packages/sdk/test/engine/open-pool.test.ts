import { expect, test } from "vitest"
import { openPool } from "../../src/engine/open-pool.ts"
import { openEngine } from "../../src/engine/open.ts"
import { wrapEngine } from "../runtime/fixture.ts"

test("who gives no number of shards takes what somebody else created at the same moment; who gives another one is refused", async () => {
  const engine = await openEngine("memory:")
  let looks = 0
  const racing = wrapEngine(engine, {
    poolInfo: async (pool) => {
      if (looks++ > 0) return engine.poolInfo(pool)
      // another member creates the pool between the look and the opening
      await engine.openPool(pool, { shards: 8 })
      return undefined
    },
  })
  expect(await openPool(racing, "p", undefined)).toMatchObject({ shards: 8 })
  await expect(openPool(engine, "p", 16)).rejects.toMatchObject({ _tag: "PoolMismatch" })
  await engine.close()
})
