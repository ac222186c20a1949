/**
 * Keeps the lease of one session: sends renewals, reads the others' counters, and tells what the pure core (lease.ts) decides. It runs in the
 * lease thread (keeper-thread.ts), where nothing that the main loop does can hold it up, or in the main loop: of stores that only this
 * process reaches, and of tests that bring a clock or a store of their own.
 */
import type { Engine } from "../engine/engine.ts"
import {
  beginLease,
  endAt,
  isWatcher,
  mayRenew,
  nextTick,
  stepLease,
  type Finding,
  type LeaseEvent,
  type LeaseState,
  type OwnLife,
  type Peer,
} from "./lease.ts"
import type { LeaseMemory } from "./lease-memory.ts"
import type { PoolOptions } from "./options.ts"

/** Versions of members and assignment, and the store's time, of every answer, also of mere readings (S2). */
export interface Reading {
  readonly memberVersion: number
  readonly assignmentVersion: number
  readonly now: number
}

export interface KeeperEvents {
  /** `at`: when it was answered, on the keeper's clock. */
  readonly onReading: (reading: Reading, at: number) => void
  readonly onAbort: (why: string) => void
  readonly onDepose: (why: string) => void
  readonly onResume: () => void
  readonly onMarkedDead: (session: string, by: "counter" | "probe") => void
  /** A mark was not this one's: the session registered another life, renewed, or was marked by another watcher (who tells of it). */
  readonly onMarkRefused: () => void
  /** A renewal failed (with its error), or succeeded again after one had failed. */
  readonly onStore: (error: unknown) => void
  /** The session was marked dead: it never lives again (S1). */
  readonly onDead: () => void
}

/** What a session asks of its keeper. */
export interface KeeperCommands {
  start(): void
  stop(): void
  setPeers(peers: ReadonlyMap<string, Peer>): void
  setLife(life: OwnLife): void
  renewNow(): void
  /** The main loop has handled an abort or a deposition. */
  handled(what: "abort" | "depose"): void
}

export interface KeeperSpec {
  readonly pool: string
  readonly session: string
  readonly options: PoolOptions
  /** When the join was sent, on the keeper's clock: trust begins there (S2). */
  readonly sentAt: number
}

export interface KeeperHost extends KeeperSpec {
  readonly engine: Pick<Engine, "renew" | "probe" | "markDead">
  readonly clock: () => number
  readonly memory: LeaseMemory
  readonly events: KeeperEvents
  /** The keeper runs in the main loop: that it runs is the loop's beat. */
  readonly inLoop: boolean
}

/** Renewals under way at once: a hanging one must not stop the next, and a dead store must not gather them. */
const renewalsMax = 3

export class Keeper implements KeeperCommands {
  readonly #host: KeeperHost
  readonly #lease: LeaseState
  #renewTimer: NodeJS.Timeout | undefined
  #watchTimer: NodeJS.Timeout | undefined
  #probeTimer: NodeJS.Timeout | undefined
  #tickTimer: NodeJS.Timeout | undefined
  #renewals = 0
  #watching = false
  #probing = false
  #failing = false
  #stopped = false

  constructor(host: KeeperHost) {
    this.#host = host
    this.#lease = beginLease(host.session, host.options, host.sentAt)
    this.#tell()
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

  /** Only a keeper in a thread waits for it. */
  handled(): void {}

  #tell(): void {
    const { phase, renewedAt } = this.#lease
    this.#host.memory.tell({ phase, end: endAt(this.#lease), renewedAt })
  }

  #renew(): void {
    const { engine, pool, session, options, clock, memory, events, inLoop } = this.#host
    clearTimeout(this.#renewTimer)
    if (inLoop) memory.beat(clock())
    this.#step({ type: "health", beatAt: memory.beatAt, dataAt: memory.dataAt })
    // L11, L12. Looked at again soon, so that the lease goes on with the loop and the data path.
    const may = mayRenew(this.#lease, clock())
    this.#renewTimer = setTimeout(() => this.#renew(), may ? options.renewMs : options.renewMs / 4)
    if (!may || this.#renewals >= renewalsMax) return
    this.#renewals++
    const sentAt = clock()
    engine.renew(pool, session).then(
      (reply) => {
        this.#renewals--
        if (this.#stopped) return
        if (this.#failing) events.onStore(undefined)
        this.#failing = false
        const at = clock()
        this.#step({ type: "renewed", sentAt, at, alive: reply.alive, counters: reply.counters })
        if (this.#lease.phase === "dead") {
          this.stop()
          events.onDead()
        } else events.onReading(reply, at)
      },
      (error: unknown) => {
        this.#renewals--
        if (this.#stopped) return
        if (!this.#failing) events.onStore(error)
        this.#failing = true
        clearTimeout(this.#renewTimer)
        this.#renewTimer = setTimeout(() => this.#renew(), options.renewMs / 4)
      },
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
    const { engine, pool, session, options, clock, events } = this.#host
    clearTimeout(this.#watchTimer)
    this.#watchTimer = setTimeout(() => this.#watch(), options.watchMs)
    if (this.#watching || !isWatcher(this.#lease)) return
    this.#watching = true
    engine.renew(pool, undefined).then(
      (reply) => {
        this.#watching = false
        if (this.#stopped) return
        const at = clock()
        this.#step({ type: "watched", at, counters: reply.counters })
        // O4: the store was emptied, or another one marked this session: no reason to wait for the next renewal.
        if (!reply.counters.has(session)) this.#renew()
        events.onReading(reply, at)
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
    const { events, memory } = this.#host
    const actions = stepLease(this.#lease, event)
    // V3: counted before trust can be seen to come back.
    if (actions.some(({ type }) => type === "depose")) memory.countDeposition()
    this.#tell()
    for (const action of actions) {
      switch (action.type) {
        case "abort":
          events.onAbort(action.why)
          break
        case "depose":
          events.onDepose(action.why)
          break
        case "resume":
          events.onResume()
          break
        case "markDead":
          this.#markDead(action.session, action.counter, action.life)
          break
      }
    }
    this.#armTick()
  }

  /** By probe: only while its record is the one that names this life (S7). */
  #markDead(session: string, counter: number, life: string | undefined): void {
    const { engine, pool, events } = this.#host
    const record = life === undefined ? undefined : this.#lease.peers.get(session)?.record
    engine.markDead(pool, session, counter, record).then(
      (reply) => {
        if (this.#stopped) return
        if (reply === "marked") events.onMarkedDead(session, life === undefined ? "counter" : "probe")
        else events.onMarkRefused()
      },
      // Outcome unknown: the counters will tell, and after another lease it is tried again (lease.ts).
      () => {},
    )
  }
}
