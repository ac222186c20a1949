/** The audit of a shard (../audit.ts): one row an entry, JSON. */
import { refusalsKept } from "../audit.ts"
import type { AuditEntry, AuditPage, OwnerName, RefusedVerb } from "../audit.ts"
import type { ShardHeader, ShardOwner } from "../engine.ts"
import type { Tx } from "./calls.ts"

const pageLimit = 200

const newest = "SELECT number FROM audit WHERE pool = ? AND shard = ? ORDER BY number DESC LIMIT 1"
const insert = "INSERT INTO audit (pool, shard, number, entry) VALUES (?, ?, ?, ?)"
const trim = "DELETE FROM audit WHERE pool = ? AND shard = ? AND number <= ?"
const latest = "SELECT entry FROM audit WHERE pool = ? AND shard = ? ORDER BY number DESC LIMIT ?"
const update = "UPDATE audit SET entry = ? WHERE pool = ? AND shard = ? AND number = ?"
const page = "SELECT entry FROM audit WHERE pool = ? AND shard = ? AND number > ? ORDER BY number LIMIT ?"

type WithoutNumber<Entry> = Entry extends unknown ? Omit<Entry, "number"> : never
type NewEntry = WithoutNumber<AuditEntry>
type Refusal = Extract<AuditEntry, { readonly type: "refused" }>

/** Numbered without gaps. `keep`: how many entries remain; absent: as many as there are. */
export const appendAudit = (tx: Tx, shard: number, entry: NewEntry, keep?: number): void => {
  const number = (tx.one<{ number: number }>(newest, tx.poolId, shard)?.number ?? 0) + 1
  tx.run(insert, tx.poolId, shard, number, JSON.stringify({ number, ...entry }))
  if (keep !== undefined) tx.run(trim, tx.poolId, shard, number - keep)
}

const parse = ({ entry }: { readonly entry: string }): AuditEntry => {
  const parsed = JSON.parse(entry) as AuditEntry
  return parsed.type === "release" ? { ...parsed, writes: parsed.writes } : parsed
}

const write = (tx: Tx, shard: number, entry: Refusal): void => {
  tx.run(update, JSON.stringify(entry), tx.poolId, shard, entry.number)
}

/**
 * Answers a stale write (O3). Nothing but the audit changes: the first of (verb, session, epoch) since the last claim or release gets an entry,
 * in which later ones are counted, as long as there are less than `refusalsKept`.
 */
export const refuse = (tx: Tx, { shard, session, epoch }: ShardOwner, verb: RefusedVerb, header: OwnerName): "stale" => {
  const recent = tx.all<{ entry: string }>(latest, tx.poolId, shard, refusalsKept).map(parse)
  const other = recent.findIndex(({ type }) => type !== "refused")
  const refusals = (other < 0 ? recent : recent.slice(0, other)) as Refusal[]
  const same = refusals.find((one) => one.verb === verb && one.session === session && one.epoch === epoch)
  const last = refusals[0]
  if (same !== undefined) write(tx, shard, { ...same, count: same.count + 1, last: tx.now })
  else if (last !== undefined && refusals.length >= refusalsKept) write(tx, shard, { ...last, others: last.others + 1 })
  else {
    const of = { session: header.session, epoch: header.epoch }
    appendAudit(tx, shard, { type: "refused", at: tx.now, epoch, session, verb, header: of, count: 1, last: tx.now, others: 0 })
  }
  return "stale"
}

export const readAudit = (
  tx: Tx,
  item: { readonly shard: number; readonly after: number; readonly limit: number },
  header: ShardHeader,
): AuditPage => {
  const limit = Math.min(item.limit, pageLimit)
  const found = tx.all<{ entry: string }>(page, tx.poolId, item.shard, item.after, limit + 1)
  return { header, entries: found.slice(0, limit).map(parse), more: found.length > limit }
}
