/** From the rows of a source to desired jobs by shard. One bad row is reported and never stops the others. */
import { setImmediate as turn } from "node:timers/promises"
import { PonosError } from "@ponos/sdk"
import { addressOf, type JobClientInternals, shardOf } from "@ponos/sdk/internal"
import type { DesiredJob } from "./plan.ts"
import type { Source, SourceRow } from "./sources/source.ts"
import { specOf, sumsOf } from "./spec.ts"

export interface DesiredEntry extends DesiredJob {
  /** The row. It is encoded again when an action needs it: most rows of most passes need none, and texts of a million would not be bounded. */
  readonly value: unknown
}

export interface DesiredShard {
  readonly jobs: Map<string, DesiredEntry>
  /** Addresses of rows that do not match the input type, but have a readable key: they count as desired. */
  readonly invalid: Set<string>
  /** Digest of `jobs`, as the store keeps it (K4). */
  readonly sums: [bigint, bigint]
}

export interface RowProblem {
  /** `invalid`: does not match the input type. `unreadable`: the key cannot be read either. `duplicate`: an earlier row has the key. */
  readonly type: "invalid" | "unreadable" | "duplicate"
  readonly position: string
  readonly key: string | undefined
  /** Path of the wrong field, "" for the row. */
  readonly path: string
  readonly message: string
}

export interface DesiredSet {
  readonly shards: ReadonlyMap<number, DesiredShard>
  readonly valid: number
  readonly invalid: number
  readonly unreadable: number
  readonly duplicates: number
  /** The first hundred. */
  readonly problems: ReadonlyArray<RowProblem>
  /** False: the source failed, or ended midway; then `error` says how. */
  readonly complete: boolean
  readonly error: string | undefined
}

export const maxProblems = 100
/** A pass must not hold the event loop (K3), ms. */
const sliceMs = 8

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

const pathOf = (error: unknown): string => {
  const path = error instanceof PonosError ? error.details["path"] : undefined
  return typeof path === "string" ? path : ""
}

/** What reading needs of a job client. */
export interface DesiredJobClient {
  readonly internals: JobClientInternals
  /** The key of key fields; throws when they are none. */
  readonly keyOf: (fields: Readonly<Record<string, unknown>>) => string
}

interface RowAddress {
  readonly key: string
  readonly address: string
  readonly shard: number
}

/** Address of a row that does not match the input type, if its key fields can be read. Numbers count: SQLite gives them for text. */
const addressOfRow = ({ internals, keyOf }: DesiredJobClient, shards: number, value: unknown): RowAddress | undefined => {
  if (typeof value !== "object" || value === null) return undefined
  const row = value as Readonly<Record<string, unknown>>
  const { kind, key: names } = internals.contract
  const fields: Record<string, unknown> = {}
  for (const name of names) {
    const field = row[name]
    fields[name] = typeof field === "number" || typeof field === "bigint" ? String(field) : field
  }
  try {
    const key = keyOf(fields)
    return { key, address: addressOf(kind, key), shard: shardOf(String(fields[names[0] ?? ""]), shards) }
  } catch {
    return undefined
  }
}

class Reader {
  readonly shards = new Map<number, DesiredShard>()
  readonly problems: Array<RowProblem> = []
  readonly counts = { valid: 0, invalid: 0, unreadable: 0, duplicate: 0 }
  readonly #job: DesiredJobClient
  readonly #shardCount: number

  constructor(job: DesiredJobClient, shardCount: number) {
    this.#job = job
    this.#shardCount = shardCount
  }

  add(row: SourceRow): void {
    if (row.error !== undefined) return this.#refuse(row, row.error)
    let prepared: ReturnType<JobClientInternals["prepare"]>
    try {
      prepared = this.#job.internals.prepare(row.value, this.#shardCount)
    } catch (error) {
      return this.#refuse(row, error)
    }
    const { address, key, input } = prepared
    const shard = this.#shard(prepared.shard)
    if (shard.jobs.has(address) || shard.invalid.has(address)) return this.#duplicate(row, key)
    const spec = specOf(input)
    const sums = sumsOf(address, spec)
    shard.jobs.set(address, { address, spec, value: row.value })
    shard.sums[0] += BigInt(sums[0])
    shard.sums[1] += BigInt(sums[1])
    this.counts.valid++
  }

  #shard(number: number): DesiredShard {
    let shard = this.shards.get(number)
    if (shard === undefined) this.shards.set(number, (shard = { jobs: new Map(), invalid: new Set(), sums: [0n, 0n] }))
    return shard
  }

  #refuse(row: SourceRow, error: unknown): void {
    const at = addressOfRow(this.#job, this.#shardCount, row.value)
    if (at !== undefined) {
      const shard = this.#shard(at.shard)
      if (shard.jobs.has(at.address) || shard.invalid.has(at.address)) return this.#duplicate(row, at.key)
      shard.invalid.add(at.address)
    }
    this.#report({
      type: at === undefined ? "unreadable" : "invalid",
      position: row.position,
      key: at?.key,
      path: pathOf(error),
      message: `${row.position}${at === undefined ? "" : ` (${at.key})`}: ${messageOf(error)}`,
    })
  }

  #duplicate(row: SourceRow, key: string): void {
    const message = `${row.position}: expected each key once, got ${JSON.stringify(key)} again. The first row counts: remove the others.`
    this.#report({ type: "duplicate", position: row.position, key, path: "", message })
  }

  #report(problem: RowProblem): void {
    this.counts[problem.type]++
    if (this.problems.length < maxProblems) this.problems.push(problem)
  }
}

/** Reads all rows. A source that fails is an answer too: what was read so far, marked as incomplete. */
export const readDesired = async (
  source: Source<unknown>,
  job: DesiredJobClient,
  shardCount: number,
  abortSignal?: AbortSignal,
): Promise<DesiredSet> => {
  const reader = new Reader(job, shardCount)
  let error: string | undefined
  let since = performance.now()
  try {
    for await (const row of source.rows()) {
      reader.add(row)
      if (performance.now() - since < sliceMs) continue
      await turn()
      abortSignal?.throwIfAborted()
      since = performance.now()
    }
  } catch (failure) {
    abortSignal?.throwIfAborted()
    error = `expected the desired ${source.name} to be read whole, got: ${messageOf(failure)}`
  }
  const { valid, invalid, unreadable, duplicate: duplicates } = reader.counts
  return { shards: reader.shards, valid, invalid, unreadable, duplicates, problems: reader.problems, complete: error === undefined, error }
}
