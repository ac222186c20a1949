/** From the address of a store to its driver. Drivers are imported when used: a file store needs no ioredis, Redis no node:sqlite. */
import { BadOption } from "../errors.ts"
import type { Engine, EngineOptions } from "./engine.ts"
import { withoutPassword } from "./shown.ts"

const forms = "redis://…, rediss://…, redis+sentinel://…, file:… or memory:"

/** Without `url`, the address is that of the environment's PONOS_STORE. */
export async function openEngine(url?: string, options: EngineOptions = {}): Promise<Engine> {
  const address = url ?? process.env["PONOS_STORE"]
  if (address === undefined || address === "") {
    throw new BadOption(`expected a store, got none: set the option store, or PONOS_STORE in the environment, to ${forms}`)
  }
  if (typeof address !== "string") throw new BadOption(`expected store to be ${forms}, got: ${address === null ? "null" : typeof address}`)
  if (/^rediss?(\+sentinel)?:\/\//.test(address)) {
    const { openRedisEngine } = await import("./redis/redis-engine.ts")
    return await openRedisEngine(address, options)
  }
  if (/^(file|memory):/.test(address)) {
    const { openSqliteEngine } = await import("./sqlite/sqlite-engine.ts")
    return await openSqliteEngine(address, options)
  }
  throw new BadOption(`expected store to be ${forms}, got: ${withoutPassword(address)}`)
}
