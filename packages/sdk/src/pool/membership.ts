/** The members of a pool as a replicated map: session → record, revision = the member version of the store (A1). */
import type { Engine } from "../engine/engine.ts"
import { ReplicatedMap } from "../rmap/replicated-map.ts"
import { place, type Assignment } from "./placement.ts"
import type { PoolConfig } from "./pool-config.ts"
import { decodeRecord, encodeRecord, type MemberRecord } from "./record.ts"

export type Membership = ReplicatedMap<MemberRecord>

export const openMembership = (engine: Engine, pool: string): Membership =>
  new ReplicatedMap<MemberRecord>({
    async snapshot() {
      const { memberVersion, members } = await engine.members(pool)
      return { revision: memberVersion, entries: new Map(members.map((entry) => [entry.session, decodeRecord(entry.record)])) }
    },
    equal: (a, b) => encodeRecord(a) === encodeRecord(b),
    // A failover to a replica that was behind, or an emptied store (O4).
    mayGoBack: true,
  })

/** What placement reads of a member. */
export type Candidate = Pick<MemberRecord, "session" | "group" | "weight" | "kinds" | "leaving" | "groups" | "joinedAt">

/** Kinds of the pool that a worker does not serve (A2). */
export const lackingKinds = (member: Candidate, kinds: ReadonlyArray<string>): ReadonlyArray<string> =>
  kinds.filter((kind) => !member.kinds.includes(kind))

/** Those that may be given shards: not leaving (A5), and able to run whatever the pool holds (A2). */
export const placeable = <M extends Candidate>(members: Iterable<M>, kinds: ReadonlyArray<string>): ReadonlyArray<M> =>
  [...members].filter((member) => !member.leaving && lackingKinds(member, kinds).length === 0)

/**
 * The weights of groups: what the store says. Until groups are set there, what the youngest member says that says something, else as they
 * were.
 */
export const groupWeights = (
  members: Iterable<Candidate>,
  config: PoolConfig,
  previous: Assignment | undefined,
): Readonly<Record<string, number>> => {
  if (config.groups.size > 0) return Object.fromEntries([...config.groups].map(([name, { weight }]) => [name, weight]))
  let youngest: Candidate | undefined
  for (const member of members) {
    if (member.groups === undefined) continue
    if (
      youngest === undefined ||
      member.joinedAt > youngest.joinedAt ||
      (member.joinedAt === youngest.joinedAt && member.session > youngest.session)
    )
      youngest = member
  }
  return youngest?.groups ?? previous?.groups ?? {}
}

/** What an assignment is computed from. */
export interface AssignmentInput {
  readonly shards: number
  readonly members: ReadonlyMap<string, Candidate>
  readonly kinds: ReadonlyArray<string>
  readonly config: PoolConfig
  readonly previous: Assignment | undefined
}

export const assignmentFor = ({ shards, members, kinds, config, previous }: AssignmentInput): Assignment =>
  place({
    shards,
    members: placeable(members.values(), kinds),
    groups: groupWeights(members.values(), config, previous),
    spill: [...config.groups].flatMap(([name, { spill }]) => (spill ? [name] : [])),
    config: config.revision,
    previous,
  })
