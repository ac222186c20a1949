/**
 * Keeps the lease of one session: sends renewals, reads the others' counters, and tells what the pure core (lease.ts) decides.
 */
import type { Engine, RenewReply } from "../engine/engine.ts"
import {
  beginLease,
  isTrusted,
  isWatcher,
  mayRenew,
  mayTake,
  nextTick,
  stepLease,
  type Finding,
  type LeaseEvent,
  type LeaseState,
  type OwnLife,
  type Peer,
} from "./lease.ts"
import type { PoolOptions } from "./options.ts"

export interface KeeperHost {
  readonly engine: Engine
  readonly pool: string
  readonly session: string
  readonly options: PoolOptions
  readonly clock: () => number
  /** Every answer, also of mere readings: versions of members and assignment (S2). */
  readonly onReading: (reply: RenewReply) => void
  readonly onAbort: (why: string) => void
  readonly onDepose: (why: string) => void
  readonly onResume: () => void
  readonly onMarkedDead: (session: string, by: "counter" | "probe") => void
  /** The member record of another session as the store has it, if it names this life. */
  readonly recordOf: (session: string, life: string) => string | undefined
  /** A mark was refused: the session registered another life, or renewed. */
  readonly onMarkRefused: () => void
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
  #probeTimer: NodeJS.Timeout | undefined
  #tickTimer: NodeJS.Timeout | undefined
  #renewals = 0
  #watching = false
  #probing = false
  #proving = false
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
    this.#probe()
    this.#armTick()
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#renewTimer)
    clearTimeout(this.#watchTimer)
    clearTimeout(this.#probeTimer)
    clearTimeout(this.#tickTimer)
  }

  trusted(): boolean {
    return !this.#stopped && isTrusted(this.#lease, this.#host.clock())
  }

  /** Shards may be claimed and runs taken: trust is open and not about to end, and others see all of this session. */
  mayTake(): boolean {
    return !this.#stopped && mayTake(this.#lease, this.#host.clock())
  }

  setPeers(peers: ReadonlyMap<string, Peer>): void {
    this.#step({ type: "members", peers })
  }

  /** A session that was deposed meanwhile goes on with the next renewal: it is sent at once. */
  setLife(life: OwnLife): void {
    this.#step({ type: "life", at: this.#host.clock(), life })
    if (life === "whole" && this.#lease.phase !== "held") this.renewNow()
  }

  renewNow(): void {
    if (!this.#stopped) this.#renew()
  }

  #renew(): void {
    const { engine, pool, session, options, clock } = this.#host
    clearTimeout(this.#renewTimer)
    this.#prove()
    // L11. Looked at again soon, so that the lease goes on with the data path.
    const may = mayRenew(this.#lease, clock())
    this.#renewTimer = setTimeout(() => this.#renew(), may ? options.renewMs : options.renewMs / 4)
    if (!may || this.#renewals >= renewalsMax) return
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

  /** A round trip of the data path, where renewals have a connection of their own (S4). */
  #prove(): void {
    if (this.#proving) return
    this.#proving = true
    const { engine, pool, clock } = this.#host
    engine.poolInfo(pool).then(
      () => {
        this.#proving = false
        this.#step({ type: "data", at: clock() })
      },
      () => (this.#proving = false),
    )
  }

  /** S7, S9. Without others that can be probed it costs nothing. */
  #probe(): void {
    const { engine, pool, session, options, clock } = this.#host
    clearTimeout(this.#probeTimer)
    this.#probeTimer = setTimeout(() => this.#probe(), options.probeMs)
    if (this.#probing || !isWatcher(this.#lease)) return
    const others = [...this.#lease.peers].filter(([other, { life }]) => other !== session && life !== "")
    if (others.length === 0) return
    this.#probing = true
    const sentAt = clock()
    const lives = others.map(([, { life }]) => life)
    engine.probe(pool, lives).then(
      (found) => {
        this.#probing = false
        const findings = new Map<string, Finding>()
        for (const [i, [other, { life }]] of others.entries()) findings.set(other, { life, found: found[i] ?? "unknown" })
        this.#step({ type: "probed", sentAt, at: clock(), findings })
      },
      () => {
        this.#probing = false
        this.#step({ type: "probed", sentAt, at: clock(), findings: new Map() })
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
    // After a stall of the loop timers run before the answers that have arrived meanwhile: these may have made the tick needless.
    const tick = (): void => this.#step({ type: "tick", at: this.#host.clock() })
    this.#tickTimer = setTimeout(() => setImmediate(tick), Math.ceil(wait))
  }

  #step(event: LeaseEvent): void {
    if (this.#stopped) return
    const actions = stepLease(this.#lease, event)
    for (const action of actions) {
      switch (action.type) {
        case "abort":
          this.#host.onAbort(action.why)
          break
        case "depose":
          this.#host.onDepose(action.why)
          break
        case "resume":
          this.#host.onResume()
          break
        case "markDead":
          this.#markDead(action.session, action.counter, action.life)
          break
      }
    }
    this.#armTick()
  }

  #markDead(session: string, counter: number, life: string | undefined): void {
    const { engine, pool } = this.#host
    const record = life === undefined ? undefined : this.#host.recordOf(session, life)
    if (life !== undefined && record === undefined) return
    engine.markDead(pool, session, counter, record).then(
      (marked) => {
        if (this.#stopped) return
        if (marked) this.#host.onMarkedDead(session, life === undefined ? "counter" : "probe")
        else this.#host.onMarkRefused()
      },
      // Outcome unknown: the counters will tell, and after another lease it is tried again (lease.ts).
      () => {},
    )
  }
}
