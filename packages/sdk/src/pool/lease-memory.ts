/**
 * A few numbers of one lease that the main loop and the keeper tell each other without a message (S4): where the keeper has a thread of its own
 * they are in shared memory, so that a blocked loop is seen, and the end of trust is read in the very call that asks.
 *
 * - V1 Times are ms of the keeper's clock (clock.ts). Each has one writer: the keeper those of the lease, the loop its beat and its data path's.
 * - V2 A time is a double at an aligned place: it is written and read whole on all 64-bit systems. Phase and count are atomic.
 * - V3 `depositions` counts ends of trust. Trust that comes back is seen by the loop only when it has handled all of them: what was under way
 *   before must not see it (L4).
 */
import type { LeasePhase } from "./lease.ts"

const phases = ["held", "aborting", "deposed", "dead"] as const satisfies ReadonlyArray<LeasePhase>
/** Places of the doubles. */
const [end, renewed, beat, data] = [0, 1, 2, 3]
const doubles = 4
/** Places of the integers behind them. */
const [phase, depositions, debugged] = [0, 1, 2]
const integers = 4

export class LeaseMemory {
  readonly buffer: ArrayBuffer | SharedArrayBuffer
  readonly #times: Float64Array
  readonly #state: Int32Array

  constructor(buffer: ArrayBuffer | SharedArrayBuffer) {
    this.buffer = buffer
    this.#times = new Float64Array(buffer, 0, doubles)
    this.#state = new Int32Array(buffer, doubles * 8, integers)
  }

  /** `at`: when the session began. */
  static make(shared: boolean, at: number): LeaseMemory {
    const bytes = doubles * 8 + integers * 4
    const memory = new LeaseMemory(shared ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes))
    memory.#times.fill(at)
    return memory
  }

  // --- written by the keeper -------------------------------------------------------------------------------------------

  tell(lease: { readonly phase: LeasePhase; readonly end: number; readonly renewedAt: number }): void {
    this.#times[end] = lease.end
    this.#times[renewed] = lease.renewedAt
    Atomics.store(this.#state, phase, phases.indexOf(lease.phase))
  }

  countDeposition(): void {
    Atomics.add(this.#state, depositions, 1)
  }

  get end(): number {
    return this.#times[end] ?? 0
  }

  get renewedAt(): number {
    return this.#times[renewed] ?? 0
  }

  get phase(): LeasePhase {
    return phases[Atomics.load(this.#state, phase)] ?? "dead"
  }

  get depositions(): number {
    return Atomics.load(this.#state, depositions)
  }

  trusted(at: number): boolean {
    return at < this.end && Atomics.load(this.#state, phase) <= 1
  }

  // --- written by the main loop ----------------------------------------------------------------------------------------

  beat(at: number): void {
    this.#times[beat] = at
  }

  answered(at: number): void {
    this.#times[data] = at
  }

  get beatAt(): number {
    return this.#times[beat] ?? 0
  }

  get dataAt(): number {
    return this.#times[data] ?? 0
  }

  /** Somebody has attached a debugger to this process: it is not to be disturbed. */
  set debugged(is: boolean) {
    Atomics.store(this.#state, debugged, is ? 1 : 0)
  }

  get debugged(): boolean {
    return Atomics.load(this.#state, debugged) === 1
  }
}
