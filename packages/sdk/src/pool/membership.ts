/** The members of a pool as a replicated map: session → record, revision = the member version of the store (A1). */
import type { Engine } from "../engine/engine.ts"
import { ReplicatedMap } from "../rmap/replicated-map.ts"
import { place, type Assignment } from "./placement.ts"
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

/** Kinds of the pool that a worker does not serve (A2). */
export const lackingKinds = (member: MemberRecord, kinds: ReadonlyArray<string>): ReadonlyArray<string> =>
  kinds.filter((kind) => !member.kinds.includes(kind))

/** Those that may be given shards: not leaving (A5), and able to run whatever the pool holds (A2). */
export const placeable = (members: Iterable<MemberRecord>, kinds: ReadonlyArray<string>): ReadonlyArray<MemberRecord> =>
  [...members].filter((member) => !member.leaving && lackingKinds(member, kinds).length === 0)

/** The weights of groups: what the youngest member says that says something, else as they were. */
export const groupWeights = (members: Iterable<MemberRecord>, previous: Assignment | undefined): Readonly<Record<string, number>> => {
  let youngest: MemberRecord | undefined
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

export const assignmentFor = (
  shards: number,
  members: ReadonlyMap<string, MemberRecord>,
  kinds: ReadonlyArray<string>,
  previous: Assignment | undefined,
): Assignment => place({ shards, members: placeable(members.values(), kinds), groups: groupWeights(members.values(), previous), previous })
