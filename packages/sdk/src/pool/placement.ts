/**
 * Placement: which member shall hold which shard. A pure function, so that whoever computes it gets the same answer.
 *
 * Sticky consistent hashing with bounded load. Groups own sets of shards ("ranges") by weight; the members of a group share its range by
 * weight. Both levels work alike: quotas first, then all stay where they are within the quota, then the rest moves.
 *
 * - P1 Every shard belongs to exactly one group, and to one placed member of that group, or to nobody when the group has none.
 * - P2 A quota is the exact share rounded down or up: loads of equal weight in a group differ by at most one (P6 of the design).
 * - P3 A shard moves only if its holder is gone, or has more than its quota, or its group has: no assignment within P2 moves fewer.
 * - P4 Where a homeless shard goes is decided by its ring: an order of all members by hash of (shard, session), the first with room. Where two
 *   members hold too much, each keeps the shards on whose ring it stands first.
 * - P5 A group without members keeps its range, with nobody on it; or, if it spills, with the members of all groups on it, who share it by
 *   weight until one of its own comes. A group of weight 0 has no range, and its members hold nothing.
 * - P6 The order in which members are listed does not matter.
 */
import { hash32 } from "../key.ts"

export interface PlacedMember {
  readonly session: string
  readonly group: string
  readonly weight: number
}

export interface Assignment {
  /** Group by shard. */
  readonly groupOf: ReadonlyArray<string>
  /** Session by shard, "" for nobody. */
  readonly ownerOf: ReadonlyArray<string>
  /** Weights of the groups, for those who compute the next one. */
  readonly groups: Readonly<Record<string, number>>
  /** Groups that spill. */
  readonly spill: ReadonlyArray<string>
  /** Revision of the pool's configuration from which it was computed (pool-config.ts); 0: of none. */
  readonly config: number
}

export interface PlacementInput {
  readonly shards: number
  readonly members: ReadonlyArray<PlacedMember>
  /** Weight by group. Groups of members that are not listed count with weight 1. */
  readonly groups: Readonly<Record<string, number>>
  readonly spill?: ReadonlyArray<string>
  readonly config?: number
  readonly previous: Assignment | undefined
}

/** A claimant of shards on one level: a group, or a member of one. */
interface Holder {
  readonly id: string
  readonly weight: number
  /** hash32 of the id, for the ring. */
  readonly point: number
  held: number
  quota: number
}

const holder = (id: string, weight: number): Holder => ({ id, weight, point: hash32(id), held: 0, quota: 0 })

const byId = (a: { readonly id: string }, b: { readonly id: string }): number => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)

/** Splits `total` by weight (P2); the odd ones go first to those who already hold more than their share, so that they stay (P3). */
const setQuotas = (holders: ReadonlyArray<Holder>, total: number): void => {
  const sum = holders.reduce((all, one) => all + one.weight, 0)
  if (sum === 0) return
  let rest = total
  const order: Array<{ readonly id: string; readonly one: Holder; readonly fraction: number }> = []
  for (const one of holders) {
    if (one.weight === 0) {
      one.quota = 0
      continue
    }
    // Integers only: a float product would let two members of equal weight round apart.
    one.quota = Math.floor((total * one.weight) / sum)
    rest -= one.quota
    order.push({ id: one.id, one, fraction: (total * one.weight) % sum })
  }
  order.sort((a, b) => Number(b.one.held > b.one.quota) - Number(a.one.held > a.one.quota) || b.fraction - a.fraction || byId(a, b))
  for (let i = 0; i < rest; i++) {
    const next = order[i % order.length]
    if (next !== undefined) next.one.quota++
  }
}

/** Place of a holder on the ring of a shard: weighted rendezvous, so that room is found in proportion to weight. Larger is nearer. */
const nearness = (shard: number, one: Holder): number => {
  let hash = one.point ^ Math.imul(shard + 1, 0x9e3779b1)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  hash = (hash ^ (hash >>> 16)) >>> 0
  return one.weight / -Math.log((hash + 1) / 4294967297)
}

/** The ring of a shard: all holders, nearest first. */
const ring = (shard: number, holders: ReadonlyArray<Holder>): ReadonlyArray<Holder> =>
  [...holders].sort((a, b) => nearness(shard, b) - nearness(shard, a) || byId(a, b))

const nearest = (shard: number, holders: ReadonlyArray<Holder>): Holder | undefined => {
  let best: Holder | undefined
  let most = -1
  for (const one of holders) {
    if (one.held >= one.quota) continue
    const near = nearness(shard, one)
    if (near > most || (near === most && best !== undefined && one.id < best.id)) {
      best = one
      most = near
    }
  }
  return best
}

/** Those of `shards` that `one` keeps least willingly: it stands far back on their ring (P4). */
const farthest = (shards: ReadonlyArray<number>, one: Holder, count: number): ReadonlyArray<number> =>
  count <= 0 ? [] : [...shards].sort((a, b) => nearness(a, one) - nearness(b, one) || a - b).slice(0, count)

/** The shards of a range by holder; those without a placed one under "". */
const byOwner = (
  range: Iterable<number>,
  ownerOf: ReadonlyArray<string>,
  members: ReadonlyMap<string, Holder>,
): Map<string, Array<number>> => {
  const held = new Map<string, Array<number>>([["", []]])
  for (const id of members.keys()) held.set(id, [])
  for (const shard of range) {
    const list = held.get(ownerOf[shard] ?? "") ?? held.get("")
    list?.push(shard)
  }
  return held
}

/** What a group gives away when its range shrinks: shards that nobody holds, then what its members would have too much of (P3). */
const surplus = (
  group: Holder,
  range: ReadonlyArray<number>,
  members: ReadonlyMap<string, Holder>,
  ownerOf: ReadonlyArray<string>,
): ReadonlyArray<number> => {
  const count = range.length - group.quota
  if (count <= 0) return []
  const held = byOwner(range, ownerOf, members)
  for (const one of members.values()) one.held = held.get(one.id)?.length ?? 0
  setQuotas([...members.values()], group.quota)
  const free = held.get("") ?? []
  const excess = [...members.values()].flatMap((one) => farthest(held.get(one.id) ?? [], one, one.held - one.quota))
  return [...farthest(free, group, count), ...excess].slice(0, count)
}

/** Shares a group's range among its members. */
const shareRange = (range: ReadonlyArray<number>, members: ReadonlyMap<string, Holder>, ownerOf: Array<string>): void => {
  const held = byOwner(range, ownerOf, members)
  for (const one of members.values()) one.held = held.get(one.id)?.length ?? 0
  setQuotas([...members.values()], range.length)
  const homeless = held.get("") ?? []
  for (const one of members.values()) {
    const excess = farthest(held.get(one.id) ?? [], one, one.held - one.quota)
    homeless.push(...excess)
    one.held -= excess.length
  }
  const all = [...members.values()]
  for (const shard of homeless.sort((a, b) => a - b)) {
    const next = nearest(shard, all)
    ownerOf[shard] = next?.id ?? ""
    if (next !== undefined) next.held++
  }
}

/** Members by group, in the order of their ids. */
const byGroup = (placed: ReadonlyArray<PlacedMember>): Map<string, Map<string, Holder>> => {
  const members = new Map<string, Map<string, Holder>>()
  for (const member of [...placed].sort((a, b) => byId({ id: a.session }, { id: b.session }))) {
    const group = members.get(member.group) ?? new Map<string, Holder>()
    group.set(member.session, holder(member.session, member.weight))
    members.set(member.group, group)
  }
  return members
}

/** Who may hold shards of a group: its members, or, while it has none and spills, those of all groups that have a range (P5). */
const candidates = (
  group: string,
  members: ReadonlyMap<string, ReadonlyMap<string, Holder>>,
  { groups, spill }: Pick<Assignment, "groups" | "spill">,
): ReadonlyMap<string, Holder> => {
  const own = members.get(group)
  if (own !== undefined) return own
  if (!spill.includes(group)) return new Map()
  return new Map([...members].flatMap(([other, some]) => ((groups[other] ?? 1) > 0 ? [...some] : [])))
}

/** A shard whose assignee is not `present`, and for which there is one among those that may be `placed`: it is placed at once (A3). */
export const hasOrphans = (
  assignment: Assignment,
  placed: ReadonlyArray<PlacedMember>,
  present: { has(session: string): boolean } = new Set(placed.map((member) => member.session)),
): boolean => {
  const members = byGroup(placed)
  const homes = new Map(Object.keys(assignment.groups).map((group) => [group, candidates(group, members, assignment)]))
  return assignment.ownerOf.some((owner, shard) => !present.has(owner) && (homes.get(assignment.groupOf[shard] ?? "")?.size ?? 0) > 0)
}

/** Who claims a shard when its assignee does not, in this order (A4): the ring of its candidates, without the assignee. */
export const heirs = (assignment: Assignment, placed: ReadonlyArray<PlacedMember>, shard: number): ReadonlyArray<string> => {
  const some = candidates(assignment.groupOf[shard] ?? "", byGroup(placed), assignment)
  return ring(shard, [...some.values()]).flatMap(({ id }) => (id === assignment.ownerOf[shard] ? [] : [id]))
}

export const place = (input: PlacementInput): Assignment => {
  const { shards, previous, spill = [], config = 0 } = input
  const weights = new Map(Object.entries(input.groups))
  const members = byGroup(input.members)
  for (const group of members.keys()) if (!weights.has(group)) weights.set(group, 1)
  const groups = [...weights].map(([id, weight]) => holder(id, weight)).sort(byId)
  const ranges = new Map<string, Array<number>>(groups.map((group) => [group.id, []]))
  const homeless: Array<number> = []
  for (let shard = 0; shard < shards; shard++) {
    const range = ranges.get(previous?.groupOf[shard] ?? "")
    ;(range ?? homeless).push(shard)
  }
  const ownerOf = Array.from({ length: shards }, (_, shard) => previous?.ownerOf[shard] ?? "")
  for (const group of groups) group.held = ranges.get(group.id)?.length ?? 0
  setQuotas(groups, shards)
  for (const group of groups) {
    const range = ranges.get(group.id) ?? []
    const leaving = new Set(surplus(group, range, members.get(group.id) ?? new Map(), ownerOf))
    homeless.push(...leaving)
    group.held -= leaving.size
    ranges.set(
      group.id,
      range.filter((shard) => !leaving.has(shard)),
    )
  }
  for (const shard of homeless.sort((a, b) => a - b)) {
    const group = nearest(shard, groups)
    if (group === undefined) continue
    ranges.get(group.id)?.push(shard)
    group.held++
  }
  const groupOf = Array.from({ length: shards }, () => "")
  if (groups.every(({ weight }) => weight === 0)) ownerOf.fill("")
  const shares = { groups: Object.fromEntries(groups.map((group) => [group.id, group.weight])), spill: [...spill].sort() }
  const spilled: Array<number> = []
  for (const [id, range] of ranges) {
    for (const shard of range) groupOf[shard] = id
    if (members.has(id) || !spill.includes(id)) shareRange(range, members.get(id) ?? new Map(), ownerOf)
    else spilled.push(...range)
  }
  const [first = ""] = spilled.map((shard) => groupOf[shard] ?? "")
  // All that spills is shared as one range, so that its loads too differ by at most one.
  if (spilled.length > 0) shareRange(spilled, candidates(first, members, shares), ownerOf)
  return { groupOf, ownerOf, ...shares, config }
}

/** How many shards have a holder in both and another one in the second. */
export const moves = (before: Assignment, after: Assignment): number =>
  after.ownerOf.reduce((count, owner, shard) => count + Number((before.ownerOf[shard] ?? "") !== "" && before.ownerOf[shard] !== owner), 0)

/** Sessions and groups as lists, shards as indices into them: 256 shards are about 1.5 KB. */
export const encodeAssignment = (assignment: Assignment): string => {
  const sessions = [...new Set(assignment.ownerOf)].filter((session) => session !== "").sort()
  const groups = Object.keys(assignment.groups)
  const sessionIndex = new Map(sessions.map((session, index) => [session, index]))
  const groupIndex = new Map(groups.map((group, index) => [group, index]))
  return JSON.stringify({
    groups: assignment.groups,
    spill: assignment.spill,
    config: assignment.config,
    sessions,
    group: assignment.groupOf.map((group) => groupIndex.get(group) ?? -1),
    owner: assignment.ownerOf.map((session) => sessionIndex.get(session) ?? -1),
  })
}

export const decodeAssignment = (value: string): Assignment | undefined => {
  if (value === "") return undefined
  const wire = JSON.parse(value) as {
    readonly groups: Readonly<Record<string, number>>
    /** Since groups are part of the pool's configuration. */
    readonly spill?: ReadonlyArray<string>
    readonly config?: number
    readonly sessions: ReadonlyArray<string>
    readonly group: ReadonlyArray<number>
    readonly owner: ReadonlyArray<number>
  }
  const groups = Object.keys(wire.groups)
  return {
    groups: wire.groups,
    spill: wire.spill ?? [],
    config: wire.config ?? 0,
    groupOf: wire.group.map((index) => groups[index] ?? ""),
    ownerOf: wire.owner.map((index) => wire.sessions[index] ?? ""),
  }
}
