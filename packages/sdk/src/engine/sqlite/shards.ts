import type { ClaimItem, ClaimReply, ReleaseItem, ShardHeader, ShardOwner, ShardQueue, ShardStatus } from "../engine.ts"
import { appendAudit, refuse } from "./audit.ts"
import type { Tx } from "./calls.ts"
import { timeOfPlace } from "./place.ts"

/** O2: epochs count from here, so that they survive a stale copy and an emptied store. */
const epochOrigin = Date.UTC(2025, 0, 1)

const selectHeader = "SELECT session, epoch FROM shards WHERE pool = ? AND shard = ?"
const writeHeader = "INSERT OR REPLACE INTO shards (pool, shard, session, epoch) VALUES (?, ?, ?, ?)"
const selectActive = "SELECT address FROM runs WHERE pool = ? AND shard = ? AND phase = 1"
const countReady = "SELECT count(*) AS n FROM runs WHERE pool = ? AND shard = ? AND phase = 0"
const firstReady = "SELECT ready_seq FROM runs WHERE pool = ? AND shard = ? AND phase = 0 ORDER BY ready_seq LIMIT 1"
const countDue = "SELECT count(*) AS n FROM runs WHERE pool = ? AND shard = ? AND phase = 2 AND due IS NOT NULL AND due <= ?"
const countActive = "SELECT count(*) AS n FROM runs WHERE pool = ? AND shard = ? AND phase = 1"
const countOutbox = "SELECT count(*) AS n FROM outbox WHERE pool = ? AND shard = ?"
const firstDue = "SELECT due FROM runs WHERE pool = ? AND shard = ? AND phase = 2 AND due IS NOT NULL ORDER BY due LIMIT 1"

export const header = (tx: Tx, shard: number): ShardHeader => {
  const row = tx.one<{ session: string; epoch: number }>(selectHeader, tx.poolId, shard)
  return { shard, session: row?.session ?? "", epoch: row?.epoch ?? 0 }
}

/** The fence with which every worker verb begins (O3, E2). */
export const owns = (tx: Tx, owner: ShardOwner): boolean => {
  const { session, epoch } = header(tx, owner.shard)
  return session === owner.session && epoch === owner.epoch
}

const active = (tx: Tx, shard: number): ReadonlyArray<string> =>
  tx.all<{ address: string }>(selectActive, tx.poolId, shard).map((row) => row.address)

/** Earliest due time on the agenda, past ones included. */
export const nextDue = (tx: Tx, shard: number): number | undefined => tx.one<{ due: number }>(firstDue, tx.poolId, shard)?.due

/** O1, O2. */
export const claim = (tx: Tx, item: ClaimItem, auditLength: number): ClaimReply => {
  const { shard, session, from, knownEpoch } = item
  const stored = header(tx, shard)
  if (stored.session === from.session && stored.epoch === from.epoch) {
    const epoch = Math.max(stored.epoch + 1, tx.now - epochOrigin, knownEpoch + 1)
    tx.run(writeHeader, tx.poolId, shard, session, epoch)
    const before = { session: stored.session, epoch: stored.epoch }
    appendAudit(tx, shard, { type: "claim", at: tx.now, epoch, session, from: before, known: knownEpoch }, auditLength)
    return { status: "claimed", epoch, active: active(tx, shard) }
  }
  // My own header, newer than what I knew when I asked: this claim was granted before, and its reply was lost (E3).
  if (stored.session === session && stored.epoch > from.epoch && stored.epoch > knownEpoch) {
    return { status: "claimed", epoch: stored.epoch, active: active(tx, shard) }
  }
  return { status: "refused", header: stored }
}

export const release = (tx: Tx, owner: ReleaseItem, auditLength: number): "released" | "stale" => {
  const { shard, epoch } = owner
  const stored = header(tx, shard)
  if (stored.session === "" && stored.epoch === epoch) return "released"
  if (stored.session !== owner.session || stored.epoch !== epoch) return refuse(tx, owner, "release", stored)
  tx.run(writeHeader, tx.poolId, shard, "", epoch)
  appendAudit(tx, shard, { type: "release", at: tx.now, epoch, session: owner.session, writes: owner.writes }, auditLength)
  tx.hint({ type: "released", shard, epoch })
  return "released"
}

const waiting = (tx: Tx, shard: number): Pick<ShardQueue, "ready" | "due" | "oldest"> => {
  const ready = count(tx, countReady, shard)
  const readySince = ready === 0 ? undefined : timeOfPlace(tx.one<{ ready_seq: number }>(firstReady, tx.poolId, shard)?.ready_seq ?? null)
  const first = nextDue(tx, shard)
  if (first === undefined || first > tx.now) return { ready, due: 0, oldest: readySince }
  return { ready, due: count(tx, countDue, shard, tx.now), oldest: Math.min(first, readySince ?? first) }
}

const count = (tx: Tx, sql: string, ...given: ReadonlyArray<number>): number => tx.one<{ n: number }>(sql, tx.poolId, ...given)?.n ?? 0

/** Entries in the outbox (links.ts). */
export const outboxLength = (tx: Tx, shard: number): number => count(tx, countOutbox, shard)

export const queue = (tx: Tx, shard: number): ShardQueue => ({
  shard,
  ...waiting(tx, shard),
  active: count(tx, countActive, shard),
  now: tx.now,
})

export const status = (tx: Tx, shard: number): ShardStatus => ({
  ...header(tx, shard),
  ...waiting(tx, shard),
  active: active(tx, shard),
  nextDue: nextDue(tx, shard),
  outbox: outboxLength(tx, shard),
  now: tx.now,
})
