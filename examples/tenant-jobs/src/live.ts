/** What is going on, read from the workers' own records while they grow: who runs which tenant, who holds which shard, and what moved. */
import { closeSync, existsSync, openSync, readSync } from "node:fs"
import { parseRecords, type Timed, type WorkerRecord } from "./records.ts"

/** Reads what was added to a file of records since the last time. */
export const tailRecords = <R>(path: string): { read: () => Timed<R>[]; close: () => void } => {
  let file: number | undefined
  let rest = Buffer.alloc(0)
  const buffer = Buffer.allocUnsafe(65_536)
  return {
    read: () => {
      if (file === undefined && existsSync(path)) file = openSync(path, "r")
      if (file === undefined) return []
      const parts = [rest]
      for (let size = readSync(file, buffer); size > 0; size = readSync(file, buffer)) parts.push(Buffer.from(buffer.subarray(0, size)))
      const bytes = Buffer.concat(parts)
      const whole = bytes.lastIndexOf(10) + 1
      rest = bytes.subarray(whole)
      return parseRecords<R>(bytes.toString("utf8", 0, whole))
    },
    close: () => {
      if (file !== undefined) closeSync(file)
    },
  }
}

export interface Move {
  /** Time of the last claim in it. */
  t: bigint
  readonly to: string
  /** Shards by their former owner; "" when they had none. */
  readonly from: Map<string, number>
}

/** Claims of one worker within this time are shown as one move. */
const sameMoveNanos = 500_000_000n

export class Live {
  readonly #tails: { readonly worker: string; readonly read: () => Timed<WorkerRecord>[]; readonly close: () => void }[] = []
  /** Which worker began to run each tenant last. */
  readonly owners = new Map<string, string>()
  /** The label that the last run of each tenant saw. */
  readonly labels = new Map<string, string>()
  readonly shards = new Map<number, string>()
  readonly moves: Move[] = []
  /** When a shard was claimed last. */
  lastClaim = 0n

  watch(worker: string, path: string): void {
    this.#tails.push({ worker, ...tailRecords<WorkerRecord>(path) })
  }

  refresh(): void {
    const fresh = this.#tails.flatMap(({ worker, read }) => read().map((record) => ({ worker, record, t: BigInt(record.t) })))
    for (const { worker, record, t } of fresh.sort((a, b) => (a.t < b.t ? -1 : 1))) this.#apply(worker, record, t)
  }

  #apply(worker: string, record: WorkerRecord, t: bigint): void {
    if (record.type === "begin" && (record.handler === "run" || record.handler === "open")) {
      this.owners.set(record.tenant, worker)
      if (record.label !== undefined) this.labels.set(record.tenant, record.label)
    }
    if (record.type !== "shard" || (record.event !== "claimed" && record.event !== "rescued")) return
    const from = this.shards.get(record.shard)
    this.shards.set(record.shard, worker)
    this.lastClaim = t
    if (from === worker) return
    const known = this.moves.findLast((move) => move.to === worker && t - move.t < sameMoveNanos)
    const move = known ?? { t, to: worker, from: new Map<string, number>() }
    if (known === undefined) this.moves.push(move)
    move.t = t
    move.from.set(from ?? "", (move.from.get(from ?? "") ?? 0) + 1)
  }

  /** Shards held by each of these workers. */
  loads(workers: ReadonlyArray<string>): Map<string, number> {
    const loads = new Map(workers.map((worker) => [worker, 0]))
    for (const owner of this.shards.values()) if (loads.has(owner)) loads.set(owner, (loads.get(owner) ?? 0) + 1)
    return loads
  }

  /** Tenants that ran last on a worker. */
  tenantsOf(worker: string): string[] {
    return [...this.owners].flatMap(([tenant, owner]) => (owner === worker ? [tenant] : []))
  }

  close(): void {
    for (const { close } of this.#tails) close()
  }
}

/** `85 shards → w4 (w1 43, w2 42)` */
export const describeMove = ({ to, from }: Move): string => {
  const total = [...from.values()].reduce((a, b) => a + b, 0)
  const sources = [...from].filter(([worker]) => worker !== "").map(([worker, count]) => `${worker} ${count}`)
  return `${total} shards → ${to}${sources.length === 0 ? "" : ` (${sources.join(", ")})`}`
}
