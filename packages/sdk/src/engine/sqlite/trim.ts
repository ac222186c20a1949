import type { ShardOwner } from "../engine.ts"
import { refuse } from "./audit.ts"
import type { Tx } from "./calls.ts"
import { header, owns } from "./shards.ts"

/** Deletions of one transaction (B2); a larger `limit` is cut to it, and the caller asks again. */
const trimLimit = 200

const trimRuns =
  "DELETE FROM runs WHERE id IN (SELECT id FROM runs WHERE pool = ? AND shard = ? AND phase = 3 AND expiry <= ? ORDER BY expiry, address DESC LIMIT ?)"
// not `?1` … `?4`: the node:sqlite of Node 22.18 binds no numbered parameters
const trimRequests =
  "DELETE FROM requests WHERE pool = ? AND shard = ? AND request IN " +
  "(SELECT request FROM requests WHERE pool = ? AND shard = ? AND expiry <= ? ORDER BY expiry, request LIMIT ?)"

/** Ended runs have no inbox and no journal any more: their end dropped them. */
export const trimShard = (tx: Tx, group: ShardOwner & { readonly limit: number }): number | "stale" => {
  if (!owns(tx, group)) return refuse(tx, group, "trim", header(tx, group.shard))
  const limit = Math.min(group.limit, trimLimit)
  const runs = tx.run(trimRuns, tx.poolId, group.shard, tx.now, limit)
  return runs + tx.run(trimRequests, tx.poolId, group.shard, tx.poolId, group.shard, tx.now, limit - runs)
}
