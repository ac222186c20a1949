/**
 * What would move if the assignment were computed now, as it is or after a change: data, nothing is written. Pure: it is the computation of
 * the assigner (membership.ts) on members that may not be there.
 */
import { BadOption } from "../errors.ts"
import { optionTable, readOptions, refuseUnknown } from "../options.ts"
import { checkSettings } from "./groups.ts"
import { assignmentFor, type AssignmentInput, type Candidate } from "./membership.ts"
import { checkGroup } from "./options.ts"
import type { Assignment } from "./placement.ts"
import type { GroupSettings, PoolConfig } from "./pool-config.ts"
import { defaultGroup } from "./record.ts"

export interface PlanChange {
  /** Workers that would join. */
  readonly add?: ReadonlyArray<{ readonly group?: string; readonly weight?: number }>
  /** Sessions of workers that would leave. */
  readonly remove?: ReadonlyArray<string>
  /** Groups that would be set; weight 0 stands for `groups.remove`. */
  readonly groups?: Readonly<Record<string, Partial<GroupSettings>>>
}

export interface PlannedMove {
  readonly shard: number
  /** Group that owns the shard after it. */
  readonly group: string
  /** Sessions, "" for nobody; a worker of `add` is called new-1, new-2 … */
  readonly from: string
  readonly to: string
}

export interface Share {
  readonly name: string
  readonly weight: number
  /** Shards by the assignment that stands, and by the planned one. */
  readonly before: number
  readonly after: number
}

export interface Plan {
  /** By shard. Without those whose assignee stays. */
  readonly moves: ReadonlyArray<PlannedMove>
  /** How many of them have an assignee now, whose jobs would be handed over or rescued. */
  readonly moved: number
  readonly groups: ReadonlyArray<Share>
  readonly workers: ReadonlyArray<Share & { readonly group: string }>
}

const planned = (n: number): string => `new-${n}`

const refuse = (option: string, expected: string, value: unknown): never => {
  throw new BadOption(`expected ${option} of a plan to be ${expected}, got: ${JSON.stringify(value)}`, { option })
}

/** The members as they would be. */
const changedMembers = (members: ReadonlyMap<string, Candidate>, change: PlanChange, kinds: ReadonlyArray<string>) => {
  const next = new Map(members)
  if (change.remove !== undefined && !Array.isArray(change.remove)) refuse("remove", "a list of sessions", change.remove)
  if (change.add !== undefined && !Array.isArray(change.add)) refuse("add", "a list such as [{ group, weight }]", change.add)
  for (const session of change.remove ?? []) if (!next.delete(session)) refuse("remove", "sessions of the pool (pool.workers())", session)
  for (const [i, { group = defaultGroup, weight, ...rest }] of (change.add ?? []).entries()) {
    refuseUnknown(rest, ["group", "weight"], "add of a plan")
    const session = planned(i + 1)
    const read = readOptions(weight === undefined ? {} : { weight }, ["weight"])
    next.set(session, { session, group: checkGroup(group), ...read, kinds, leaving: false, groups: undefined, joinedAt: 0 })
  }
  return next
}

/** The configuration as it would be. `weights`: as they count now. */
const changedConfig = (config: PoolConfig, change: PlanChange, weights: Readonly<Record<string, number>>): PoolConfig => {
  if (change.groups === undefined) return config
  const groups = new Map(
    config.groups.size > 0 ? config.groups : Object.entries(weights).map(([name, weight]) => [name, { weight, spill: false }]),
  )
  for (const [name, { weight, ...rest }] of Object.entries(change.groups)) {
    checkSettings(checkGroup(name), weight === 0 || weight === undefined ? rest : { weight, ...rest })
    const base = groups.get(name) ?? { weight: optionTable.weight.default, spill: false }
    groups.set(name, { ...base, ...rest, ...(weight === undefined ? {} : { weight }) })
  }
  return { ...config, groups }
}

const counts = (of: ReadonlyArray<string>): ReadonlyMap<string, number> => {
  const counts = new Map<string, number>()
  for (const id of of) counts.set(id, (counts.get(id) ?? 0) + 1)
  return counts
}

const nobody: Assignment = { groupOf: [], ownerOf: [], groups: {}, spill: [], config: 0 }

export const planFor = (input: AssignmentInput, change: PlanChange): Plan => {
  refuseUnknown(change, ["add", "remove", "groups"], "plan")
  const before = input.previous ?? nobody
  const members = changedMembers(input.members, change, input.kinds)
  const now = assignmentFor(input)
  const after = assignmentFor({ ...input, members, config: changedConfig(input.config, change, now.groups) })
  const moves = after.ownerOf.flatMap((to, shard): ReadonlyArray<PlannedMove> => {
    const from = before.ownerOf[shard] ?? ""
    return from === to ? [] : [{ shard, group: after.groupOf[shard] ?? "", from, to }]
  })
  const [had, has, hadGroup, hasGroup] = [before.ownerOf, after.ownerOf, before.groupOf, after.groupOf].map(counts) as [
    ReadonlyMap<string, number>,
    ReadonlyMap<string, number>,
    ReadonlyMap<string, number>,
    ReadonlyMap<string, number>,
  ]
  const everybody = new Map([...input.members, ...members])
  return {
    moves,
    moved: moves.filter(({ from }) => from !== "").length,
    groups: [...new Set([...Object.keys(before.groups), ...Object.keys(after.groups)])].sort().map((name) => ({
      name,
      weight: after.groups[name] ?? 0,
      before: hadGroup.get(name) ?? 0,
      after: hasGroup.get(name) ?? 0,
    })),
    workers: [...everybody.values()]
      .sort((a, b) => (a.session < b.session ? -1 : 1))
      .map(({ session, group, weight }) => ({ name: session, group, weight, before: had.get(session) ?? 0, after: has.get(session) ?? 0 })),
  }
}
