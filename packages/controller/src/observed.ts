/** What runs now, read only where it differs from what is desired (K4). */
import type { Engine, RunRecord, ShardDigest } from "@ponos/sdk/internal"
import type { DesiredShard } from "./desired.ts"
import type { ObservedRun } from "./plan.ts"

export interface Target {
  readonly engine: Engine
  readonly pool: string
  readonly kind: string
  readonly controller: string
}

export interface ShardObservation {
  readonly observed: ReadonlyArray<ObservedRun>
  /** Runs of this controller that ended by themselves and are retained: address → run. */
  readonly ended: ReadonlyMap<string, string>
}

/** Done or failed: a run that was cancelled or terminated ended by somebody's wish, and may be started again at once. */
const endedByItself = (outcome: string | undefined): boolean => {
  try {
    const { type } = JSON.parse(outcome ?? "{}") as { readonly type?: string }
    return type === "done" || type === "failed"
  } catch {
    return false
  }
}

/** Runs of one page. */
const pageSize = 1_000

/** Do the stored digest and the desired set of a shard agree? Rows without a spec are in no digest: their shards are listed. */
export const agrees = (digest: ShardDigest, desired: DesiredShard | undefined): boolean => {
  if (desired === undefined) return digest.count === 0
  if (desired.invalid.size > 0 || digest.count !== desired.jobs.size) return false
  return BigInt(digest.sums[0]) === desired.sums[0] && BigInt(digest.sums[1]) === desired.sums[1]
}

/** Runs of one shard that matter to this controller: its own, and others at desired addresses. */
export const observeShard = async (target: Target, shard: number, desired: DesiredShard | undefined): Promise<ShardObservation> => {
  const prefix = `${target.kind}/`
  const observed: Array<ObservedRun> = []
  const ended = new Map<string, string>()
  const add = ({ address, run, phase, control, outcome }: RunRecord): void => {
    // a controller of that name for another kind is another controller: hands off
    if (!address.startsWith(prefix)) return
    const own = control?.controller === target.controller
    if (phase === "ended") {
      if (own && endedByItself(outcome)) ended.set(address, run)
    } else if (own || desired?.jobs.has(address) === true || desired?.invalid.has(address) === true)
      observed.push({ address, run, spec: control?.spec ?? "", owner: control?.controller ?? "" })
  }
  let cursor = "0"
  do {
    const page = await target.engine.list(target.pool, shard, cursor, pageSize)
    for (const run of page.runs) add(run)
    cursor = page.cursor
  } while (cursor !== "0")
  return { observed, ended }
}
