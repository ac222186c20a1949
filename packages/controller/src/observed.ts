/** What runs now, read only where it differs from what is desired (K4). */
import { StoreUnavailable } from "@ponos/sdk"
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

/** A server of a cluster that has not answered by then is left to the next pass. */
const patienceMs = 1_000

/**
 * Digests of the shards, after their fences were raised to `fence` if one is given (K2). On a cluster each server by itself, and without the shards of
 * those that do not answer: their tenants wait for the next pass, and those of the others do not wait for them. A fence that arrives late is no
 * more than one that arrived.
 */
export const readDigests = async (
  target: Target,
  shards: ReadonlyArray<number>,
  fence: string | undefined,
): Promise<ReadonlyArray<ShardDigest>> => {
  const { engine, pool, controller } = target
  if (engine.serverOf === undefined) return await engine.digests(pool, controller, shards, fence)
  const parts = Map.groupBy(shards, (shard) => engine.serverOf?.(pool, shard) ?? "")
  const reading = [...parts.values()].map((part) => engine.digests(pool, controller, part, fence))
  const read = await Promise.all(reading.map((digests) => withinPatience(digests)))
  // there is nothing to go on with: as where there is one server
  if (read.every((digests) => digests === undefined)) return (await Promise.all(reading)).flat()
  return read.flatMap((digests) => digests ?? [])
}

const withinPatience = async (digests: Promise<ReadonlyArray<ShardDigest>>): Promise<ReadonlyArray<ShardDigest> | undefined> => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>((resolve) => (timer = setTimeout(resolve, patienceMs, undefined)))
  try {
    return await Promise.race([digests, late])
  } catch (error) {
    if (!StoreUnavailable.is(error)) throw error
    return undefined
  } finally {
    clearTimeout(timer)
  }
}

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
