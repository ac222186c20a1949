/**
 * Keeps the lease of one session: sends renewals, reads the others' counters, and tells what the pure core (lease.ts) decides.
 */
import type { Engine, RenewReply } from "../engine/engine.ts"
import { beginLease, isTrusted, isWatcher, nextTick, stepLease, type LeaseEvent, type LeaseState } from "./lease.ts"
import type { PoolOptions } from "./options.ts"

export interface KeeperHost {
  readonly engine: Engine
  readonly pool: string
  readonly session: string
  readonly options: PoolOptions
  readonly clock: () => number
  /** Every answer, also of mere readings: versions of members and assignment (S2). */
  readonly onReading: (reply: RenewReply) => void
  readonly onAbort: () => void
  readonly onDepose: (why: string) => void
  readonly onResume: () => void
  readonly onMarkedDead: (session: string) => void
  /** A renewal failed (with its error), or succeeded again after one had failed. */
  readonly onStore: (error: unknown) => void
  /** The session was marked dead: it never lives again (S1). */
  readonly onDead: () => void
}

/** Renewals under way at once: a hanging one must not stop the next, and a dead store must not gather them. */
const renewalsMax = 3

export class Keeper {
  readonly #host: KeeperHost
  readonly #lease: LeaseState
  #renewTimer: NodeJS.Timeout | undefined
  #watchTimer: NodeJS.Timeout | undefined
  #tickTimer: NodeJS.Timeout | undefined
  #renewals = 0
  #watching = false
  #failing = false
  #stopped = false

  /** `sentAt`: when the join was sent; trust begins there (S2). */
  constructor(host: KeeperHost, sentAt: number) {
    this.#host = host
    this.#lease = beginLease(host.session, host.options, sentAt)
  }

  start(): void {
    this.#renew()
    this.#watch()
    this.#armTick()
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#renewTimer)
    clearTimeout(this.#watchTimer)
    clearTimeout(this.#tickTimer)
  }

  trusted(): boolean {
    return !this.#stopped && isTrusted(this.#lease, this.#host.clock())
  }

  /** Shards may be claimed: trust is open, and not about to end. */
  mayClaim(): boolean {
    return this.#lease.phase === "held" && this.trusted()
  }

  setLeases(leases: ReadonlyMap<string, number>): void {
    this.#step({ type: "members", leases })
  }

  #renew(): void {
    const { engine, pool, session, options, clock } = this.#host
    clearTimeout(this.#renewTimer)
    this.#renewTimer = setTimeout(() => this.#renew(), options.renewMs)
    if (this.#renewals >= renewalsMax) return
    this.#renewals++
    const sentAt = clock()
    engine.renew(pool, session).then(
      (reply) => {
        this.#renewals--
        if (this.#stopped) return
        if (this.#failing) this.#host.onStore(undefined)
        this.#failing = false
        this.#step({ type: "renewed", sentAt, at: clock(), alive: reply.alive, counters: reply.counters })
        if (this.#lease.phase === "dead") {
          this.stop()
          this.#host.onDead()
        } else this.#host.onReading(reply)
      },
      (error: unknown) => {
        this.#renewals--
        if (this.#stopped) return
        if (!this.#failing) this.#host.onStore(error)
        this.#failing = true
        clearTimeout(this.#renewTimer)
        this.#renewTimer = setTimeout(() => this.#renew(), options.renewMs / 4)
      },
    )
  }

  #watch(): void {
    const { engine, pool, options, clock } = this.#host
    clearTimeout(this.#watchTimer)
    this.#watchTimer = setTimeout(() => this.#watch(), options.watchMs)
    if (this.#watching || !isWatcher(this.#lease)) return
    this.#watching = true
    engine.renew(pool, undefined).then(
      (reply) => {
        this.#watching = false
        if (this.#stopped) return
        this.#step({ type: "watched", at: clock(), counters: reply.counters })
        this.#host.onReading(reply)
      },
      // The renewals tell of a lost store; a reading that failed only delays what others see too.
      () => (this.#watching = false),
    )
  }

  #armTick(): void {
    clearTimeout(this.#tickTimer)
    if (this.#stopped) return
    const at = nextTick(this.#lease)
    if (at === Number.POSITIVE_INFINITY) return
    const wait = Math.max(0, at - this.#host.clock())
    this.#tickTimer = setTimeout(() => this.#step({ type: "tick", at: this.#host.clock() }), Math.ceil(wait))
  }

  #step(event: LeaseEvent): void {
    if (this.#stopped) return
    const actions = stepLease(this.#lease, event)
    for (const action of actions) {
      switch (action.type) {
        case "abort":
          this.#host.onAbort()
          break
        case "depose":
          this.#host.onDepose(action.why)
          break
        case "resume":
          this.#host.onResume()
          break
        case "markDead":
          this.#markDead(action.session, action.counter)
          break
      }
    }
    this.#armTick()
  }

  #markDead(session: string, counter: number): void {
    const { engine, pool } = this.#host
    engine.markDead(pool, session, counter).then(
      (marked) => {
        if (marked && !this.#stopped) this.#host.onMarkedDead(session)
      },
      // Outcome unknown: the counters will tell, and after another lease it is tried again (lease.ts).
      () => {},
    )
  }
}
