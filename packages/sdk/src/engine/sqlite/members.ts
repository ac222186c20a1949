/**
 * Sessions, their counters, and the assignment.
 *
 * A counter is the session's row plus the renewals that its life file counted (S9; in memory, or where there is no file, they count in the row).
 * A file cannot be written in the transaction of the row, so that a mark and a renewal go in steps:
 *
 *   mark:     M1 transaction: the counter is the given one (and the record) → `suspect` = counter.   renewal:  R1 count in the file.
 *             M2 transaction: `suspect` is still mine and the counter the given one → dead,                    R2 read the row: absent → dead;
 *                else take `suspect` back → refused.                                                              no suspect → alive; else
 *                                                                                                              R3 transaction: absent → dead,
 *                                                                                                                 else clear suspect → alive.
 * - I1 R1 before M1 reads the counter: M1 refuses.
 * - I2 R1 after that and before M2 reads the counter: M2 refuses, whatever R2 saw. (R2 between M1's reading and its commit sees no suspect and says
 *   alive: this is why M2 reads again.)
 * - I3 R1 after M2 has read the counter: M1 was committed before, so that R2 sees the suspect, or no row. R3 waits for M2's transaction and finds
 *   the row gone: dead. A renewal never says alive once M2 has decided.
 * - I4 R3 before M2: the suspect is gone, and M2 refuses also if it read a counter that had not moved.
 * - I5 Who marks dies, or is frozen, between M1 and M2: the next renewal clears the suspect. His late M2 finds none, or that of another counter.
 * - I6 Two mark at once: the same suspect; the first M2 wins, the second finds no row: dead as asked.
 * - I7 R1 cannot count (no file, another owner): the row counts and clears the suspect in one transaction, before M2 (refuses) or after it (dead).
 */
import type { AssignmentEntry, MarkReply, MemberEntry, RenewReply } from "../engine.ts"
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
  suspect: number | null
}

/** Renewals that the session's file has counted; 0 where there is none. */
export type RenewalsOf = (session: string) => number

const selectVersions = "SELECT member_version, assignment_version, assignment_members, assignment, incarnation FROM pools WHERE id = ?"
const bumpMembers = "UPDATE pools SET member_version = member_version + 1 WHERE id = ? RETURNING member_version"
const selectMember = "SELECT session, counter, record, suspect FROM members WHERE pool = ? AND session = ?"
const selectMembers = "SELECT session, counter, record FROM members WHERE pool = ? ORDER BY session"
const selectCounters = "SELECT session, counter, suspect FROM members WHERE pool = ?"
const insertMember = "INSERT INTO members (pool, session, counter, record) VALUES (?, ?, 1, ?)"
const setRecord = "UPDATE members SET record = ? WHERE pool = ? AND session = ?"
const count = "UPDATE members SET counter = counter + 1, suspect = NULL WHERE pool = ? AND session = ?"
const setSuspect = "UPDATE members SET suspect = ? WHERE pool = ? AND session = ?"
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

/** R2, or with `undefined` a reading (S2). `suspect`: the answer is not known before R3. */
export const readRenewal = (
  tx: Tx,
  session: string | undefined,
  renewalsOf: RenewalsOf,
): { readonly reply: RenewReply; readonly suspect: boolean } => {
  const counters = new Map<string, number>()
  let suspect = false
  for (const row of tx.all<Omit<MemberRow, "record">>(selectCounters, tx.poolId)) {
    counters.set(row.session, row.counter + renewalsOf(row.session))
    if (row.session === session) suspect = row.suspect !== null
  }
  const { member_version, assignment_version, incarnation } = versions(tx)
  // Whether the session lives is whether it still has a row (S1).
  const alive = session !== undefined && counters.has(session)
  const reply = { alive, counters, memberVersion: member_version, assignmentVersion: assignment_version, incarnation, now: tx.now }
  return { reply, suspect }
}

/** R3. */
export const clearSuspect = (tx: Tx, session: string): void => void tx.run(setSuspect, null, tx.poolId, session)

/** I7. */
export const countInRow = (tx: Tx, session: string): void => void tx.run(count, tx.poolId, session)

/** S3. A session that is gone already is dead as asked, so that a repetition gives the first answer (E3). */
export interface Mark {
  readonly session: string
  readonly counter: number
  readonly record: string | undefined
}
const isAsSeen = (row: MemberRow, mark: Mark, renewalsOf: RenewalsOf): boolean =>
  row.counter + renewalsOf(row.session) === mark.counter && (mark.record === undefined || row.record === mark.record)

/** M1. */
export const suspectMember = (tx: Tx, mark: Mark, renewalsOf: RenewalsOf): "gone" | "refused" | "suspect" => {
  const row = tx.one<MemberRow>(selectMember, tx.poolId, mark.session)
  if (row === undefined) return "gone"
  if (!isAsSeen(row, mark, renewalsOf)) return "refused"
  tx.run(setSuspect, mark.counter, tx.poolId, mark.session)
  return "suspect"
}

/** M2. */
export const markDead = (tx: Tx, mark: Mark, renewalsOf: RenewalsOf): MarkReply => {
  const row = tx.one<MemberRow>(selectMember, tx.poolId, mark.session)
  if (row === undefined) return "gone"
  if (row.suspect !== mark.counter) return "refused"
  if (!isAsSeen(row, mark, renewalsOf)) {
    clearSuspect(tx, mark.session)
    return "refused"
  }
  leave(tx, mark.session)
  return "marked"
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
