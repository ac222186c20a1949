/**
 * Runs with which this worker's code cannot go on (`blocked`). They stay active in the store, so that whoever claims their shard next is told of them and tries
 * them with its own code at once: after a deployment, a move, a death (W1). Here they are looked at again when an operator may have decided, and now
 * and then. Bounded: runs beyond that are parked, and looked at by their timer only.
 */
import type { Address } from "../engine/engine.ts"
import type { OwnedShard } from "../pool/consumer.ts"

/** How long a blocked run waits before it is tried again by the same worker, ms. */
export const blockedRetryMs = 30_000

interface BlockedRun {
  readonly shard: OwnedShard
  /** Store time of the next look. */
  due: number
  /** It was asked for. */
  asked: boolean
}

export class BlockedRuns {
  readonly #runs = new Map<Address, BlockedRun>()
  readonly #max: number
  readonly #isBusy: (address: Address) => boolean

  constructor(max: number, isBusy: (address: Address) => boolean) {
    this.#max = max
    this.#isBusy = isBusy
  }

  get size(): number {
    return this.#runs.size
  }
  has(address: Address): boolean {
    return this.#runs.has(address)
  }

  /** Takes a place for a run that is about to be written as blocked and active; false: there is none. */
  reserve(shard: OwnedShard, address: Address): boolean {
    if (!this.#runs.has(address) && this.#runs.size >= this.#max) return false
    this.#runs.set(address, { shard, due: Number.POSITIVE_INFINITY, asked: false })
    return true
  }

  /** It was written so: it is looked at again at `due`, unless something has hurried it by now. */
  hold(address: Address, due: number): void {
    const run = this.#runs.get(address)
    if (run !== undefined) run.due = Math.min(run.due, due)
  }

  /** It is executed, or has ended. */
  drop(address: Address): boolean {
    return this.#runs.size > 0 && this.#runs.delete(address)
  }

  /** The shard is given up. */
  leave(shard: OwnedShard): ReadonlyArray<Address> {
    const left = [...this.#runs].flatMap(([address, run]) => (run.shard === shard ? [address] : []))
    for (const address of left) this.#runs.delete(address)
    return left
  }

  /** It is due now. */
  hurry(address: Address): void {
    const run = this.#runs.get(address)
    if (run !== undefined) run.due = 0
  }

  /** Has those loaded that are due. */
  lookAtAll(): void {
    for (const address of this.#runs.keys()) this.lookAt(address)
  }
  lookAt(address: Address): void {
    const run = this.#runs.get(address)
    const now = run?.shard.now() ?? 0
    // one whose pass has not ended is looked at when it has
    if (run === undefined || run.due > now || this.#isBusy(address)) return
    run.due = now + blockedRetryMs
    run.asked = true
    run.shard.reload([address])
  }

  /** For a test that moves the store's clock. */
  quiet(): { readonly resting: boolean; readonly nextDue: number } {
    let resting = true
    let nextDue = Number.POSITIVE_INFINITY
    for (const { due, asked } of this.#runs.values()) {
      if (asked) resting = false
      nextDue = Math.min(nextDue, due)
    }
    return { resting, nextDue }
  }
}
