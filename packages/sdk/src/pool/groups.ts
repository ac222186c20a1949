/** The groups of a pool, changed while it runs: each owns a part of the shards by weight, which its workers share. */
import type { Engine } from "../engine/engine.ts"
import type { MapOperation } from "../engine/maps.ts"
import { BadOption, StoreUnavailable } from "../errors.ts"
import { optionTable, refuseUnknown } from "../options.ts"
import { groupWeights } from "./membership.ts"
import { checkGroup } from "./options.ts"
import { decodeAssignment } from "./placement.ts"
import { encodeGroup, groupKey, type ConfigMap, type GroupSettings } from "./pool-config.ts"
import { decodeRecord } from "./record.ts"

export interface GroupInfo extends GroupSettings {
  readonly name: string
  /** How many of the pool's shards it owns, whoever holds them. */
  readonly shards: number
  /** How many workers of it are in the pool. */
  readonly workers: number
}

export interface GroupsHost {
  readonly engine: Engine
  readonly pool: string
  readonly config: () => Promise<ConfigMap>
}

/** Two who change groups at the same moment: one of them sees the change of the other and tries again. */
const triesMax = 20

export const checkSettings = (name: string, given: Partial<GroupSettings>): Partial<GroupSettings> => {
  refuseUnknown(given, ["weight", "spill"], `group ${name}`)
  const { weight, spill } = given
  const { min, max } = optionTable.weight
  if (weight !== undefined && (!Number.isInteger(weight) || weight < min || weight > max))
    throw new BadOption(`expected the weight of group ${name} to be an integer from ${min} to ${max}, got: ${JSON.stringify(weight)}`, {
      option: "weight",
      value: weight,
    })
  if (spill !== undefined && typeof spill !== "boolean")
    throw new BadOption(`expected spill of group ${name} to be true or false, got: ${JSON.stringify(spill)}`, { option: "spill" })
  return given
}

export class Groups {
  readonly #host: GroupsHost

  constructor(host: GroupsHost) {
    this.#host = host
  }

  /** All groups that own shards or have workers, by name. */
  async list(): Promise<ReadonlyArray<GroupInfo>> {
    const { engine, pool } = this.#host
    const [settings, entry, { members }] = await Promise.all([this.#settings(), engine.assignment(pool), engine.members(pool)])
    const groupOf = decodeAssignment(entry.value)?.groupOf ?? []
    const workers = members.map(({ record }) => decodeRecord(record)).filter(({ leaving }) => !leaving)
    const names = new Set([...settings.keys(), ...workers.map(({ group }) => group)])
    return [...names]
      .map((name) => ({
        name,
        ...(settings.get(name) ?? { weight: 1, spill: false }),
        shards: groupOf.filter((group) => group === name).length,
        workers: workers.filter(({ group }) => group === name).length,
      }))
      .filter(({ weight, shards, workers: some }) => weight > 0 || shards > 0 || some > 0)
      .sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  /** Adds a group, or changes one: only the difference moves. From the first call on, the weights that workers bring along do not count. */
  async set(name: string, given: Partial<GroupSettings> = {}): Promise<void> {
    const settings = checkSettings(checkGroup(name), given)
    await this.#change((known) => {
      const old = known.get(name)
      const base = { weight: old === undefined || old.weight === 0 ? optionTable.weight.default : old.weight, spill: old?.spill ?? false }
      return [name, { ...base, ...settings }]
    })
  }

  /** Its shards go to the other groups. Workers of it hold nothing until it is set again. */
  async remove(name: string): Promise<void> {
    checkGroup(name)
    await this.#change((known) => {
      const others = [...known].some(([other, { weight }]) => other !== name && weight > 0)
      if (!others)
        throw new BadOption(`expected a group beside "${name}", which would own its shards, found none: set one before, or keep it`, {
          option: "groups",
          value: name,
        })
      return [name, { weight: 0, spill: false }]
    })
  }

  /** As they count now, whoever said so. */
  async #settings(): Promise<ReadonlyMap<string, GroupSettings>> {
    const { engine, pool } = this.#host
    const { config } = await this.#host.config()
    if (config.groups.size > 0) return config.groups
    const [entry, { members }] = await Promise.all([engine.assignment(pool), engine.members(pool)])
    const records = members.map(({ record }) => decodeRecord(record))
    const weights = groupWeights(records, config, decodeAssignment(entry.value))
    const names = new Set([...Object.keys(weights), ...records.map(({ group }) => group)])
    return new Map([...names].map((name) => [name, { weight: weights[name] ?? 1, spill: false }]))
  }

  /** Compare-and-set, together with what was only in the records of workers before. */
  async #change(next: (known: ReadonlyMap<string, GroupSettings>) => readonly [string, GroupSettings]): Promise<void> {
    const { map } = await this.#host.config()
    await map.refresh()
    for (let tries = 0; tries < triesMax; tries++) {
      const known = await this.#settings()
      const [name, settings] = next(known)
      const wanted = new Map([...known, [name, settings]])
      const operations: Array<MapOperation> = [...wanted].map(([group, value]) => {
        const key = groupKey(group)
        return { type: "swap", key, expect: map.get(key), value: encodeGroup(value) }
      })
      if ((await map.write(operations)).status === "ok") return
    }
    throw new StoreUnavailable(`the groups of pool "${this.#host.pool}" changed ${triesMax} times while one was being set: try again`)
  }
}
