/**
 * What a session may believe of its own lease (S5): the main loop's side of the keeper. It answers in the call that asks, from the memory that
 * both share, and shows the keeper that the loop and the data path live (S4).
 *
 * - U1 Trust ends by the clock, also when the keeper is dead: `trusted` needs nobody to tell it.
 * - U2 Trust that came back is seen only when each end of it was handled (V3).
 * - U3 A keeper that has not told of an end of trust that the loop sees in `keeperBeats` of its own beats has failed: it is given up.
 * - U4 After a suspension of the machine no user code runs until a renewal that was sent since was answered (S6): `confirmed`.
 * - U5 In a process that goes on after the end of trust (it was frozen) the abort comes before its timers and before what its sockets received:
 *   user code that does nothing but to listen to its signal runs no more either. It does not wait for the keeper's word. A process that was
 *   frozen while it ran code goes on with that code, up to its next return to the loop. Code that never asks for trust (a timer of the user's, an
 *   immediate of his) may be followed by what else was due in the same part of the turn.
 *
 * U5 is a check in each turn of the loop, between polling and timers, and one behind each callback in which somebody asked for trust. That an
 * `unref`ed immediate runs there, and keeps no idle loop awake, is how libuv orders a turn since 1.45 (Node 20). A process that is stopped while it
 * polls comes out of epoll without events; a timer is due then (the beat's, at the latest), so that the turn goes on to the check and polls
 * afterwards. Measured: 1 µs a turn.
 */
import type { Engine } from "../engine/engine.ts"
import type { LinkEvents } from "./keeper-link.ts"
import type { KeeperCommands, Reading } from "./keeper.ts"
import type { LeaseMemory } from "./lease-memory.ts"
import type { OwnLife, Peer } from "./lease.ts"
import type { PoolOptions } from "./options.ts"

export interface TrustHost extends Omit<LinkEvents, "onReading" | "onLost"> {
  readonly engine: Pick<Engine, "poolInfo">
  readonly pool: string
  readonly options: PoolOptions
  /** Monotonic, ms. */
  readonly clock: () => number
  /** The wall clock, ms; absent where a test moves `clock` alone. */
  readonly wall: (() => number) | undefined
  /** Ms by which the keeper's clock is ahead of `clock`. */
  readonly offset: number
  readonly memory: LeaseMemory
  /** `at`: on `clock`. */
  readonly onReading: (reading: Reading, at: number) => void
  /** The wall clock went on for so many ms without the monotonic one. */
  readonly onSuspended: (ms: number) => void
  /** U3. */
  readonly onKeeperSilent: () => void
  readonly onFault: (error: unknown) => void
}

/** S6. Beyond what NTP corrects in one step without notice. */
const suspendedMs = 500
/** U3. */
const keeperBeats = 8
const settled = Promise.resolve()
/** Lets what was aborted at the very end of trust settle before the keeper is told that the loop runs (session: `onOverrun`). */
const handledMs = 25

/** Often enough that a beat in time is never taken for a stall, and not more: each is a timer. */
export const beatMs = ({ maxStallMs }: Pick<PoolOptions, "maxStallMs">): number => Math.min(250, Math.max(10, Math.floor(maxStallMs / 8)))

export class Trust implements LinkEvents {
  readonly #host: TrustHost
  readonly #memory: LeaseMemory
  readonly #waiting = new Set<() => void>()
  #keeper: KeeperCommands | undefined
  #beatTimer: NodeJS.Timeout | undefined
  #guard: NodeJS.Immediate | undefined
  /** U5: the end of trust that was acted upon, and whether the check behind this callback is asked for. */
  #ended: number | undefined
  #asked = false
  #proofTimer: NodeJS.Timeout | undefined
  #handledTimer: NodeJS.Timeout | undefined
  #life: OwnLife = "whole"
  /** U2. */
  #seen = 0
  /** U3: beats since the loop saw trust end and was not told. */
  #silent = 0
  /** Wall clock minus monotonic clock, at the last look. */
  #ahead: number
  /** U4, on the keeper's clock. */
  #doubtedAt: number | undefined
  #stopped = false

  constructor(host: TrustHost) {
    this.#host = host
    this.#memory = host.memory
    this.#ahead = host.wall === undefined ? 0 : host.wall() - host.clock()
  }

  start(keeper: KeeperCommands): void {
    this.#keeper = keeper
    keeper.start()
    this.#beat()
    this.#prove()
    // Where a test moves the clock, time passes within a turn.
    if (this.#host.wall !== undefined) this.#check()
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#beatTimer)
    clearImmediate(this.#guard)
    clearTimeout(this.#proofTimer)
    clearTimeout(this.#handledTimer)
    this.#keeper?.stop()
    this.#confirm()
  }

  trusted(): boolean {
    this.#lookBehind()
    return !this.#stopped && this.#memory.trusted(this.#now()) && this.#memory.depositions === this.#seen
  }

  /** Shards may be claimed and runs taken: trust is open, not about to end and not in doubt, and others see all of this session (L8). */
  mayTake(): boolean {
    return this.trusted() && this.#life === "whole" && this.#memory.phase === "held" && !this.#inDoubt()
  }

  /** `undefined`: user code may run, as far as S6 goes. Else it may when the promise has resolved, if trust is open then. */
  confirmed(): Promise<void> | undefined {
    return this.#inDoubt() ? new Promise((resolve) => this.#waiting.add(resolve)) : undefined
  }

  /** The data path answered: the loop lives, too. `at`: on `clock`. */
  answered(at: number): void {
    const { memory, offset, options } = this.#host
    const before = memory.dataAt
    memory.answered(at + offset)
    if (at + offset - before >= options.leaseMs / 2) this.#keeper?.renewNow()
  }

  setPeers(peers: ReadonlyMap<string, Peer>): void {
    this.#keeper?.setPeers(peers)
  }

  setLife(life: OwnLife): void {
    this.#life = life
    this.#keeper?.setLife(life)
  }

  renewNow(): void {
    this.#keeper?.renewNow()
  }

  // --- from the keeper -------------------------------------------------------------------------------------------------

  onReading(reading: Reading, at: number): void {
    if (this.#stopped) return
    if (this.#doubtedAt !== undefined && this.#memory.renewedAt >= this.#doubtedAt) this.#confirm()
    this.#host.onReading(reading, at - this.#host.offset)
  }

  onAbort(why: string): void {
    if (this.#stopped) return
    this.#host.onAbort(why)
    this.#keeper?.handled("abort")
  }

  onDepose(why: string): void {
    if (this.#stopped) return
    this.#host.onDepose(why)
    this.#seen++
    this.#silent = 0
    this.#confirm()
    clearTimeout(this.#handledTimer)
    this.#handledTimer = setTimeout(() => this.#keeper?.handled("depose"), handledMs)
  }

  onResume(): void {
    if (!this.#stopped) this.#host.onResume()
  }

  onMarkedDead(session: string, by: "counter" | "probe"): void {
    if (!this.#stopped) this.#host.onMarkedDead(session, by)
  }

  onMarkRefused(): void {
    if (!this.#stopped) this.#host.onMarkRefused()
  }

  onStore(error: unknown): void {
    if (!this.#stopped) this.#host.onStore(error)
  }

  onDead(): void {
    if (this.#stopped) return
    this.stop()
    this.#host.onDead()
  }

  /** Nobody renews: the end of trust is not waited for. */
  onLost(error: Error): void {
    if (this.#stopped) return
    this.stop()
    this.#host.onFault(error)
    this.#host.onDepose("its lease thread ended")
    this.#host.onDead()
  }

  // --- inside ----------------------------------------------------------------------------------------------------------

  #now(): number {
    return this.#host.clock() + this.#host.offset
  }

  #inDoubt(): boolean {
    const { wall, clock, onSuspended } = this.#host
    if (wall === undefined || this.#stopped) return false
    const ahead = wall() - clock()
    const jumped = ahead - this.#ahead
    // Looked at again from here, so that a clock which is slewed for days never adds up to a jump.
    this.#ahead = ahead
    if (jumped > suspendedMs) {
      this.#doubtedAt = this.#now()
      this.#keeper?.renewNow()
      onSuspended(jumped)
    }
    return this.#doubtedAt !== undefined
  }

  /** U5. */
  readonly #check = (): void => {
    this.#guard = setImmediate(this.#check)
    this.#guard.unref()
    this.#look()
  }

  readonly #look = (): void => {
    this.#asked = false
    const { end } = this.#memory
    if (this.#stopped || this.#now() < end || this.#ended === end) return
    this.#ended = end
    this.#host.onDepose("trust ended")
  }

  /** U5: a tick that is asked for among the microtasks of a callback comes behind all of them, and before the next callback. */
  #lookBehind(): void {
    if (this.#asked || this.#guard === undefined || this.#stopped) return
    this.#asked = true
    void settled.then(this.#askTick)
  }

  readonly #askTick = (): void => process.nextTick(this.#look)

  #confirm(): void {
    this.#doubtedAt = undefined
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const resolve of waiting) resolve()
  }

  #beat(): void {
    if (this.#stopped) return
    const { options, memory, onKeeperSilent } = this.#host
    const now = this.#now()
    this.#lookBehind()
    const stalled = now - memory.beatAt >= options.maxStallMs
    memory.beat(now)
    memory.debugged = isDebugged()
    if (stalled) this.#keeper?.renewNow()
    // So that a resumed machine proves its lease at once, and not when it is first asked.
    this.#inDoubt()
    const untold = now >= memory.end && memory.depositions === this.#seen && memory.phase !== "deposed"
    this.#silent = untold ? this.#silent + 1 : 0
    if (this.#silent === keeperBeats) onKeeperSilent()
    // Behind the answers that have arrived: a loop that comes back from a stall shows its data path with its first beat.
    this.#beatTimer = setTimeout(() => setImmediate(() => this.#beat()), beatMs(options))
  }

  /** S4: a round trip of the data path, unless its own traffic has just been one. */
  #prove(): void {
    const { engine, pool, options, clock, memory } = this.#host
    const again = (ms: number): void => {
      if (!this.#stopped) this.#proofTimer = setTimeout(() => this.#prove(), ms)
    }
    const recent = this.#now() - memory.dataAt
    if (recent < options.renewMs / 2) return again(options.renewMs / 2)
    engine.poolInfo(pool).then(
      () => {
        this.answered(clock())
        again(options.renewMs)
      },
      () => again(options.renewMs / 4),
    )
  }
}

/** By `--inspect` or a signal: looked at with each beat. Absent where Node was built without it. */
const isDebugged = (): boolean => process.getBuiltinModule("node:inspector")?.url() !== undefined
