import type { ShardDigest } from "../engine.ts"
import type { Tx } from "./calls.ts"
import type { RunHead } from "./runs.ts"

interface DigestRow {
  fence: string
  live: number
  sum_a: string
  sum_b: string
}

const select = "SELECT fence, live, sum_a, sum_b FROM digests WHERE pool = ? AND shard = ? AND controller = ?"
const write = "INSERT OR REPLACE INTO digests (pool, shard, controller, fence, live, sum_a, sum_b) VALUES (?, ?, ?, ?, ?, ?, ?)"

const none: DigestRow = { fence: "", live: 0, sum_a: "0", sum_b: "0" }

const digestOf = (tx: Tx, shard: number, controller: string): DigestRow => tx.one<DigestRow>(select, tx.poolId, shard, controller) ?? none

const store = (tx: Tx, shard: number, controller: string, row: DigestRow): void => {
  tx.run(write, tx.poolId, shard, controller, row.fence, row.live, row.sum_a, row.sum_b)
}

/** K2: false when the shard has seen a higher fence of this controller; a higher one is kept. Fences have 19 digits: they compare as text. */
export const acceptFence = (
  tx: Tx,
  shard: number,
  control: { readonly controller: string; readonly fence: string } | undefined,
): boolean => {
  if (control === undefined) return true
  const digest = digestOf(tx, shard, control.controller)
  if (control.fence < digest.fence) return false
  if (control.fence > digest.fence) store(tx, shard, control.controller, { ...digest, fence: control.fence })
  return true
}

const change = (tx: Tx, shard: number, controller: string, sign: 1 | -1, sums: readonly [number, number]): void => {
  const digest = digestOf(tx, shard, controller)
  const sum = (text: string, by: number): string => String(BigInt(text) + BigInt(sign * by))
  const [a, b] = sums
  store(tx, shard, controller, { fence: digest.fence, live: digest.live + sign, sum_a: sum(digest.sum_a, a), sum_b: sum(digest.sum_b, b) })
}

/** K4: a controlled run began to live with these sums. */
export const addToDigest = (
  tx: Tx,
  shard: number,
  control: { readonly controller: string; readonly sums: readonly [number, number] },
): void => change(tx, shard, control.controller, 1, control.sums)

/** K4: a run ended, or its spec is about to be replaced. */
export const removeFromDigest = (tx: Tx, shard: number, run: RunHead): void => {
  if (run.controller !== null) change(tx, shard, run.controller, -1, [run.sum_a ?? 0, run.sum_b ?? 0])
}

export const readDigest = (tx: Tx, shard: number, controller: string, fence: string | undefined): ShardDigest => {
  if (fence !== undefined) acceptFence(tx, shard, { controller, fence })
  const row = digestOf(tx, shard, controller)
  return { shard, fence: row.fence, count: row.live, sums: [row.sum_a, row.sum_b] }
}
