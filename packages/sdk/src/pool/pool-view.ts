/** What can be read of a pool without being in it: who holds what, which jobs there are. */
import { AwayServers, unlisted } from "../engine/away-servers.ts"
import type { Engine, RunRecord } from "../engine/engine.ts"
import { payloadOf } from "./payload.ts"
import { decodeAssignment } from "./placement.ts"
import { decodeRecord } from "./record.ts"

/** The kind of all jobs of low-level pools: no definition can have this name. */
export const kind = "~"
const listPage = 100

export interface Owner {
  readonly shard: number
  /** Session id: `worker.id`. */
  readonly session: string
  /** Of the last claim of the shard. */
  readonly epoch: number
  /** False while the shard is on its way to the worker: it is assigned, and nobody holds it. */
  readonly held: boolean
  readonly group: string
  readonly host: string
  readonly pid: number
}

/** A worker of the pool, in whatever process. */
export interface WorkerInfo {
  readonly session: string
  readonly group: string
  readonly weight: number
  /** Shards that are assigned to it. */
  readonly shards: number
  /** It drains. */
  readonly leaving: boolean
  /** Epoch ms of the store's clock. */
  readonly joinedAt: number
  readonly host: string
  readonly pid: number
}

export interface JobInfo {
  readonly key: string
  readonly payload: Uint8Array
  /** `waiting` for a worker, or `running` on one. */
  readonly status: "waiting" | "running"
}

export const infoOf = ({ address, phase, body }: Pick<RunRecord, "address" | "phase" | "body">): JobInfo => ({
  key: address.slice(kind.length + 1),
  payload: payloadOf(body),
  status: phase === "active" ? "running" : "waiting",
})

/** Who holds the shard, or, while nobody does, who shall. */
export const ownerOfShard = async (engine: Engine, pool: string, shard: number): Promise<Owner | undefined> => {
  const [[header], assigned, { members }] = await Promise.all([
    engine.headers(pool, [shard]),
    engine.assignment(pool),
    engine.members(pool),
  ])
  const recordOf = (session: string | undefined) => members.find((entry) => entry.session === session)?.record
  const holder = recordOf(header?.session)
  const record = holder ?? recordOf(decodeAssignment(assigned.value)?.ownerOf[shard])
  if (record === undefined) return undefined
  const { session, group, host, pid } = decodeRecord(record)
  return { shard, session, epoch: header?.epoch ?? 0, held: holder !== undefined, group, host, pid }
}

export const workersOf = async (engine: Engine, pool: string): Promise<ReadonlyArray<WorkerInfo>> => {
  const [entry, { members }] = await Promise.all([engine.assignment(pool), engine.members(pool)])
  const ownerOf = decodeAssignment(entry.value)?.ownerOf ?? []
  return members.map(({ record }) => {
    const { session, group, weight, leaving, joinedAt, host, pid } = decodeRecord(record)
    return { session, group, weight, shards: ownerOf.filter((owner) => owner === session).length, leaving, joinedAt, host, pid }
  })
}

/** Shard by shard. The listing of those that answer is whole before it throws (away-servers.ts). */
export async function* jobsOf(engine: Engine, pool: string, shards: number): AsyncGenerator<JobInfo, void, undefined> {
  const away = new AwayServers(engine, pool)
  for (let shard = 0; shard < shards; shard++) {
    if (away.skips(shard)) continue
    try {
      yield* jobsOfShard(engine, pool, shard)
    } catch (error) {
      // What a consumer of this listing throws does not come here: it ends the generator.
      away.note(shard, error)
    }
  }
  if (away.unread.length > 0) throw unlisted("jobs", away.unread, shards, { pool }, away.cause)
}

async function* jobsOfShard(engine: Engine, pool: string, shard: number): AsyncGenerator<JobInfo, void, undefined> {
  let cursor = "0"
  // A page may repeat what an earlier one showed.
  const seen = new Set<string>()
  do {
    const page = await engine.list(pool, shard, cursor, listPage)
    cursor = page.cursor
    for (const record of page.runs) {
      const { address, run, phase } = record
      if (!address.startsWith(`${kind}/`) || phase === "ended" || seen.has(run)) continue
      seen.add(run)
      yield infoOf(record)
    }
  } while (cursor !== "0")
}
