import { randomUUID } from "node:crypto"
import { PoolMismatch } from "../../errors.ts"
import type { PoolInfo, PoolSettings } from "../engine.ts"
import type { Tx } from "./calls.ts"

interface PoolRow {
  shards: number | null
  incarnation: string
}

const select = "SELECT shards, incarnation FROM pools WHERE id = ?"
const settle = "UPDATE pools SET shards = ?, incarnation = ? WHERE id = ?"
const insertKind = "INSERT OR IGNORE INTO kinds (pool, kind) VALUES (?, ?)"
const selectKinds = "SELECT kind FROM kinds WHERE pool = ? ORDER BY kind"

/** A row of `pools` without settings belongs to a pool that was used before it was opened. */
export const poolInfo = (tx: Tx): PoolInfo | undefined => {
  const row = tx.one<PoolRow>(select, tx.poolId)
  return row === undefined || row.shards === null ? undefined : { shards: row.shards, incarnation: row.incarnation, now: tx.now }
}

export const openPool = (tx: Tx, settings: PoolSettings): PoolInfo => {
  const known = poolInfo(tx)
  if (known === undefined) {
    const incarnation = randomUUID()
    tx.run(settle, settings.shards, incarnation, tx.poolId)
    return { shards: settings.shards, incarnation, now: tx.now }
  }
  if (known.shards !== settings.shards) {
    throw new PoolMismatch(
      `expected pool "${tx.pool}" to have ${settings.shards} shards, got: ${known.shards}, as it was first opened. ` +
        `The number is fixed for the life of a pool: use shards: ${known.shards}, or another pool.`,
      { pool: tx.pool, expected: settings.shards, got: known.shards },
    )
  }
  return known
}

export const addKinds = (tx: Tx, kinds: ReadonlyArray<string>): void => {
  for (const kind of kinds) tx.run(insertKind, tx.poolId, kind)
}

export const kinds = (tx: Tx): ReadonlyArray<string> => tx.all<{ kind: string }>(selectKinds, tx.poolId).map((row) => row.kind)
