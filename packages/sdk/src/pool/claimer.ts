/**
 * Makes what this session holds equal to what the assignment gives it: gives up what went to others, claims what is free (O1).
 *
 * A shard is free when its header names nobody, or me (from before an outage), or a session that is absent from counters that were read
 * AFTER the header: one that joined and claimed in between must not be taken for dead. All else is waited for: a `released` hint, a
 * change of members, or the sweep calls `evaluate` again.
 *
 * O4: a header that is older than one that was seen here, or none where there was one, is of a store that was rolled back or emptied. Who held
 * the shard may still be within its trust, and the header does not name it: only its holder claims such a shard at once, all others when
 * every lease is over. Where nobody ever was, the pool's incarnation is compared: the whole store may have been emptied.
 */
import type { ClaimItem, Engine, ShardHeader } from "../engine/engine.ts"
import { coalesce } from "./loop.ts"
import { ServerTurns } from "./server-turns.ts"

export interface ClaimerHost {
  readonly engine: Engine
  readonly pool: string
  readonly session: string
  /** Trust is open and the session is neither draining nor stopped. */
  readonly mayClaim: () => boolean
  /** Shards that are assigned to this session, and neither held nor being given up. */
  readonly wanted: () => ReadonlyArray<number>
  readonly giveUpForeign: () => void
  readonly listen: (shards: ReadonlyArray<number>) => Promise<void>
  readonly onClaimed: (shard: number, epoch: number, active: ReadonlyArray<string>, from: ShardHeader) => void
  /** The store does not know this session, or is another one than it joined. */
  readonly onForgotten: () => void
  readonly incarnation: string
  readonly clock: () => number
  /** When every lease that was open at a moment is over, ms. */
  readonly graceMs: () => number
  readonly onFault: (error: unknown) => void
}

/** Between rounds after a failed call, or while headers change under the claims. */
const retryMs = 50

export class Claimer {
  readonly #host: ClaimerHost
  /** Highest epoch known by shard (O2). */
  readonly #epochs = new Map<number, number>()
  /** The epochs with which this session claimed. */
  readonly #own = new Map<number, number>()
  /** Shards whose headers went back: since when that is known. */
  readonly #back = new Map<number, number>()
  /** Headers that were told by a hint or by a refusal: worth one try without reading them again. */
  readonly #told = new Map<number, ShardHeader>()
  #timer: NodeJS.Timeout | undefined
  /** All wanted shards are to be looked at, not only those that were told. */
  #all = false
  #stopped = false
  readonly #turn: () => void
  readonly #rounds: ServerTurns

  constructor(host: ClaimerHost) {
    this.#host = host
    const onFault = (error: unknown): void => {
      host.onFault(error)
      this.#later()
    }
    this.#turn = coalesce(() => this.#round(), onFault)
    this.#rounds = new ServerTurns({ engine: host.engine, pool: host.pool, onFault, onFree: this.evaluate })
  }

  /** Looks at all shards that this session shall hold. */
  readonly evaluate = (): void => {
    this.#all = true
    this.#turn()
  }

  /** A header was seen. */
  note(header: ShardHeader): void {
    if (header.epoch > this.#epochOf(header.shard)) this.#epochs.set(header.shard, header.epoch)
  }

  released(shard: number, epoch: number): void {
    const header = { shard, session: "", epoch }
    this.note(header)
    this.#told.set(shard, header)
    // In a hand-over the others are still held: to read their headers now would make this one wait.
    this.#turn()
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }

  #later(): void {
    if (this.#stopped) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(this.evaluate, retryMs)
  }

  async #round(): Promise<void> {
    if (this.#stopped) return
    const all = this.#all
    this.#all = false
    this.#host.giveUpForeign()
    const wanted = this.#host.wanted().filter((shard) => all || this.#told.has(shard))
    if (wanted.length === 0 || !this.#host.mayClaim()) return
    // On a cluster each server by itself: what an orphan is on, and what is down, are two things.
    await this.#rounds.run(
      wanted,
      (shard) => shard,
      (some) => this.#claim(some),
    )
  }

  async #claim(wanted: ReadonlyArray<number>): Promise<void> {
    const { engine, pool, session } = this.#host
    await this.#host.listen(wanted)
    const headers = await this.#headers(wanted)
    const doubtful = headers.some(({ session: holder, epoch }) => (holder !== "" && holder !== session) || epoch === 0)
    const reading = doubtful ? await engine.renew(pool, undefined) : undefined
    // Read AFTER the headers: if it is the same store now, it was when they were read.
    if (reading !== undefined && (reading.incarnation !== this.#host.incarnation || !reading.counters.has(session)))
      return this.#host.onForgotten()
    const living = reading?.counters
    const free = headers.filter(
      (header) => (header.session === "" || header.session === session || living?.has(header.session) === false) && !this.#mustWait(header),
    )
    // Read again: it may have changed while the calls ran.
    const still = new Set(this.#host.mayClaim() ? this.#host.wanted() : [])
    const items = free.filter((header) => still.has(header.shard)).map((header) => this.#item(header))
    if (items.length === 0) return
    const replies = await engine.claim(pool, items)
    let moved = false
    for (const [i, reply] of replies.entries()) {
      const item = items[i]
      if (item === undefined) continue
      if (reply.status === "refused") {
        this.note(reply.header)
        this.#told.set(item.shard, reply.header)
        moved = true
        continue
      }
      this.note({ shard: item.shard, session, epoch: reply.epoch })
      this.#own.set(item.shard, reply.epoch)
      this.#host.onClaimed(item.shard, reply.epoch, reply.active, { shard: item.shard, ...item.from })
    }
    if (moved) this.#later()
    // An assignment that came meanwhile may have taken some of these away again.
    this.#host.giveUpForeign()
  }

  async #headers(wanted: ReadonlyArray<number>): Promise<ReadonlyArray<ShardHeader>> {
    const headers: Array<ShardHeader> = []
    const unknown: Array<number> = []
    for (const shard of wanted) {
      const told = this.#told.get(shard)
      if (told === undefined || told.epoch < this.#epochOf(shard)) unknown.push(shard)
      else headers.push(told)
      this.#told.delete(shard)
    }
    if (unknown.length > 0) headers.push(...(await this.#host.engine.headers(this.#host.pool, unknown)))
    for (const header of headers) this.note(header)
    return headers
  }

  #epochOf(shard: number): number {
    return this.#epochs.get(shard) ?? 0
  }

  #mustWait({ shard, epoch }: ShardHeader): boolean {
    const known = this.#epochOf(shard)
    if (epoch >= known || this.#own.get(shard) === known) {
      this.#back.delete(shard)
      return false
    }
    const at = this.#host.clock()
    const since = this.#back.get(shard) ?? at
    this.#back.set(shard, since)
    // The sweep evaluates again.
    return at - since < this.#host.graceMs()
  }

  #item({ shard, session: holder, epoch }: ShardHeader): ClaimItem {
    return { shard, session: this.#host.session, from: { session: holder, epoch }, knownEpoch: this.#epochOf(shard) }
  }
}
