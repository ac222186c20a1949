/**
 * What is set for a pool as a whole, at run time, and kept in its store: groups, and whether it is shut down. A replicated map, so that every
 * member reads it in memory and hears of a change; what is written is a compare-and-set. An assignment names the revision from which it was
 * computed, and one of another revision is computed again.
 */
import type { Engine } from "../engine/engine.ts"
import { defaults } from "../options.ts"
import { JoinedMap } from "../rmap/joined-map.ts"

export interface GroupSettings {
  /** 0: it was removed; it owns no shards and its workers wait. */
  readonly weight: number
  /** While it has no workers, those of the other groups hold its shards. */
  readonly spill: boolean
}

export interface PoolConfig {
  /** 0 when nothing was ever set. */
  readonly revision: number
  /** Empty until a group is set: then the weights that workers brought along count. */
  readonly groups: ReadonlyMap<string, GroupSettings>
  /** Store time at which the pool was shut down. */
  readonly shutDownAt: number | undefined
}

export const noConfig: PoolConfig = { revision: 0, groups: new Map(), shutDownAt: undefined }

/** Name of its map: maps of users may not begin with it. */
const mapName = "~pool"
const groupPrefix = "group:"
export const shutDownKey = "shut-down"

export const groupKey = (name: string): string => groupPrefix + name
export const encodeGroup = ({ weight, spill }: GroupSettings): string => JSON.stringify({ weight, spill })

/** Keys that it does not know are those of a later version. */
export const decodeConfig = (revision: number, entries: ReadonlyMap<string, string>): PoolConfig => {
  const groups = new Map<string, GroupSettings>()
  for (const [key, value] of entries) {
    if (key.startsWith(groupPrefix)) groups.set(key.slice(groupPrefix.length), JSON.parse(value) as GroupSettings)
  }
  const shutDown = entries.get(shutDownKey)
  return { revision: Math.max(0, revision), groups, shutDownAt: shutDown === undefined ? undefined : Number(shutDown) }
}

/** A pool's own map, beside those of its users. */
export const joinOwnMap = (engine: Engine, pool: string, name: string): Promise<JoinedMap> =>
  JoinedMap.join({ engine, ownsEngine: false, pool, name, options: { ...defaults, mapAgeMs: 0 } })

export class ConfigMap {
  readonly map: JoinedMap
  #known: PoolConfig | undefined

  private constructor(map: JoinedMap) {
    this.map = map
    map.onChange(() => (this.#known = undefined))
  }

  static async join(engine: Engine, pool: string): Promise<ConfigMap> {
    return new ConfigMap(await joinOwnMap(engine, pool, mapName))
  }

  get config(): PoolConfig {
    if (this.#known === undefined || this.#known.revision !== Math.max(0, this.map.revision))
      this.#known = decodeConfig(this.map.revision, this.map.entries())
    return this.#known
  }
}
