/** The audit of a whole pool, as it is read from a store, saved to a file, and checked. */
import { appendFile, readFile, writeFile } from "node:fs/promises"
import type { AuditEntry, OwnerName } from "../engine/audit.ts"
import type { Engine } from "../engine/engine.ts"
import { BadOption, PoolNotFound } from "../errors.ts"

/** Runs of a shard in the store that were last written under one epoch. */
export interface WrittenRuns {
  readonly epoch: number
  readonly runs: number
  readonly example: string
}

export interface ShardAudit {
  readonly shard: number
  /** Read together with the last entries. */
  readonly header: OwnerName
  readonly entries: ReadonlyArray<AuditEntry>
  /** Read before the entries. */
  readonly written: ReadonlyArray<WrittenRuns>
}

export interface PoolAudit {
  readonly pool: string
  readonly store: string
  /** Another one than before: the store was emptied, and every audit began anew. */
  readonly incarnation: string
  /** Store time. */
  readonly readAt: number
  readonly shards: ReadonlyArray<ShardAudit>
}

const pageLimit = 200
const runsPage = 500

/** The epoch of a revision that an owner gave (shard-runner.ts); undefined for that of a start or of a client's verb. */
export const epochOf = (revision: string): number | undefined => {
  const [, epoch] = /^([0-9a-z]+)\.[0-9a-z]+$/.exec(revision) ?? []
  return epoch === undefined ? undefined : Number.parseInt(epoch, 36)
}

const readWritten = async (engine: Engine, pool: string, shard: number): Promise<ReadonlyArray<WrittenRuns>> => {
  const found = new Map<number, WrittenRuns>()
  let cursor = "0"
  do {
    const page = await engine.list(pool, shard, cursor, runsPage)
    cursor = page.cursor
    for (const { address, revision } of page.runs) {
      const epoch = epochOf(revision)
      if (epoch === undefined) continue
      const known = found.get(epoch)
      found.set(epoch, { epoch, runs: (known?.runs ?? 0) + 1, example: known?.example ?? address })
    }
  } while (cursor !== "0")
  return [...found.values()].toSorted((a, b) => a.epoch - b.epoch)
}

const readShard = async (engine: Engine, pool: string, shard: number): Promise<ShardAudit> => {
  // Runs first: whoever wrote them has claimed by then, so that the entries, read later, tell of it.
  const written = await readWritten(engine, pool, shard)
  const entries: AuditEntry[] = []
  for (;;) {
    const [page] = await engine.audit(pool, [{ shard, after: entries.at(-1)?.number ?? 0, limit: pageLimit }])
    if (page === undefined) return { shard, header: { session: "", epoch: 0 }, entries, written }
    entries.push(...page.entries)
    const { session, epoch } = page.header
    if (!page.more) return { shard, header: { session, epoch }, entries, written }
  }
}

/** The pool may be at work meanwhile. */
export const readPoolAudit = async (engine: Engine, pool: string): Promise<PoolAudit> => {
  const info = await engine.poolInfo(pool)
  if (info === undefined)
    throw new PoolNotFound(`expected a pool "${pool}" on ${engine.url}, got none: a worker makes it when it joins first`, { pool })
  const shards: ShardAudit[] = []
  for (let shard = 0; shard < info.shards; shard++) shards.push(await readShard(engine, pool, shard))
  return { pool, store: engine.url, incarnation: info.incarnation, readAt: info.now, shards }
}

const form = "ponos-audit-1"

/** One line for the pool, then one a shard, so that two files can be compared line by line. */
export const saveAudit = async (path: string, { shards, ...pool }: PoolAudit): Promise<void> => {
  await writeFile(path, `${JSON.stringify({ form, ...pool })}\n`)
  for (const shard of shards) await appendFile(path, `${JSON.stringify(shard)}\n`)
}

export const parseAudit = (text: string, name: string): PoolAudit => {
  const refuse = (got: string, cause?: unknown): never => {
    throw new BadOption(`expected ${name} to be a file that ponos verify --save wrote, got: ${got}`, { path: name }, cause)
  }
  const lines = text.split("\n").filter((line) => line.trim() !== "")
  const parsed = lines.map((line, n): unknown => {
    try {
      return JSON.parse(line)
    } catch (error) {
      return refuse(`line ${n + 1} that is no JSON`, error)
    }
  })
  const [pool, ...shards] = parsed as [(Omit<PoolAudit, "shards"> & { readonly form?: string }) | undefined, ...ShardAudit[]]
  if (pool?.form !== form) return refuse(`a first line with form ${JSON.stringify(pool?.form)}, not "${form}"`)
  for (const [n, shard] of shards.entries())
    if (typeof shard?.shard !== "number" || !Array.isArray(shard.entries) || !Array.isArray(shard.written))
      refuse(`line ${n + 2} of no shard`)
  const { form: _, ...rest } = pool
  return { ...rest, shards }
}

export const loadAudit = async (path: string): Promise<PoolAudit> => {
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    throw new BadOption(`expected ${path} to be a file that can be read, got: ${(error as Error).message}`, { path }, error)
  })
  return parseAudit(text, path)
}
