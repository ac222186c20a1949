/** Opens a pool for whoever comes first, a worker or a client. */
import { PoolMismatch } from "../errors.ts"
import { defaults } from "../options.ts"
import type { Engine, PoolInfo } from "./engine.ts"

/**
 * With the given number of shards, checked against the pool's (`PoolMismatch`); without one, as the pool is, and a new pool gets the default.
 * Who gives no number never meets a mismatch, also when somebody else creates the pool with another number at the same moment.
 */
export const openPool = async (engine: Engine, pool: string, shards: number | undefined): Promise<PoolInfo> => {
  if (shards !== undefined) return engine.openPool(pool, { shards })
  for (;;) {
    const info = await engine.poolInfo(pool)
    try {
      return await engine.openPool(pool, { shards: info?.shards ?? defaults.shards })
    } catch (error) {
      if (!PoolMismatch.is(error)) throw error
    }
  }
}
