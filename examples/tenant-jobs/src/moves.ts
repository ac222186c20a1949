/**
 * How many shards moved when workers came and went, beside the smallest number possible. Pure.
 *
 * A move is a claim of a shard whose last owner was another worker; one that moves twice counts twice. The smallest number follows from the
 * loads before and the workers after: everybody ends with floor or ceil of the mean, the larger shares go to those who hold most, and
 * whatever a worker holds beyond its share, and all that a lost worker held, must move.
 */
import type { ScriptRecord, Timed, WorkerRecord } from "./records.ts"

export interface ShardMoves {
  readonly moved: number
  readonly ideal: number
  /** Changes of the set of workers that were followed. */
  readonly events: number
}

interface Claim {
  readonly t: bigint
  readonly worker: string
  readonly shard: number
}

/** Pool events by which a worker gains a shard. */
const gains: ReadonlySet<string> = new Set(["claimed", "rescued"])

const byTime = (a: { readonly t: bigint }, b: { readonly t: bigint }): number => (a.t < b.t ? -1 : a.t > b.t ? 1 : 0)

/** The claims of all workers in order of time. */
export const claimsOf = (workers: Readonly<Record<string, ReadonlyArray<Timed<WorkerRecord>>>>): Claim[] =>
  Object.entries(workers)
    .flatMap(([worker, records]) =>
      records.flatMap((record) =>
        record.type === "shard" && gains.has(record.event) ? [{ t: BigInt(record.t), worker, shard: record.shard }] : [],
      ),
    )
    .toSorted(byTime)

/** Counts from each settled state to the next. */
export const shardMoves = ({
  workers,
  script,
}: {
  readonly workers: Readonly<Record<string, ReadonlyArray<Timed<WorkerRecord>>>>
  readonly script: ReadonlyArray<Timed<ScriptRecord>>
}): ShardMoves => {
  const settled = script.flatMap((record) => (record.type === "settled" ? [{ t: BigInt(record.t), workers: record.workers }] : []))
  const claims = claimsOf(workers)
  const owners = new Map<number, string>()
  let [moved, ideal, events, next] = [0, 0, 0, 0]
  for (const [index, state] of settled.entries()) {
    const before = loadsOf(owners)
    for (let claim = claims[next]; claim !== undefined && claim.t <= state.t; claim = claims[++next]) {
      if (index > 0 && owners.get(claim.shard) !== claim.worker) moved += 1
      owners.set(claim.shard, claim.worker)
    }
    if (index === 0) continue
    events += 1
    ideal += idealMoves(before, state.workers)
  }
  return { moved, ideal, events }
}

const loadsOf = (owners: ReadonlyMap<number, string>): Map<string, number> => {
  const loads = new Map<string, number>()
  for (const owner of owners.values()) loads.set(owner, (loads.get(owner) ?? 0) + 1)
  return loads
}

/** The smallest number of moves from these loads to a balanced assignment over the workers `after`. */
export const idealMoves = (before: ReadonlyMap<string, number>, after: ReadonlyArray<string>): number => {
  const total = [...before.values()].reduce((a, b) => a + b, 0)
  const share = Math.floor(total / after.length)
  const larger = total % after.length
  const held = after.map((worker) => before.get(worker) ?? 0).toSorted((a, b) => b - a)
  const kept = held.reduce((sum, load, index) => sum + Math.min(load, share + (index < larger ? 1 : 0)), 0)
  return total - kept
}
