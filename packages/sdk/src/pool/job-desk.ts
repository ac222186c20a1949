/**
 * The consumer of the low-level pool: hands the runs of the owned shards to the user's loops as jobs. A job stays here until it is done,
 * stopped, or its shard is given up; one slot per key (W5).
 */
import type { Address, LoadedRun, Message } from "../engine/engine.ts"
import { ShortLivedMap, ShortLivedSet } from "../engine/short-lived.ts"
import { Deposed } from "../errors.ts"
import { splitAddress } from "../key.ts"
import type { Use } from "../telemetry/measured.ts"
import type { GiveUpReason, OwnedShard, ShardConsumer } from "./consumer.ts"
import type { WorkerStats } from "./stats/worker-stats.ts"
import { handTo } from "./work.ts"
import { Resident, type Job, type ResidentHost } from "./job.ts"

export interface DeskOptions {
  readonly maxResident: number
  /** How long it waits for code that was told to end; undefined: until it settles. */
  readonly abortGraceMs: number | undefined
  readonly payloadBytes: number
  readonly resultRetentionMs: number
  readonly stats: WorkerStats
  readonly wantMore: () => void
  readonly answer: ResidentHost["answer"]
  /** The shard is let go of, although these have not settled. */
  readonly onUnsettled: (shard: OwnedShard, reason: GiveUpReason, addresses: ReadonlyArray<Address>) => void
  readonly onFault: (error: unknown) => void
}

export class JobDesk implements ShardConsumer {
  readonly #options: DeskOptions
  readonly #host: ResidentHost
  readonly #residents = new ShortLivedMap<Address, Resident>()
  /** The same by shard: the sweep asks for each shard every second. */
  readonly #byShard = new Map<OwnedShard, Set<Resident>>()
  /** Those with a successor. */
  readonly #followed = new Set<Resident>()
  /** Not yet handed to a loop. */
  readonly #waiting = new ShortLivedSet<Resident>()
  readonly #givingUp = new Map<
    OwnedShard,
    { readonly reason: GiveUpReason; readonly unsettled: Array<Address>; readonly resolve: () => void }
  >()
  readonly #loops = new Set<() => void>()

  constructor(options: DeskOptions) {
    this.#options = options
    this.#host = { ...options, onSettled: (resident) => this.#onSettled(resident), onFault: options.onFault }
  }

  // --- the user's loops ------------------------------------------------------------------------------------------------

  async *jobs(abortSignal: AbortSignal | undefined): AsyncGenerator<Job, void, undefined> {
    let wake = (): void => {}
    const poke = (): void => wake()
    this.#loops.add(poke)
    abortSignal?.addEventListener("abort", poke)
    this.#options.wantMore()
    try {
      while (abortSignal?.aborted !== true && this.#loops.has(poke)) {
        const [next] = this.#waiting.items
        if (next === undefined) {
          await new Promise<void>((resolve) => (wake = resolve))
          continue
        }
        const doubt = next.shard.confirmed()
        if (doubt !== undefined) {
          await doubt
          continue
        }
        // The loop may have stood still since the run was taken, and nobody has told it yet that its trust is over (S5).
        if (!next.shard.trusted()) {
          next.abort(new Deposed(`this worker no longer owns shard ${next.shard.shard}: the job "${next.key}" goes on elsewhere.`))
          continue
        }
        this.#waiting.delete(next)
        next.yielded = true
        handTo({ kind: splitAddress(next.address).kind, key: next.key })
        this.#options.stats.began(next.since, next.shard.now())
        yield next
        next.accepted()
      }
    } finally {
      abortSignal?.removeEventListener("abort", poke)
      this.#loops.delete(poke)
    }
  }

  /**
   * Proves what hints only promise (W7): jobs that wait for a notification are loaded again, in turn, at most `limit` a call. After a lost hint
   * no later number need come that would show the gap.
   */
  proveMessages(limit: number): void {
    const waiting = [...this.#residents.values()].filter((resident) => resident.expectsMessage)
    for (let i = 0; i < Math.min(limit, waiting.length); i++) {
      const resident = waiting[(this.#proved + i) % waiting.length]
      resident?.shard.reload([resident.address])
    }
    this.#proved += limit
  }
  #proved = 0

  /** The worker is over: its loops end. */
  close(): void {
    const loops = [...this.#loops]
    this.#loops.clear()
    for (const poke of loops) poke()
  }

  // --- ShardConsumer ---------------------------------------------------------------------------------------------------

  onRuns(shard: OwnedShard, runs: ReadonlyArray<LoadedRun>): void {
    for (const run of runs) {
      const resident = this.#residents.get(run.address)
      if (resident === undefined) this.#admit(shard, run)
      else if (resident.run === run.run && resident.shard === shard) resident.refresh(run)
      else {
        resident.successor = { shard, run }
        this.#followed.add(resident)
        if (resident.run !== run.run) resident.stop()
      }
    }
  }

  onMessage(shard: OwnedShard, address: Address, run: string, message: Message): void {
    const resident = this.#residents.get(address)
    if (resident === undefined || resident.run !== run || resident.shard !== shard) return
    if (!resident.receive(message)) shard.reload([address])
  }

  onTerminated(_shard: OwnedShard, address: Address, run: string): void {
    const resident = this.#residents.get(address)
    if (resident !== undefined && (run === "" || resident.run === run)) resident.stop()
  }

  onRequest(): void {}

  executing(shard: OwnedShard): ReadonlySet<Address> {
    const executing = new Set<Address>()
    for (const resident of this.#byShard.get(shard) ?? []) if (!resident.ended) executing.add(resident.address)
    for (const resident of this.#followed) if (resident.successor?.shard === shard) executing.add(resident.address)
    return executing
  }

  /** Without a loop nothing is taken: another worker may have one. */
  capacity(): number {
    return this.#loops.size === 0 ? 0 : this.#options.maxResident - this.#residents.size
  }

  use(): Use {
    return { running: this.#residents.size, capacity: this.#loops.size === 0 ? 0 : this.#options.maxResident }
  }

  giveUp(shard: OwnedShard, reason: GiveUpReason): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#givingUp.set(shard, { reason, unsettled: [], resolve })
    for (const resident of this.#followed) if (resident.successor?.shard === shard) this.#unfollow(resident)
    for (const resident of this.#byShard.get(shard) ?? []) resident.abort(shard.abortSignal.reason)
    this.#checkGivenUp(shard)
    return promise
  }

  // --- inside ----------------------------------------------------------------------------------------------------------

  #admit(shard: OwnedShard, run: LoadedRun): void {
    const resident = new Resident(this.#host, shard, run)
    this.#residents.set(run.address, resident)
    const beside = this.#byShard.get(shard)
    if (beside === undefined) this.#byShard.set(shard, new Set([resident]))
    else beside.add(resident)
    this.#waiting.add(resident)
    for (const poke of this.#loops) poke()
  }

  #onSettled(resident: Resident): void {
    this.#waiting.delete(resident)
    this.#residents.delete(resident.address)
    const { successor, shard } = resident
    const beside = this.#byShard.get(shard)
    if (beside?.delete(resident) === true && beside.size === 0) this.#byShard.delete(shard)
    this.#unfollow(resident)
    if (resident.abandoned) this.#givingUp.get(shard)?.unsettled.push(resident.address)
    if (successor !== undefined && successor.shard.trusted() && !successor.shard.abortSignal.aborted)
      this.#admit(successor.shard, successor.run)
    this.#checkGivenUp(shard)
    this.#options.wantMore()
  }

  #checkGivenUp(shard: OwnedShard): void {
    const leaving = this.#givingUp.get(shard)
    if (leaving === undefined || this.#byShard.has(shard)) return
    this.#givingUp.delete(shard)
    if (leaving.unsettled.length > 0) this.#options.onUnsettled(shard, leaving.reason, leaving.unsettled)
    leaving.resolve()
  }

  #unfollow(resident: Resident): void {
    resident.successor = undefined
    this.#followed.delete(resident)
  }
}
