/**
 * The slow cycle that proves what hints only promise (W7): finds ready and due runs, active runs that nobody executes (a lost reply, W1),
 * executing runs that were ended (a lost `terminated` hint), headers that name this session wrongly (O1), shards that nobody claims (A4);
 * and trims. On a cluster each server by itself (server-turns.ts).
 */
import { setTimeout as delay } from "node:timers/promises"
import type { Address, Engine, ShardHeader, ShardStatus } from "../engine/engine.ts"
import type { ShardConsumer } from "./consumer.ts"
import type { PoolEvent } from "./events.ts"
import { startLoop, type Loop } from "./loop.ts"
import { ServerTurns } from "./server-turns.ts"
import type { ShardRunner } from "./shard-runner.ts"
import type { WorkerStats } from "./stats/worker-stats.ts"

export interface SweeperHost {
  readonly engine: Engine
  readonly pool: string
  readonly session: string
  readonly shards: number
  readonly sweepMs: number
  readonly consumer: ShardConsumer
  readonly stats: WorkerStats
  readonly runners: ReadonlyMap<number, ShardRunner>
  readonly clock: () => number
  readonly ownerOf: (shard: number) => string
  /** The shard is held, being given up, or being claimed by this session. */
  readonly concerned: (shard: number) => boolean
  /** Who may claim a shard in place of its assignee, in this order. */
  readonly heirs: (shard: number) => ReadonlyArray<string>
  readonly standIn: (shard: number) => void
  readonly need: (runner: ShardRunner) => void
  readonly arm: (runner: ShardRunner) => void
  readonly onStale: (runner: ShardRunner) => void
  /** How many share the pool's shards. */
  readonly members: () => number
  /** A header was seen. */
  readonly note: (header: ShardHeader) => void
  readonly evaluate: () => void
  readonly trusted: () => boolean
  readonly emit: (event: PoolEvent) => void
  readonly onFault: (error: unknown) => void
}

/** All headers are read on each n-th sweep. */
const headersEvery = 5
/**
 * Shards of one call where a call may span them, and the pause after it, as a part of the time between two sweeps. All 256 at once hold up what else
 * the server and this thread have to do by 4 ms (measured: the 99th percentile of start to handler was made of that).
 */
const callShards = 32
const restPart = 1 / 50
/** Shards that a pool asks for a second where each is a call of its own (W7). */
const callsPerSecond = 32
/** A trim: at most so many shards and items (B2); when a round over all shards found nothing, only on each n-th sweep. */
const trimShards = 8
const trimItems = 200
const trimIdleEvery = 10
const unclaimedMs = 1_000

export class Sweeper {
  readonly #host: SweeperHost
  readonly #loop: Loop
  readonly #proofs: ServerTurns
  readonly #headers: ServerTurns
  readonly #trims: ServerTurns
  /** To be asked out of turn: answers of theirs were lost. */
  readonly #doubted = new Set<ShardRunner>()
  /** Asked, and not answered since. */
  readonly #unanswered = new Set<ShardRunner>()
  /** As each was seen last: for what waits in all of them. */
  readonly #statuses = new Map<number, ShardStatus>()
  #turn = 0
  #everything = false
  #hurried = false
  #stopped = false
  #proveAt = 0
  #headersAt = 0
  #trimAt = 0
  #trimmed = 0
  #trimIdle = false
  /** Shards seen without a living holder: since when, and at which epoch. */
  readonly #unclaimed = new Map<number, { readonly epoch: number; readonly since: number; reported: boolean }>()

  constructor(host: SweeperHost) {
    this.#host = host
    this.#proofs = new ServerTurns(host)
    this.#headers = new ServerTurns(host)
    this.#trims = new ServerTurns(host)
    this.#loop = startLoop(host.sweepMs, () => this.#sweep(), host.onFault)
  }

  /** Sweeps now. `everything`: all headers too, after the store itself was lost (O1). */
  hurry(everything = false): void {
    this.#everything ||= everything
    this.#hurried = true
    this.#loop.hurry()
  }

  /** Sweeps now: an answer of the store about these shards was lost. */
  doubt(runners: ReadonlyArray<ShardRunner>): void {
    for (const runner of runners) this.#doubted.add(runner)
    this.#loop.hurry()
  }

  /** A new assignment: whether all of it is claimed is looked at with the next sweep, where that is one call. */
  proveClaims(): void {
    this.#everything ||= this.#host.engine.spansShards
  }

  stop(): void {
    this.#stopped = true
    this.#loop.stop()
  }

  async #sweep(): Promise<void> {
    if (!this.#host.trusted()) return
    this.#turn++
    this.#host.evaluate()
    const headers = this.#everything || this.#unclaimed.size > 0 || this.#turn % headersEvery === 0
    // Where calls are counted, one of the two at a time.
    if (this.#host.engine.spansShards || this.#hurried || this.#doubted.size > 0 || !headers) await this.#prove()
    if (this.#stopped) return
    if (headers) await this.#readHeaders()
    if (!this.#trimIdle || this.#turn % trimIdleEvery === 0) await this.#trim()
  }

  /** All of them; or, where each is a call of its own, the next ones in turn, as many as this member may ask for. */
  #some<T>(all: ReadonlyArray<T>, at: number, everything: boolean): ReadonlyArray<T> {
    const { engine, sweepMs, members } = this.#host
    if (engine.spansShards || everything) return all
    const share = Math.max(1, Math.floor((callsPerSecond * sweepMs) / 1_000 / Math.max(1, members())))
    const from = all.length === 0 ? 0 : at % all.length
    return [...all.slice(from), ...all.slice(0, from)].slice(0, share)
  }

  async #prove(): Promise<void> {
    const open = [...this.#host.runners.values()].filter((runner) => !runner.closing)
    const unhurried = !this.#hurried
    const next = this.#some(open, this.#proveAt, this.#hurried)
    const asked = new Set([...next, ...open.filter((runner) => this.#doubted.has(runner))])
    this.#hurried = false
    this.#doubted.clear()
    this.#proveAt += next.length
    for (const shard of this.#statuses.keys()) if (!this.#host.runners.has(shard)) this.#statuses.delete(shard)
    if (asked.size === 0) return this.#host.stats.swept([])
    for (const runner of asked) this.#unanswered.add(runner)
    try {
      const all = [...asked]
      // elsewhere each shard is a call anyway, and each server has its turn
      const size = this.#host.engine.spansShards ? callShards : all.length
      for (let at = 0; at < all.length; at += size) {
        if (at > 0 && unhurried) await this.#rest()
        if (this.#stopped) break
        await this.#proofs.run(
          all.slice(at, at + size),
          (runner) => runner.shard,
          (some) => this.#proveThese(some),
        )
      }
    } finally {
      for (const runner of this.#unanswered) if (runner.closing) this.#unanswered.delete(runner)
      this.#host.stats.unanswered = this.#unanswered.size
    }
  }

  /** Unless somebody waits for the next sweep. */
  async #rest(): Promise<void> {
    if (this.#hurried || this.#doubted.size > 0 || this.#stopped) return
    await delay(this.#host.sweepMs * restPart, undefined, { ref: false })
  }

  async #proveThese(asked: ReadonlyArray<ShardRunner>): Promise<void> {
    const { engine, pool, consumer } = this.#host
    const before = asked.map((runner) => ({ takes: runner.takes, executing: new Set(consumer.executing(runner)) }))
    const statuses = await engine.sweep(
      pool,
      asked.map((runner) => runner.shard),
    )
    for (const runner of asked) this.#unanswered.delete(runner)
    for (const status of statuses) {
      if (!this.#host.runners.has(status.shard)) continue
      this.#statuses.delete(status.shard)
      this.#statuses.set(status.shard, status)
    }
    this.#host.stats.swept([...this.#statuses.values()].toReversed())
    const ended: Array<Promise<void>> = []
    for (const [i, status] of statuses.entries()) {
      const runner = asked[i]
      const seen = before[i]
      if (runner === undefined || seen === undefined || runner.closing) continue
      if (status.session !== runner.session || status.epoch !== runner.epoch) {
        this.#host.onStale(runner)
        continue
      }
      if (status.outbox > 0) consumer.onOutbox?.(runner)
      if (status.ready > 0) runner.ready = true
      if (status.nextDue !== undefined) {
        if (status.nextDue <= status.now) runner.timers = true
        else if (status.nextDue < runner.dueAt) runner.noteDue(status.nextDue)
        this.#host.arm(runner)
      }
      if (runner.ready || runner.timers) this.#host.need(runner)
      ended.push(...this.#compare(runner, status, seen.executing, runner.takes === seen.takes && !runner.taking))
    }
    await Promise.all(ended)
  }

  /**
   * The store's active set beside what executes here. `still`: no take ran meanwhile, so that a difference is real; in a shard that is
   * never still, a difference counts when the sweep before saw it too.
   */
  #compare(runner: ShardRunner, status: ShardStatus, before: ReadonlySet<Address>, still: boolean): ReadonlyArray<Promise<void>> {
    const now = this.#host.consumer.executing(runner)
    const active = new Set(status.active)
    const suspects = new Set<Address>()
    const counts = (address: Address): boolean => {
      if (still || runner.suspects.has(address)) return true
      suspects.add(address)
      return false
    }
    const lost = status.active.filter(
      (address) => !before.has(address) && !now.has(address) && !runner.isCommitting(address) && counts(address),
    )
    if (lost.length > 0) runner.reload(lost)
    const gone = [...before].filter(
      (address) => now.has(address) && !active.has(address) && !runner.isCommitting(address) && counts(address),
    )
    runner.suspects = suspects
    return gone.length > 0 ? [this.#findEnded(runner, gone)] : []
  }

  /** Not active may also mean that its commit is on its way: only what the store has as ended, or not at all, is told. */
  async #findEnded(runner: ShardRunner, addresses: ReadonlyArray<Address>): Promise<void> {
    const { engine, pool, consumer } = this.#host
    const records = await engine.read(
      pool,
      addresses.map((address) => ({ shard: runner.shard, address })),
    )
    for (const [i, address] of addresses.entries()) {
      const record = records[i]
      if (runner.closing || runner.isCommitting(address) || !consumer.executing(runner).has(address)) continue
      if (record === undefined || record.phase === "ended") consumer.onTerminated(runner, address, record?.run ?? "")
    }
  }

  async #readHeaders(): Promise<void> {
    const shards = this.#some(
      Array.from({ length: this.#host.shards }, (_, shard) => shard),
      this.#headersAt,
      this.#everything,
    )
    this.#everything = false
    this.#headersAt += shards.length
    await this.#headers.run(
      shards,
      (shard) => shard,
      (some) => this.#readThese(some),
    )
  }

  async #readThese(shards: ReadonlyArray<number>): Promise<void> {
    const { engine, pool, session, clock } = this.#host
    const headers = await engine.headers(pool, shards)
    const { counters } = await engine.renew(pool, undefined)
    // O1: mine by name, but not held: the answer to a claim was lost, or trust was.
    const wrong = headers.filter((header) => header.session === session && !this.#host.concerned(header.shard))
    if (wrong.length > 0) await engine.release(pool, wrong)
    const at = clock()
    for (const header of headers) this.#host.note(header)
    for (const { shard, session: holder, epoch } of headers) {
      const assignee = this.#host.ownerOf(shard)
      if (assignee === "" || (holder !== "" && counters.has(holder))) {
        this.#unclaimed.delete(shard)
        continue
      }
      const seen = this.#unclaimed.get(shard)
      if (seen === undefined || seen.epoch !== epoch) {
        this.#unclaimed.set(shard, { epoch, since: at, reported: false })
        continue
      }
      const waited = Math.floor((at - seen.since) / unclaimedMs)
      if (waited === 0) continue
      if (!seen.reported) this.#host.emit({ type: "unclaimed", shard, assignee })
      seen.reported = true
      // A4: after a second the next on its ring may, after another second the one after it.
      const heirs = this.#host.heirs(shard)
      if (heirs[(waited - 1) % heirs.length] === session) this.#host.standIn(shard)
    }
  }

  async #trim(): Promise<void> {
    const { engine, pool, runners } = this.#host
    const all = [...runners.values()].filter((runner) => !runner.closing)
    if (all.length === 0) return
    const start = this.#trimAt % all.length
    const some = all.slice(start, start + trimShards)
    await this.#trims.run(
      some,
      (runner) => runner.shard,
      async (part) => {
        const replies = await engine.trim(
          pool,
          part.map(({ shard, session, epoch }) => ({ shard, session, epoch, limit: trimItems })),
        )
        for (const reply of replies) if (reply !== "stale") this.#trimmed += reply
      },
    )
    this.#trimAt = start + some.length
    if (this.#trimAt < all.length) return
    this.#trimAt = 0
    this.#trimIdle = this.#trimmed === 0
    this.#trimmed = 0
  }
}
