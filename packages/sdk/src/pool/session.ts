/**
 * One life of a member in a pool (S1): from its join until it left, was killed, or was marked dead. It wires the parts and gives up
 * shards; what lives longer than a session is in member.ts.
 */
import type { Engine, Hint, ShardHeader } from "../engine/engine.ts"
import { StoreUnavailable } from "../errors.ts"
import { optionTable } from "../options.ts"
import { Assigner } from "./assigner.ts"
import { Channels } from "./channels.ts"
import { Claimer } from "./claimer.ts"
import { CommitSender } from "./commits.ts"
import type { ShardConsumer } from "./consumer.ts"
import type { BlockedLoop, PoolEvent } from "./events.ts"
import { HandOver } from "./hand-over.ts"
import { openKeeperLink, type KeeperLink } from "./keeper-link.ts"
import type { LeaseMemory } from "./lease-memory.ts"
import { marginMs, type OwnLife, type Peer } from "./lease.ts"
import { settlesWithin } from "./loop.ts"
import { openMembership, type Membership } from "./membership.ts"
import type { OnOverrun, PoolOptions } from "./options.ts"
import type { ConfigMap } from "./pool-config.ts"
import { encodeRecord, type MemberRecord } from "./record.ts"
import { Registration } from "./registration.ts"
import { ShardRunner } from "./shard-runner.ts"
import type { WorkerStats } from "./stats/worker-stats.ts"
import { StoreClock } from "./store-clock.ts"
import { Sweeper } from "./sweeper.ts"
import { Taker } from "./taker.ts"
import { Trust } from "./trust.ts"

export interface SessionHost {
  readonly engine: Engine
  readonly pool: string
  readonly shards: number
  readonly incarnation: string
  readonly config: ConfigMap
  readonly options: PoolOptions
  /** See `LifeOptions`. */
  readonly direct: boolean
  readonly onOverrun: OnOverrun
  readonly consumer: ShardConsumer
  readonly stats: WorkerStats
  readonly clock: () => number
  /** The wall clock; absent where a test moves `clock` alone (S6). */
  readonly wall: (() => number) | undefined
  /** The keeper has a thread, where the store is one that a thread can open; not where a test brings its own clock. */
  readonly threaded: boolean
  readonly storeClock: (() => number) | undefined
  /** On the monotonic clock: under a new incarnation nothing is claimed before it (O4). */
  readonly claimFrom: number
  readonly emit: (event: PoolEvent) => void
  readonly onFault: (error: unknown) => void
  /** Others cannot see this process die. */
  readonly onUnseen: (why: string) => void
  /** Marked dead: this session is over, whatever it does. */
  readonly onDead: (session: Session) => void
}

export class Session {
  readonly id: string
  readonly membership: Membership
  readonly assigner: Assigner
  readonly runners = new Map<number, ShardRunner>()
  /** Of all members that were ever known here, ms. */
  longestLease: number
  readonly #host: SessionHost
  readonly #registration: Registration
  readonly #link: KeeperLink
  readonly #trust: Trust
  readonly #channels: Channels
  readonly #claimer: Claimer
  readonly #taker: Taker
  readonly #sweeper: Sweeper
  readonly #commits: CommitSender
  readonly #handOver: HandOver
  readonly #storeClock: StoreClock
  #unsubscribe: (() => Promise<void>) | undefined
  #unfollow: (() => void) | undefined
  /** Version of the assignment that was acted upon, and what was claimed since then without being assigned (A4). */
  #followed = 0
  readonly #standsIn = new Set<number>()
  #draining = false
  /** What was held is given up, and the session leaves. */
  #handedOver = false
  #dead = false
  #stopped = false

  private constructor(host: SessionHost, record: MemberRecord, registration: Registration, link: KeeperLink, memory: LeaseMemory) {
    const { engine, pool, shards, options, consumer, clock, emit, onFault } = host
    const session = record.session
    const { sentAt } = registration
    const trusted = () => this.#trust.trusted()
    this.#host = host
    this.#link = link
    this.#registration = registration
    this.id = session
    this.longestLease = options.leaseMs
    this.#storeClock = new StoreClock(record.joinedAt - sentAt)
    this.membership = openMembership(engine, pool)
    this.#trust = new Trust({
      engine,
      pool,
      options,
      clock,
      wall: host.wall,
      offset: link.offset,
      memory,
      onReading: ({ now, memberVersion, assignmentVersion }, at) => {
        this.#storeClock.heard(now, at)
        this.assigner.announce(memberVersion, assignmentVersion)
      },
      onAbort: (why) =>
        this.#deposeAll(why === "trust ends" ? "the lease ends: no renewal was answered" : "all connections to the store were lost", false),
      onDepose: (why) => this.#deposeAll(why, true),
      onResume: () => this.#claimer.evaluate(),
      onMarkedDead: (other, by) => {
        emit({ type: "markedDead", session: other, by })
        this.assigner.refresh()
      },
      onMarkRefused: () => this.assigner.refresh(),
      onStore: (error) => {
        emit(error === undefined ? { type: "storeBack" } : { type: "storeLost", error })
        if (error === undefined) this.#sweeper.hurry(true)
      },
      onSuspended: (ms) => emit({ type: "suspended", ms, what: "machine" }),
      onFault,
      onKeeperSilent: () => link.giveUp("trust ended, and it did not tell"),
      onDead: () => {
        this.#dead = true
        host.onDead(this)
      },
    })
    this.assigner = new Assigner({
      engine,
      pool,
      session,
      shards,
      clock,
      emit,
      settleMs: options.settleMs,
      membership: this.membership,
      config: host.config,
      onChange: () => this.#onAssignment(),
    })
    this.#channels = new Channels({
      engine,
      pool,
      onHint: (hint) => this.#onHint(hint),
      onRequest: (shard, text) => this.#onRequest(shard, text),
    })
    this.#claimer = new Claimer({
      engine,
      pool,
      session,
      mayClaim: () => !this.#draining && this.#trust.mayTake() && clock() >= host.claimFrom,
      wanted: () => this.#wanted(),
      giveUpForeign: () => this.#giveUpForeign(),
      listen: (some) => this.#channels.listen(some),
      onClaimed: (shard, epoch, active, from) => this.#onClaimed(shard, epoch, active, from),
      onForgotten: () => this.#trust.renewNow(),
      incarnation: host.incarnation,
      clock,
      graceMs: () => this.longestLease + marginMs,
      onFault: (error) => this.#onCallFailed(error),
    })
    this.#taker = new Taker({
      engine,
      stats: host.stats,
      pool,
      consumer,
      onFault,
      runners: this.runners,
      mayTake: () => this.#trust.mayTake(),
      storeNow: () => this.#storeNow(),
      setStoreNow: (now, tookMs) => this.#answered(now, tookMs),
      onStale: (runner) => this.#depose(runner, "the store refused a take"),
      onUnknown: (some) => this.#sweeper.doubt(some),
      lateShards: () => this.#commits.lateShards(),
    })
    this.#commits = new CommitSender({
      engine,
      stats: host.stats,
      pool,
      setStoreNow: (now, tookMs) => this.#answered(now, tookMs),
      onStale: (runner) => this.#depose(runner, "the store refused a commit"),
      onReady: (runner) => {
        runner.ready = true
        this.#taker.need(runner)
      },
      onDue: (runner) => this.#taker.arm(runner),
      onFault,
      onLate: () => this.#taker.pump(),
    })
    this.#handOver = new HandOver({
      engine,
      pool,
      consumer,
      clock,
      emit,
      onFault,
      onOverrun: host.onOverrun,
      drainMs: options.drainMs,
      subscribeMs: Math.min(options.drainBudgetMs, subscribeMs),
      forget: (runner) => {
        this.runners.delete(runner.shard)
        this.#taker.forget(runner)
      },
      foreign: (runner) => !this.#draining && this.runners.get(runner.shard) === runner && !this.#mine(runner.shard),
      onLeft: () => {
        if (!this.#stopped) this.#claimer.evaluate()
      },
    })
    this.#sweeper = new Sweeper({
      engine,
      stats: host.stats,
      pool,
      session,
      shards,
      consumer,
      clock,
      emit,
      trusted,
      sweepMs: options.sweepMs,
      runners: this.runners,
      ownerOf: (shard) => this.assigner.ownerOf(shard),
      concerned: (shard) => this.runners.has(shard) || this.#handOver.leaves(shard) || this.#mine(shard),
      heirs: (shard) => this.assigner.heirs(shard),
      standIn: (shard) => this.#standIn(shard),
      need: (runner) => this.#taker.need(runner),
      arm: (runner) => this.#taker.arm(runner),
      onStale: (runner) => this.#depose(runner, "the store names another owner"),
      note: (header) => this.#claimer.note(header),
      members: () => this.membership.entries.size,
      evaluate: () => this.#claimer.evaluate(),
      onFault: (error) => this.#onCallFailed(error),
    })
  }

  /** Joins. The session is a member of the pool when this resolves; its shards come later. */
  static async open(host: SessionHost, record: MemberRecord): Promise<Session> {
    const { engine, pool, direct, clock, threaded, options, onOverrun, emit } = host
    const warn = (text: string): void => emit({ type: "warning", text })
    const onBlocked = (blocked: BlockedLoop): void => emit({ type: "loopBlocked", ...blocked })
    const onSuspended = (ms: number): void => emit({ type: "suspended", ms, what: "process" })
    const link = await openKeeperLink({ engine, pool, clock, threaded, warn, onBlocked, onSuspended })
    const registration = await Registration.open({ engine, link, pool, record, direct, clock }).catch(async (error: unknown) => {
      await link.end()
      throw error
    })
    const sentAt = registration.sentAt + link.offset
    const memory = link.memory(sentAt)
    const session = new Session(host, record, registration, link, memory)
    session.#trust.start(link.keep({ pool, session: session.id, options, onOverrun, sentAt }, memory, session.#trust))
    registration.start({
      onLife: (life) => session.#onLife(life),
      onRefused: () => session.#trust.renewNow(),
      onUnseen: host.onUnseen,
      onFault: host.onFault,
    })
    try {
      await session.#follow()
    } catch (error) {
      session.#end()
      await session.#leave()
      throw error
    }
    return session
  }

  async #follow(): Promise<void> {
    const { engine, pool, emit, config } = this.#host
    this.membership.onChange((changes) => {
      for (const change of changes) {
        if (change.type === "remove") emit({ type: "memberLeft", session: change.key })
        else if (change.previous === undefined) emit({ type: "memberJoined", session: change.key })
      }
      for (const { leaseMs } of this.membership.entries.values()) this.longestLease = Math.max(this.longestLease, leaseMs)
      this.#trust.setPeers(new Map([...this.membership.entries].map(([key, record]) => [key, peerOf(record)])))
      // O4: somebody joined a store that was emptied, and tells all who still listen.
      if (!this.membership.entries.has(this.id)) this.#trust.renewNow()
      // A holder may have died: what it held is free now.
      this.#claimer.evaluate()
    })
    this.#unfollow = config.map.onChange(() => this.assigner.refresh())
    this.#unsubscribe = await engine.subscribe(pool, "members", () => this.assigner.refresh())
    await this.membership.load()
    this.assigner.refresh()
  }

  get dead(): boolean {
    return this.#dead
  }

  wantMore(): void {
    this.#taker.pump()
  }

  /** Sweeps now. */
  sweep(): void {
    this.#sweeper.hurry()
  }

  /** A5. Resolves when all shards are released, or at the deadline. */
  async drain(reason: string | undefined, drainMs: number): Promise<void> {
    if (this.#stopped) return
    const { engine, pool, clock, options } = this.#host
    const end = clock() + drainMs
    this.#draining = true
    if (await settlesWithin(this.#registration.update({ leaving: true }), Math.min(handOverMs, drainMs))) this.assigner.refresh()
    // Until a new assignment is there, the shards run as before; without one (no other worker, no store) they are given up all the same.
    const handed = new Promise<void>((resolve) => (this.#onHanded = resolve))
    if (this.#holdsAssigned()) await settlesWithin(handed, Math.min(handOverMs, drainMs))
    // And further, while their assignees subscribe, and while what runs may end by itself.
    await this.#handOver.rest(() => this.runners.values(), Math.min(clock() + options.drainBudgetMs, end))
    await this.#handOver.giveUpAll(() => [...this.runners.values()], "drain", end)
    this.#handedOver = true
    await this.#handOver.allLeft()
    try {
      await engine.leave(pool, this.id)
    } catch (error) {
      // Not heard: the others will see it silent.
      this.#onCallFailed(error)
    }
    this.#end()
    await this.#leave()
    this.#host.emit({ type: "stopped", session: this.id, reason })
  }

  /** Ends at once, as a killed process does: nothing is released, no renewal is sent. */
  kill(): void {
    this.#deposeAll("the member was killed", true)
    this.#end()
    void this.#link.end()
  }

  /** Ends after the session was marked dead; resolves when its handlers have settled (or at the deadline). */
  async bury(): Promise<void> {
    this.#deposeAll("marked dead", true)
    this.#end()
    await this.#leave()
    await this.#handOver.allLeft()
  }

  /** By which others see it: last. */
  async #leave(): Promise<void> {
    await this.#registration.end()
    await this.#link.end()
  }

  #end(): void {
    if (this.#stopped) return
    this.#stopped = true
    this.#trust.stop()
    this.#registration.stop()
    this.assigner.stop()
    this.#claimer.stop()
    this.#taker.stop()
    this.#sweeper.stop()
    // A lost store cannot be told that nobody listens any more.
    this.#channels.keepOnly(() => false).catch(() => {})
    this.#unfollow?.()
    this.#unsubscribe?.().catch(() => {})
  }

  // --- ownership ---------------------------------------------------------------------------------------------------

  #onHanded: (() => void) | undefined

  #holdsAssigned(): boolean {
    return this.assigner.assignment?.ownerOf.includes(this.id) === true
  }

  /** By the assignment, or because its assignee did not claim it (A4). */
  #mine(shard: number): boolean {
    return this.assigner.ownerOf(shard) === this.id || this.#standsIn.has(shard)
  }

  #standIn(shard: number): void {
    if (this.#draining || this.#mine(shard)) return
    this.#standsIn.add(shard)
    this.#host.emit({ type: "stoodIn", shard, assignee: this.assigner.ownerOf(shard) })
    this.#claimer.evaluate()
  }

  #onAssignment(): void {
    if (this.assigner.version !== this.#followed) {
      this.#followed = this.assigner.version
      // A new assignment gives its assignees another chance.
      this.#standsIn.clear()
      this.#sweeper.proveClaims()
    }
    if (this.#draining && !this.#holdsAssigned()) this.#onHanded?.()
    this.#claimer.evaluate()
    this.#channels
      .keepOnly((shard) => this.#mine(shard) || this.runners.has(shard) || this.#handOver.leaves(shard))
      .catch((error: unknown) => this.#onCallFailed(error))
  }

  #wanted(): ReadonlyArray<number> {
    const wanted: Array<number> = []
    this.assigner.assignment?.ownerOf.forEach((_, shard) => {
      if (this.#mine(shard) && !this.runners.has(shard) && !this.#handOver.leaves(shard)) wanted.push(shard)
    })
    return wanted
  }

  #giveUpForeign(): void {
    if (this.assigner.assignment === undefined || this.#draining) return
    for (const runner of this.runners.values()) if (!this.#mine(runner.shard)) this.#handOver.move(runner)
  }

  #onClaimed(shard: number, epoch: number, active: ReadonlyArray<string>, from: ShardHeader): void {
    // An answer that comes when all is given up: nobody would give this one up, and who leaves frees what names it.
    if (this.#stopped || this.#handedOver || !this.#trust.trusted()) return
    const runner = new ShardRunner(
      {
        session: this.id,
        trusted: () => this.#trust.trusted(),
        confirmed: () => this.#trust.confirmed(),
        storeNow: () => this.#storeNow(),
        storeLatest: () => this.#storeLatest(),
        write: (owner, source) => this.#commits.send(owner, source),
        need: (owner) => this.#taker.need(owner),
        exhausted: (owner) => void this.#handOver.giveUp(owner, "moved"),
      },
      shard,
      epoch,
    )
    this.runners.set(shard, runner)
    const rescued = from.session !== "" && from.session !== this.id
    this.#host.emit(
      rescued
        ? { type: "rescued", shard, epoch, active: active.length, from: from.session }
        : { type: "claimed", shard, epoch, active: active.length },
    )
    runner.ready = true
    runner.reload(active)
  }

  /** The store refused the epoch, or names another owner. */
  #depose(runner: ShardRunner, why: string): void {
    runner.close()
    if (runner.closing) return
    this.#host.emit({ type: "deposed", shards: [runner.shard], why })
    void this.#handOver.giveUp(runner, "deposed")
  }

  /** `closed`: nothing counts any more. Else trust is still open, handlers settle and may still commit (S5). */
  #deposeAll(why: string, closed: boolean): void {
    const all = [...this.runners.values()]
    if (closed) this.#handOver.closeAll()
    if (all.length > 0) this.#host.emit({ type: "deposed", shards: all.map((runner) => runner.shard), why })
    for (const runner of all) {
      if (closed) runner.close()
      void this.#handOver.giveUp(runner, "deposed")
    }
    if (closed) this.#handOver.exitUnsettledSoon()
  }

  /** S8: with a part of its connections a session takes nothing new; `whole` again, it goes on where it was. */
  #onLife(life: OwnLife): void {
    if (this.#stopped) return
    this.#host.emit({ type: "connections", life })
    this.#trust.setLife(life)
    if (life !== "whole") return
    this.#taker.pump()
    this.#claimer.evaluate()
  }

  // --- bus ---------------------------------------------------------------------------------------------------------

  #onHint(hint: Hint): void {
    if (this.#stopped) return
    const runner = this.runners.get(hint.shard)
    switch (hint.type) {
      case "released":
        if (runner === undefined && this.#mine(hint.shard)) this.#claimer.released(hint.shard, hint.epoch)
        return
      case "ready":
        if (runner === undefined) return
        runner.ready = true
        // The hint does not tell whether a run is ready or a timer became earlier.
        runner.timers = true
        this.#taker.need(runner)
        return
      case "message":
        if (runner?.trusted() === true) this.#host.consumer.onMessage(runner, hint.address, hint.run, hint.message)
        return
      case "outbox":
        if (runner?.trusted() === true) this.#host.consumer.onOutbox?.(runner)
        return
      case "terminated":
        if (runner?.trusted() === true) this.#host.consumer.onTerminated(runner, hint.address, hint.run)
        return
    }
  }

  #onRequest(shard: number, text: string): void {
    const runner = this.runners.get(shard)
    if (runner?.trusted() === true) this.#host.consumer.onRequest(runner, text)
  }

  // --- store -------------------------------------------------------------------------------------------------------

  #storeNow(): number {
    return this.#host.storeClock?.() ?? this.#storeClock.now(this.#host.clock())
  }

  #storeLatest(): number {
    return this.#host.storeClock?.() ?? this.#storeClock.latest(this.#host.clock())
  }

  /** Of the data path: that it answers keeps the lease, too (S4). */
  #answered(now: number, tookMs: number): void {
    const at = this.#host.clock()
    this.#storeClock.heard(now, at, at - tookMs)
    this.#trust.answered(at)
  }

  /** A call of the slow cycles failed: they repeat by themselves. Only what is not an unreachable store is told. */
  #onCallFailed(error: unknown): void {
    if (!this.#stopped && !StoreUnavailable.is(error)) this.#host.onFault(error)
  }
}

const peerOf = (record: MemberRecord): Peer => ({
  leaseMs: record.leaseMs,
  graceMs: record.reconnectGraceMs ?? optionTable.reconnectGraceMs.default,
  life: record.life ?? "",
  record: encodeRecord(record),
})

/** A shard that moves to another worker runs on here for so long, while that one subscribes. */
const subscribeMs = 50
/** How long a draining member waits for a new assignment before it gives up its shards anyway. */
const handOverMs = 1_000
