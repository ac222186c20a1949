/**
 * Does the audit of a pool prove that no two epochs of a shard wrote in the same interval? A pure function of what was read; it trusts no
 * clock but the store's, and no order but that of the entries' numbers.
 *
 * An accepted write compares the shard's header in the script or transaction in which it writes (O3), and an entry is written in the one that
 * changes the header. So an epoch can write only between its claim and the next claim or its release, and this must hold:
 *
 * - V1 Entries are numbered without gaps: nothing in between is missing.
 * - V2 The epochs of claims grow, strictly.
 * - V3 A claim is from the header that the entries before it left: there is no owner of which the audit does not know.
 * - V4 A release is by the owner of that moment, who has not released before.
 * - V5 What a release tells of its epoch's writes lies between its claim and itself.
 * - V6 A refused write was stale, and the header that it met is the one that the entries before it left.
 * - V7 The header in the store is what the last entry left.
 * - V8 No run in the store was written under an epoch above the header's, nor under one that nobody claimed.
 *
 * What is no violation but limits the proof, or tells of an accident, is a note.
 */
import type { AuditEntry, OwnerName } from "../engine/audit.ts"
import type { PoolAudit, ShardAudit } from "./pool-audit.ts"

export type Invariant = "V1" | "V2" | "V3" | "V4" | "V5" | "V6" | "V7" | "V8"

export interface Violation {
  readonly invariant: Invariant
  readonly shard: number
  readonly text: string
}

export interface AuditNote {
  readonly type: "trimmed" | "begins late" | "emptied" | "clock"
  readonly shards: number
  readonly text: string
}

export interface AuditVerdict {
  readonly ok: boolean
  readonly pool: string
  readonly store: string
  readonly incarnation: string
  readonly shards: number
  readonly claims: number
  /** Claims from a session that did not release. */
  readonly rescues: number
  readonly releases: number
  /** Writes of stale owners, all refused. */
  readonly refused: number
  /** Epochs whose writes are bounded by what their release told; the others by their claim and the next. */
  readonly intervals: number
  readonly violations: ReadonlyArray<Violation>
  readonly notes: ReadonlyArray<AuditNote>
}

type Claim = Extract<AuditEntry, { readonly type: "claim" }>
type Report = (invariant: Invariant, text: string) => void

const named = ({ session, epoch }: OwnerName): string => (session === "" ? `nobody (epoch ${epoch})` : `${session} with epoch ${epoch}`)
const same = (a: OwnerName, b: OwnerName): boolean => a.session === b.session && a.epoch === b.epoch

/** Walks over one shard's entries. The header before the first is known only when nothing has left the audit. */
class Walk {
  header: OwnerName | undefined
  claim: Claim | undefined
  readonly claims: Claim[] = []
  last: AuditEntry | undefined
  steppedBack = 0
  readonly #report: Report

  constructor(report: Report) {
    this.#report = report
  }

  enter(entry: AuditEntry): void {
    const { last } = this
    if (last !== undefined && entry.number !== last.number + 1)
      this.#report("V1", `expected entry ${last.number + 1} after ${last.number}, got ${entry.number}`)
    if (last !== undefined && entry.at < last.at) this.steppedBack = Math.max(this.steppedBack, last.at - entry.at)
    if (entry.type === "claim") this.#claim(entry)
    else if (entry.type === "release") this.#release(entry)
    else this.#refused(entry)
    this.last = entry
  }

  #claim(entry: Claim): void {
    const { header } = this
    const newest = this.claims.at(-1)
    if (header !== undefined && !same(header, entry.from))
      this.#report("V3", `entry ${entry.number}: ${named(entry)} claimed from ${named(entry.from)}, but the owner was ${named(header)}`)
    const floor = Math.max(newest?.epoch ?? 0, entry.from.epoch)
    if (entry.epoch <= floor) this.#report("V2", `entry ${entry.number}: ${named(entry)} does not grow over epoch ${floor}`)
    this.claims.push(entry)
    this.claim = entry
    this.header = { session: entry.session, epoch: entry.epoch }
  }

  #release(entry: Extract<AuditEntry, { readonly type: "release" }>): void {
    const { header, claim } = this
    if (header !== undefined && !same(header, entry))
      this.#report("V4", `entry ${entry.number}: ${named(entry)} released what belonged to ${named(header)}`)
    this.header = { session: "", epoch: entry.epoch }
    const { writes } = entry
    if (writes === undefined) return
    const text = `entry ${entry.number}: ${named(entry)} wrote ${writes.count} times from ${writes.first} to ${writes.last}`
    if (writes.first > writes.last || writes.count < 1) this.#report("V5", `${text}, which is no interval`)
    if (claim?.epoch === entry.epoch && writes.first < claim.at) this.#report("V5", `${text}, before its claim at ${claim.at}`)
    if (writes.last > entry.at) this.#report("V5", `${text}, after its release at ${entry.at}`)
  }

  #refused(entry: Extract<AuditEntry, { readonly type: "refused" }>): void {
    const { header } = this
    if (same(entry, entry.header))
      this.#report("V6", `entry ${entry.number}: a ${entry.verb} of ${named(entry)} was refused, who was the owner`)
    if (header !== undefined && !same(header, entry.header))
      this.#report("V6", `entry ${entry.number}: a ${entry.verb} met ${named(entry.header)}, but the owner was ${named(header)}`)
    this.header ??= entry.header
  }
}

const checkWritten = ({ header, written }: ShardAudit, { claims }: Walk, report: Report): void => {
  const known = new Set(claims.map(({ epoch }) => epoch))
  const oldest = claims[0]
  for (const { epoch, runs, example } of written) {
    const text = `${runs} runs (${example}) were written under epoch ${epoch}`
    if (epoch > header.epoch) report("V8", `${text}, above ${header.epoch} of the header`)
    else if (oldest !== undefined && epoch > oldest.from.epoch && !known.has(epoch)) report("V8", `${text}, which nobody claimed`)
  }
}

/** The store forgot something that a worker knew. */
const isForgotten = (entry: AuditEntry): boolean =>
  entry.type === "claim" ? entry.known > entry.from.epoch : entry.type === "refused" && entry.epoch > entry.header.epoch

/** Shards of which a note speaks, by its type. */
type Noted = Map<AuditNote["type"], Set<number>>

const checkShard = (shard: ShardAudit, violations: Violation[], noted: Noted): number => {
  const { entries, header } = shard
  const note = (type: AuditNote["type"]): void => void noted.set(type, (noted.get(type) ?? new Set()).add(shard.shard))
  const report: Report = (invariant, text) => void violations.push({ invariant, shard: shard.shard, text })
  const walk = new Walk(report)
  const first = entries[0]
  if (first !== undefined && first.number > 1) note("trimmed")
  // A store that was written before there were audits has a header, and no entry of it.
  else if (first?.type === "claim" && first.from.epoch > 0) note("begins late")
  else if (first === undefined && header.epoch > 0) note("begins late")
  else walk.header = first?.type === "refused" ? first.header : { session: "", epoch: 0 }
  for (const entry of entries) walk.enter(entry)
  if (walk.header !== undefined && !same(walk.header, header))
    report("V7", `the header names ${named(header)}, but the last entry left ${named(walk.header)}`)
  checkWritten(shard, walk, report)
  if (walk.steppedBack > 0) note("clock")
  if (entries.some(isForgotten)) note("emptied")
  return walk.steppedBack
}

const noteTexts: Readonly<Record<AuditNote["type"], string>> = {
  trimmed: "older entries have left the audit: it proves what it still holds",
  "begins late": "the audit is younger than the shard: it proves what came since",
  emptied: "a worker knew a higher epoch than the store: the store was emptied or rolled back",
  clock: "the store's clock stepped back",
}

export const checkAudit = ({ pool, store, incarnation, shards }: PoolAudit): AuditVerdict => {
  const violations: Violation[] = []
  const noted: Noted = new Map()
  let back = 0
  for (const shard of shards) back = Math.max(back, checkShard(shard, violations, noted))
  const entries = shards.flatMap((shard) => shard.entries)
  const claims = entries.filter((entry) => entry.type === "claim")
  const releases = entries.filter((entry) => entry.type === "release")
  const refusals = entries.filter((entry) => entry.type === "refused")
  return {
    ok: violations.length === 0,
    pool,
    store,
    incarnation,
    shards: shards.length,
    claims: claims.length,
    rescues: claims.filter(({ from, session }) => from.session !== "" && from.session !== session).length,
    releases: releases.length,
    refused: refusals.reduce((sum, { count, others }) => sum + count + others, 0),
    intervals: releases.filter(({ writes }) => writes !== undefined).length,
    violations,
    notes: [...noted].map(([type, of]) => ({
      type,
      shards: of.size,
      text: type === "clock" ? `${noteTexts.clock} by ${back} ms at most` : noteTexts[type],
    })),
  }
}

const shownMax = 20

/** The verdict for people. */
export const verdictText = (verdict: AuditVerdict): string => {
  const { ok, pool, store, shards, claims, rescues, releases, refused, intervals, violations, notes } = verdict
  const lines = [
    `pool ${pool} on ${store}: ${shards} shards`,
    `  ${claims} claims (${rescues} rescues), ${releases} releases (${intervals} tell when they wrote), ${refused} stale writes refused`,
    ...notes.map(({ shards: of, text }) => `  note: ${of} shards: ${text}`),
    ...violations.slice(0, shownMax).map(({ invariant, shard, text }) => `  ✗ ${invariant} shard ${shard}: ${text}`),
    ...(violations.length > shownMax ? [`  ✗ and ${violations.length - shownMax} more`] : []),
    ok
      ? "✓ ok: no two epochs of a shard wrote in the same interval"
      : `✗ NOT OK: ${violations.length} violations; V1-V8 are explained in docs/chaos.md`,
  ]
  return lines.join("\n")
}
