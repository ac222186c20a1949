/**
 * Slow work on many shards, server by server: what one server of a cluster does not answer holds up only the work on its own shards. Where one call
 * spans shards all of them are one part, and its caller waits for it.
 *
 * - A server has one turn at a time. Its items are left out while the last one has not ended.
 * - `run` resolves when all turns that it began have ended, or a little later without those that are late. Their errors go to `onFault`.
 */
import type { Engine } from "../engine/engine.ts"
import { lateMs } from "../engine/shard-batcher.ts"
import { settlesWithin } from "./loop.ts"

export interface ServerTurnsHost {
  readonly engine: Engine
  readonly pool: string
  readonly onFault: (error: unknown) => void
  /** A server may have another turn, and items were left out meanwhile. */
  readonly onFree?: () => void
}

export class ServerTurns {
  readonly #host: ServerTurnsHost
  /** Servers whose turn has not ended; true: items of theirs were left out. */
  readonly #busy = new Map<string, boolean>()

  constructor(host: ServerTurnsHost) {
    this.#host = host
  }

  async run<Item>(
    items: ReadonlyArray<Item>,
    shardOf: (item: Item) => number,
    turn: (items: ReadonlyArray<Item>) => Promise<void>,
  ): Promise<void> {
    const { engine, pool } = this.#host
    if (engine.serverOf === undefined) return await turn(items)
    const parts = new Map<string, Array<Item>>()
    for (const item of items) {
      const server = engine.serverOf(pool, shardOf(item))
      const part = parts.get(server)
      if (part === undefined) parts.set(server, [item])
      else part.push(item)
    }
    const turns: Array<Promise<void>> = []
    for (const [server, part] of parts) {
      if (this.#busy.has(server)) this.#busy.set(server, true)
      else turns.push(this.#turn(server, () => turn(part)))
    }
    await settlesWithin(Promise.all(turns), lateMs)
  }

  async #turn(server: string, turn: () => Promise<void>): Promise<void> {
    this.#busy.set(server, false)
    try {
      await turn()
    } catch (error) {
      this.#host.onFault(error)
    }
    const leftOut = this.#busy.get(server) === true
    this.#busy.delete(server)
    if (leftOut) this.#host.onFree?.()
  }
}
