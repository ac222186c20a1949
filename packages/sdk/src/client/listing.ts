/** Runs of one kind, page by page: the store is read in small steps, none of which holds it up. */
import { AwayServers } from "../engine/away-servers.ts"
import { BadOption } from "../errors.ts"
import { splitAddress } from "../key.ts"
import { parseBody } from "../runtime/body.ts"
import type { ClientCore } from "./core.ts"
import { factsOf } from "./facts.ts"
import type { ListFilter, Listed, Page } from "./options.ts"

const stepMax = 200
/** Of records, a look; what is more is sent in smaller ones. */
const stepBytes = 256 * 1024

/** How many runs a look at the store asks for: few at first, since nobody knows how large they are; each may have a payload of a megabyte. */
export class Pace {
  #step = 10

  step(limit: number): number {
    return Math.max(1, Math.min(this.#step, limit))
  }

  found(runs: ReadonlyArray<{ readonly body: string; readonly outcome: string | undefined }>): void {
    const bytes = runs.reduce((sum, { body, outcome = "" }) => sum + body.length + outcome.length, 0)
    const each = bytes / Math.max(1, runs.length)
    this.#step = Math.max(1, Math.min(stepMax, this.#step * 2, Math.floor(stepBytes / Math.max(1, each))))
  }
}

const isOneOf = <A>(wanted: A | ReadonlyArray<A> | undefined, found: A | undefined): boolean =>
  wanted === undefined || (found !== undefined && [wanted].flat().includes(found as never))

const matches = (filter: ListFilter, run: Listed): boolean => {
  const { labels = {}, blocked, updatedAfter, updatedBefore } = filter
  const at = run.updatedAt?.getTime()
  return (
    isOneOf(filter.phase, run.phase) &&
    isOneOf(filter.outcome, run.outcome) &&
    (blocked === undefined || (run.blocked !== undefined) === blocked) &&
    (updatedAfter === undefined || (at !== undefined && at > updatedAfter.getTime())) &&
    (updatedBefore === undefined || (at !== undefined && at < updatedBefore.getTime())) &&
    Object.entries(labels).every(([name, text]) => run.labels[name] === text)
  )
}

/** A cursor is "shard:place in it", in letters that go into an address. */
const print = (shard: number, place: string): string => Buffer.from(`${shard}:${place}`).toString("base64url")
const parse = (cursor: string): readonly [shard: number, place: string] => {
  if (cursor === "") return [0, "0"]
  const [, shard = "", place = ""] = /^(\d{1,4}):(.+)$/s.exec(Buffer.from(cursor, "base64url").toString()) ?? []
  if (place === "") throw new BadOption(`expected cursor to be that of an earlier page, got: ${JSON.stringify(cursor)}`, { cursor })
  return [Number(shard), place]
}

/**
 * One page of about `limit`; `cursor` "" begins. Shards of a server that does not answer are left out and named
 * (away-servers.ts).
 */
export const readPage = async (
  core: ClientCore,
  kind: string,
  filter: ListFilter,
  cursor: string,
  limit: number,
  pace: Pace,
): Promise<Page> => {
  const engine = await core.engine()
  const shards = await core.shards()
  const away = new AwayServers(engine, core.pool)
  const runs: Array<Listed> = []
  let [shard, place] = parse(cursor)
  const next = (): void => {
    shard++
    place = "0"
  }
  while (shard < shards) {
    if (away.skips(shard)) {
      next()
      continue
    }
    try {
      const page = await engine.list(core.pool, shard, place, pace.step(limit))
      pace.found(page.runs)
      for (const run of page.runs) {
        const address = splitAddress(run.address)
        if (address.kind !== kind) continue
        const listed = { key: address.key, ...factsOf(run, parseBody(run.body)) }
        if (matches(filter, listed)) runs.push(listed)
      }
      place = page.cursor
      if (place === "0") next()
    } catch (error) {
      away.note(shard, error)
      next()
    }
    if (runs.length >= limit) break
  }
  return { runs, cursor: shard < shards ? print(shard, place) : undefined, shardsUnknown: away.unread }
}
