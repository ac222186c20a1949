/**
 * For who reads shards one after the other: on a cluster, those of a server that did not answer are left out, and not asked one by one, so that reading the
 * others takes one deadline of a call for each such server at most.
 */
import { StoreUnavailable } from "../errors.ts"
import type { Engine } from "./engine.ts"

export class AwayServers {
  readonly #serverOf: (shard: number) => string | undefined
  readonly #servers = new Set<string>()
  readonly #unread: Array<number> = []
  #cause: unknown

  constructor(engine: Pick<Engine, "serverOf">, pool: string) {
    this.#serverOf = (shard) => engine.serverOf?.(pool, shard)
  }

  /** Shards that were left out, in the order in which they were met. */
  get unread(): ReadonlyArray<number> {
    return this.#unread
  }

  /** True: the shard is on a server that did not answer before, and is left out. */
  skips(shard: number): boolean {
    const server = this.#serverOf(shard)
    if (server === undefined || !this.#servers.has(server)) return false
    this.#unread.push(shard)
    return true
  }

  /** Leaves a shard out that did not answer. Throws what is no outage, and where there is one server only. */
  note(shard: number, error: unknown): void {
    const server = this.#serverOf(shard)
    if (server === undefined || !StoreUnavailable.is(error)) throw error
    this.#cause ??= error
    this.#servers.add(server)
    this.#unread.push(shard)
  }

  get cause(): unknown {
    return this.#cause
  }
}

/** After all others have been listed. `what`: "jobs". */
export const unlisted = (what: string, unread: ReadonlyArray<number>, shards: number, details: object, cause?: unknown): Error =>
  new StoreUnavailable(
    `the ${what} of ${unread.length} of ${shards} shards could not be listed, because their servers do not answer. Those of the others were: ask again.`,
    { ...details, shardsUnknown: unread },
    cause,
  )
