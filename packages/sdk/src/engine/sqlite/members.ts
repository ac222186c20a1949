import type { AssignmentEntry, MemberEntry, RenewReply } from "../engine.ts"
import type { Tx } from "./calls.ts"

interface VersionRow {
  member_version: number
  assignment_version: number
  assignment_members: number
  assignment: string
  incarnation: string
}
interface MemberRow {
  session: string
  counter: number
  record: string
}

const selectVersions = "SELECT member_version, assignment_version, assignment_members, assignment, incarnation FROM pools WHERE id = ?"
const bumpMembers = "UPDATE pools SET member_version = member_version + 1 WHERE id = ? RETURNING member_version"
const selectMember = "SELECT session, counter, record FROM members WHERE pool = ? AND session = ?"
const selectMembers = "SELECT session, counter, record FROM members WHERE pool = ? ORDER BY session"
const selectCounters = "SELECT session, counter FROM members WHERE pool = ?"
const insertMember = "INSERT INTO members (pool, session, counter, record) VALUES (?, ?, 1, ?)"
const setRecord = "UPDATE members SET record = ? WHERE pool = ? AND session = ?"
const beat = "UPDATE members SET counter = counter + 1 WHERE pool = ? AND session = ?"
const remove = "DELETE FROM members WHERE pool = ? AND session = ?"
const setAssignment =
  "UPDATE pools SET assignment_version = assignment_version + 1, assignment_members = ?, assignment = ? WHERE id = ? RETURNING assignment_version"

const noVersions: VersionRow = { member_version: 0, assignment_version: 0, assignment_members: 0, assignment: "", incarnation: "" }

const versions = (tx: Tx): VersionRow => tx.one<VersionRow>(selectVersions, tx.poolId) ?? noVersions

/** Every change of the list makes older computations of the assignment void (A1). */
const changed = (tx: Tx): number => {
  const version = tx.one<{ member_version: number }>(bumpMembers, tx.poolId)?.member_version ?? 0
  tx.text("members", String(version))
  return version
}

export const join = (tx: Tx, member: MemberEntry): { memberVersion: number } => {
  const known = tx.one<MemberRow>(selectMember, tx.poolId, member.session)
  if (known !== undefined) return { memberVersion: versions(tx).member_version }
  tx.run(insertMember, tx.poolId, member.session, member.record)
  return { memberVersion: changed(tx) }
}

export const updateMember = (tx: Tx, member: MemberEntry, from?: string): boolean => {
  const known = tx.one<MemberRow>(selectMember, tx.poolId, member.session)
  if (known === undefined) return false
  if (known.record === member.record) return true
  if (from !== undefined && known.record !== from) return false
  tx.run(setRecord, member.record, tx.poolId, member.session)
  changed(tx)
  return true
}

export const leave = (tx: Tx, session: string): void => {
  if (tx.run(remove, tx.poolId, session) > 0) changed(tx)
}

/** S2: whether the session lives is whether it still has a counter to increment (S1). */
export const renew = (tx: Tx, session: string | undefined): RenewReply => {
  const alive = session !== undefined && tx.run(beat, tx.poolId, session) > 0
  const counters = new Map<string, number>()
  for (const row of tx.all<Omit<MemberRow, "record">>(selectCounters, tx.poolId)) counters.set(row.session, row.counter)
  const { member_version, assignment_version, incarnation } = versions(tx)
  return { alive, counters, memberVersion: member_version, assignmentVersion: assignment_version, incarnation, now: tx.now }
}

/** S3. A session that is gone already is dead as asked, so that a repetition gives the first answer (E3). */
export const markDead = (tx: Tx, session: string, counter: number, record?: string): boolean => {
  const known = tx.one<MemberRow>(selectMember, tx.poolId, session)
  if (known === undefined) return true
  if (known.counter !== counter || (record !== undefined && known.record !== record)) return false
  leave(tx, session)
  return true
}

export const members = (tx: Tx): { memberVersion: number; members: ReadonlyArray<MemberEntry> } => ({
  memberVersion: versions(tx).member_version,
  members: tx.all<MemberRow>(selectMembers, tx.poolId).map(({ session, record }) => ({ session, record })),
})

export const assignment = (tx: Tx): AssignmentEntry => {
  const row = versions(tx)
  return { version: row.assignment_version, memberVersion: row.assignment_members, value: row.assignment }
}

/** A1: a late computer, whose list of members is not the current one, must not bring a dead worker back. */
export const assign = (tx: Tx, next: { expectVersion: number; memberVersion: number; value: string }): boolean => {
  const row = versions(tx)
  if (row.assignment_version === next.expectVersion + 1) {
    return row.assignment_members === next.memberVersion && row.assignment === next.value
  }
  if (row.assignment_version !== next.expectVersion || row.member_version !== next.memberVersion) return false
  const written = tx.one<{ assignment_version: number }>(setAssignment, next.memberVersion, next.value, tx.poolId)
  tx.text("members", String(written?.assignment_version))
  return true
}
