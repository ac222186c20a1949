/** How an attempt reaches other runs of its pool. */
import type { Engine } from "../engine/engine.ts"
import { PoolNotFound } from "../errors.ts"
import type { Options } from "../options.ts"

export class Reach {
  readonly engine: Engine
  readonly pool: string
  readonly limits: Options
  #shards: number | undefined
  readonly #announced = new Set<string>()

  constructor({ engine, pool, limits }: { readonly engine: Engine; readonly pool: string; readonly limits: Options }) {
    this.engine = engine
    this.pool = pool
    this.limits = limits
  }

  async shards(): Promise<number> {
    this.#shards ??= (await this.engine.poolInfo(this.pool))?.shards
    if (this.#shards === undefined) throw new PoolNotFound(`expected the pool ${this.pool} to be there, found none: was the store emptied?`)
    return this.#shards
  }

  /** Adds the kind to the pool's kinds before its first start (A2). */
  async announce(kind: string): Promise<void> {
    if (this.#announced.has(kind)) return
    await this.engine.addKinds(this.pool, [kind])
    this.#announced.add(kind)
  }
}
