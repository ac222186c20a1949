/**
 * Takes: brings runs of the owned shards to the consumer (W1, W7, W8). Every reason to take (hint, timer, sweep, reload, capacity, `more`)
 * only marks its shard; one pump turns all marks of an event-loop turn into one call, within the consumer's capacity. A shard has one
 * take under way at a time, so that its runs arrive in the order in which the store gave them.
 *
 * Where calls do not span shards, each shard is asked by itself, and who does not answer holds up nobody else: what a late call has asked for is
 * not kept free for it, and runs that wait for a late commit keep no room from others. When they are answered after all, the consumer has more than it
 * wanted, at most one call's worth a shard and twice its capacity, and takes nothing until it has less again.
 */
import { AsyncLocalStorage } from "node:async_hooks"
import type { Address, Engine, TakeGroup, TakeReply } from "../engine/engine.ts"
import { lateMs } from "../engine/shard-batcher.ts"
import { StoreUnavailable } from "../errors.ts"
import type { ShardConsumer } from "./consumer.ts"
import type { ShardRunner } from "./shard-runner.ts"
import type { WorkerStats } from "./stats/worker-stats.ts"

export interface TakerHost {
  readonly engine: Engine
  readonly pool: string
  readonly consumer: ShardConsumer
  readonly runners: ReadonlyMap<number, ShardRunner>
  readonly stats: WorkerStats
  /** S8: what needs to be taken waits until it is true again, and `pump` is called. */
  readonly mayTake: () => boolean
  readonly storeNow: () => number
  /** An answer told the store's time, so many ms after its call. */
  readonly setStoreNow: (now: number, tookMs: number) => void
  readonly onStale: (runner: ShardRunner) => void
  /** Shards whose runs wait for commits that are not answered in time. */
  readonly lateShards: () => Iterable<number>
  /** A take failed: what it moved to active is unknown, the sweep finds it. */
  readonly onUnknown: (runners: ReadonlyArray<ShardRunner>) => void
  readonly onFault: (error: unknown) => void
}

/** Runs of one call, and of one group: a driver cuts batches there (B2). */
const groupMax = 200
/**
 * What a shard with a backlog is asked for: its runs then travel, and are committed, together. Under load each group of a call costs the store
 * as much as two or three runs (measured: 30 instead of 23 µs of Redis a job when the room is spread over all shards).
 */
const backlogMax = 64
/** W8: the store decides what is due; locally it is waited for at most this long. */
const waitMaxMs = 60_000
const waitMinMs = 1
const retryMs = 100

interface Call {
  readonly groups: Array<TakeGroup>
  readonly runners: Array<ShardRunner>
  readonly asked: Array<ReadonlySet<Address>>
  /** What is kept free for it. */
  room: number
}
const newCall = (): Call => ({ groups: [], runners: [], asked: [], room: 0 })

export class Taker {
  readonly #host: TakerHost
  /** Shards with a reason to take, oldest first: each gets its turn. */
  readonly #needs = new Set<ShardRunner>()
  #asked = 0
  #scheduled = false
  #timer: NodeJS.Timeout | undefined
  #timerAt = Number.POSITIVE_INFINITY
  #stopped = false

  constructor(host: TakerHost) {
    this.#host = host
  }

  need(runner: ShardRunner): void {
    if (runner.closing || this.#stopped) return
    this.#needs.add(runner)
    this.pump()
  }

  /** Capacity came back, or a mark was set. */
  pump(): void {
    if (this.#scheduled || this.#needs.size === 0) return
    this.#scheduled = true
    setImmediate(this.#flush)
  }

  forget(runner: ShardRunner): void {
    this.#needs.delete(runner)
  }

  stop(): void {
    this.#stopped = true
    this.#needs.clear()
    clearTimeout(this.#timer)
  }

  /** Waits locally for the earliest timer of a shard. */
  arm(runner: ShardRunner): void {
    const { dueAt } = runner
    if (dueAt >= this.#timerAt || this.#stopped) return
    this.#timerAt = dueAt
    clearTimeout(this.#timer)
    const wait = Math.min(Math.max(dueAt - this.#host.storeNow(), waitMinMs), waitMaxMs)
    this.#timer = setTimeout(this.#onTimer, Math.ceil(wait))
  }

  readonly #onTimer = (): void => {
    this.#timerAt = Number.POSITIVE_INFINITY
    const now = this.#host.storeNow()
    for (const runner of this.#host.runners.values()) {
      if (runner.dueAt <= now) {
        runner.timers = true
        this.need(runner)
      }
    }
    for (const runner of this.#host.runners.values()) if (runner.dueAt > now && runner.dueAt < this.#timerAt) this.arm(runner)
  }

  /** In the context of whoever made the pool: what is taken belongs to no job that happens to be at work. */
  readonly #flush = AsyncLocalStorage.bind((): void => {
    this.#scheduled = false
    if (!this.#host.mayTake()) return
    const apart = !this.#host.engine.spansShards
    const calls: Array<Call> = []
    let call = newCall()
    let expected = 0
    const send = (): void => {
      if (call.groups.length === 0) return
      this.#take(call).catch(this.#host.onFault)
      calls.push(call)
      call = newCall()
      expected = 0
    }
    let room = this.#host.consumer.capacity() + this.#waiting() - this.#asked
    const waiting = [...this.#needs].filter((runner) => !runner.taking)
    const share = Math.min(groupMax, Math.max(1, Math.floor(room / Math.max(1, waiting.length))))
    for (const runner of waiting) {
      const addresses = runner.addresses.items.size === 0 ? undefined : [...runner.addresses.items].slice(0, groupMax)
      const wants = runner.ready || runner.timers
      const limit = wants ? Math.max(0, Math.min(runner.backlog ? backlogMax : share, room)) : 0
      if (limit === 0 && addresses === undefined) continue
      if (apart || (runner.backlog && expected + limit > groupMax)) send()
      expected += runner.backlog ? limit : 1
      room -= limit
      this.#asked += limit
      call.room += limit
      runner.taking = true
      runner.takes++
      const timers = runner.timers && limit > 0
      if (limit > 0) {
        runner.ready = false
        runner.timers = false
      }
      if (timers) runner.dueSince = Number.POSITIVE_INFINITY
      for (const address of addresses ?? []) runner.addresses.delete(address)
      if (!runner.ready && !runner.timers && runner.addresses.items.size === 0) this.#needs.delete(runner)
      const { shard, session, epoch } = runner
      call.groups.push({ shard, session, epoch, limit, timers, ...(addresses === undefined ? {} : { addresses }) })
      call.runners.push(runner)
      call.asked.push(new Set(addresses))
    }
    send()
    if (apart && calls.length > 0) setTimeout(() => this.#freeRoom(calls), lateMs).unref()
  })

  /** Runs that only wait for a server. */
  #waiting(): number {
    let count = 0
    for (const shard of this.#host.lateShards()) count += this.#host.runners.get(shard)?.committing.length ?? 0
    return count
  }

  #freeRoom(calls: ReadonlyArray<Call>): void {
    for (const call of calls) {
      this.#asked -= call.room
      call.room = 0
    }
    this.pump()
  }

  async #take(call: Call): Promise<void> {
    const { groups, runners, asked } = call
    let replies: ReadonlyArray<TakeReply> | undefined
    let failure: unknown
    const sentAt = performance.now()
    try {
      replies = await this.#host.engine.take(this.#host.pool, groups)
      const tookMs = performance.now() - sentAt
      this.#host.stats.took(replies, tookMs)
      const taken = replies.find((reply) => reply.status === "taken")
      if (taken !== undefined) this.#host.setStoreNow(taken.now, tookMs)
    } catch (error) {
      failure = error
    }
    this.#asked -= call.room
    call.room = 0
    for (let i = 0; i < runners.length; i++) {
      const runner = runners[i]
      const group = groups[i]
      if (runner === undefined || group === undefined) continue
      runner.taking = false
      runner.takes++
      const reply = replies?.[i]
      if (reply === undefined) this.#again(runner, group, asked[i] ?? new Set())
      else if (reply.status === "stale") this.#host.onStale(runner)
      else this.#deliver(runner, group, reply)
    }
    if (replies === undefined) {
      this.#host.onUnknown(runners)
      if (!StoreUnavailable.is(failure)) this.#host.onFault(failure)
      setTimeout(() => this.pump(), retryMs)
    } else this.pump()
  }

  #deliver(runner: ShardRunner, group: TakeGroup, reply: Extract<TakeReply, { readonly status: "taken" }>): void {
    if (group.timers) {
      runner.dueAt = Math.min(reply.nextDue ?? Number.POSITIVE_INFINITY, runner.dueSince)
      this.arm(runner)
    }
    // A shard that is being given up leaves what came in `active`: its next owner is told of it by the claim (W1).
    if (runner.closing || !runner.trusted()) return
    runner.backlog = reply.more
    if (reply.more) {
      runner.ready = true
      runner.timers ||= group.timers
    }
    if (runner.ready || runner.timers || runner.addresses.items.size > 0) this.#needs.add(runner)
    if (reply.runs.length > 0) this.#host.consumer.onRuns(runner, reply.runs)
  }

  /** The outcome of the take is unknown: asks for the same again. */
  #again(runner: ShardRunner, group: TakeGroup, addresses: ReadonlySet<Address>): void {
    if (runner.closing) return
    for (const address of addresses) runner.addresses.add(address)
    runner.ready ||= group.limit > 0
    runner.timers ||= group.timers
    this.#needs.add(runner)
  }
}
