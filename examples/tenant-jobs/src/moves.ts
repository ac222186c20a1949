/**
 * How many shards moved when workers came and went, beside the smallest number possible. Pure.
 *
 * A move is a claim of a shard whose last owner was another worker; one that moves twice counts twice. The smallest number follows from the
 * loads before and the workers after: everybody ends with floor or ceil of the mean, the larger shares go to those who hold most, and
 * whatever a worker holds beyond its share, and all that a lost worker held, must move.
 *
 * It is computed for each change of the workers that the pool has seen, as its assignments tell. Two workers that are added together are one
 * change when they join within `settleMs`. On a busy machine they do not: then the shares of three workers are made before those of four, and
 * what the first needs moves again. What a change had not yet moved when the next one came is not asked of it.
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

/** A set of workers that the pool had shared its shards among, since `t`. */
interface Change {
  readonly t: bigint
  readonly workers: ReadonlyArray<string>
}

/** Those of all workers' assignments, in order of time; a session that no record names stands for itself. */
const assignmentsOf = (workers: Readonly<Record<string, ReadonlyArray<Timed<WorkerRecord>>>>): ReadonlyArray<Change> => {
  const names = new Map<string, string>()
  for (const [worker, records] of Object.entries(workers))
    for (const record of records) if (record.type === "joined") names.set(record.session, worker)
  return Object.values(workers)
    .flatMap((records) =>
      records.flatMap((record) =>
        record.type === "assigned"
          ? [{ t: BigInt(record.t), workers: record.workers.map((session) => names.get(session) ?? session) }]
          : [],
      ),
    )
    .toSorted(byTime)
}

const sameWorkers = (a: ReadonlyArray<string>, b: ReadonlyArray<string>): boolean => a.toSorted().join() === b.toSorted().join()

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
  const assignments = assignmentsOf(workers)
  const owners = new Map<number, string>()
  let [moved, ideal, next] = [0, 0, 0]
  /** Takes over what was claimed until then: how many of these were moves. */
  const claimUntil = (t: bigint): number => {
    let count = 0
    for (let claim = claims[next]; claim !== undefined && claim.t <= t; claim = claims[++next]) {
      if (owners.get(claim.shard) !== claim.worker) count += 1
      owners.set(claim.shard, claim.worker)
    }
    return count
  }
  for (const [index, state] of settled.entries()) {
    const previous = settled[index - 1]
    if (previous === undefined) {
      claimUntil(state.t)
      continue
    }
    const seen = assignments.filter(({ t }) => t > previous.t && t <= state.t)
    // The last one ends as the state says, also where who wrote it was killed before it could tell.
    const changes = [previous, ...seen, ...(sameWorkers(seen.at(-1)?.workers ?? [], state.workers) ? [] : [state])]
    const steps = changes.filter(({ workers: now }, at) => at > 0 && !sameWorkers(now, changes[at - 1]?.workers ?? []))
    for (const [at, step] of steps.entries()) {
      const least = idealMoves(loadsOf(owners), step.workers)
      const after = steps[at + 1]
      const claimed = claimUntil(after?.t ?? state.t)
      moved += claimed
      ideal += after === undefined ? least : Math.min(least, claimed)
    }
    moved += claimUntil(state.t)
  }
  return { moved, ideal, events: Math.max(0, settled.length - 1) }
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
