/** From the address of a store to its driver. Drivers are imported when used: a file store needs no ioredis, Redis no node:sqlite. */
import { BadOption } from "../errors.ts"
import type { Engine, EngineOptions } from "./engine.ts"
import { withoutPassword } from "./shown.ts"

/** What another thread needs to open the same store: the address with its password, which no message shows. */
export interface Origin {
  readonly url: string
  readonly options: Omit<EngineOptions, "now" | "onWarning">
}

const origins = new WeakMap<Engine, Origin>()

/** `undefined` where only this engine reaches the store (in memory, or with a clock of its own), and of one that was not opened here. */
export const originOf = (engine: Engine): Origin | undefined => origins.get(engine)

/** An engine that stands for another one, on the same store. */
export const sameOrigin = (engine: Engine, wrapper: Engine): void => {
  const origin = origins.get(engine)
  if (origin !== undefined) origins.set(wrapper, origin)
}

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
    return remember(await openRedisEngine(address, options), address, options)
  }
  if (/^(file|memory):/.test(address)) {
    const { openSqliteEngine } = await import("./sqlite/sqlite-engine.ts")
    return remember(await openSqliteEngine(address, options), address, options)
  }
  throw new BadOption(`expected store to be ${forms}, got: ${withoutPassword(address)}`)
}

const remember = (engine: Engine, url: string, given: EngineOptions): Engine => {
  const { now, onWarning: _, ...options } = given
  if (now === undefined && !url.startsWith("memory:")) origins.set(engine, { url, options })
  return engine
}
