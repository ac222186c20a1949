/**
 * A member of a pool: owns shards, brings their runs to its consumer, hands them over when it leaves. A member lives through an outage of
 * the store: when it was marked dead meanwhile, it joins again as a new session (S1).
 */
import type { Engine, Unsubscribe } from "../engine/engine.ts"
import { openPool } from "../engine/open-pool.ts"
import { PoolShutDown } from "../errors.ts"
import { shardOf } from "../key.ts"
import { readOptions, refuseUnknown } from "../options.ts"
import { registerMetrics } from "../telemetry/metrics.ts"
import type { OwnedShard, ShardConsumer } from "./consumer.ts"
import type { PoolEvent } from "./events.ts"
import { marginMs } from "./lease.ts"
import { checkDirect, checkGroup, checkGroups, checkOnOverrun, poolOptionNames, readPoolOptions } from "./options.ts"
import type { OnOverrun, PoolOptions } from "./options.ts"
import { ConfigMap } from "./pool-config.ts"
import { defaultGroup, describeSelf, newSession, type MemberRecord } from "./record.ts"
import { Session } from "./session.ts"
import { answerStats } from "./stats/answerer.ts"
import { WorkerStats } from "./stats/worker-stats.ts"

export interface JoinOptions {
  readonly engine: Engine
  readonly pool: string
  /** Fixed when the pool is first joined; default: those of the existing pool, else 256. */
  readonly shards?: number | undefined
  readonly group?: string | undefined
  readonly weight?: number | undefined
  /** Weights of the groups, as this member wants them; the youngest member's count. */
  readonly groups?: Readonly<Record<string, number>> | undefined
  /** Kinds that this member's consumer runs (A2). */
  readonly kinds: ReadonlyArray<string>
  readonly consumer: ShardConsumer | ((member: PoolMember) => ShardConsumer)
  readonly options?: Partial<PoolOptions> | undefined
  /** Nothing stands between this process and the store, although the store sees it at another address (S7); default: their addresses tell. */
  readonly directConnection?: boolean | undefined
  /** What becomes of handlers that have not settled when trust ended (S5); default "report". */
  readonly onOverrun?: OnOverrun | undefined
  readonly onEvent?: ((event: PoolEvent) => void) | undefined
  /** Monotonic, ms: for tests. The keeper then runs in the main loop. */
  readonly clock?: (() => number) | undefined
  /** The wall clock, ms: for tests; without it, none beside a `clock` of a test. */
  readonly wall?: (() => number) | undefined
  /** The store's clock, where a test moves it by hand; default: estimated from the store's answers. */
  readonly storeClock?: (() => number) | undefined
}

export interface DrainOptions {
  /** For the log. */
  readonly reason?: string
  /** Ms from now until shards are released whether their handlers settled or not; default `drainMs`. */
  readonly deadline?: number
}

const joinNames = [
  "engine",
  "pool",
  "shards",
  "group",
  "weight",
  "groups",
  "kinds",
  "consumer",
  "options",
  "directConnection",
  "onOverrun",
  "onEvent",
  "clock",
  "wall",
  "storeClock",
]

const rejoinMs = 250

export class PoolMember {
  readonly pool: string
  readonly shards: number
  readonly stats: WorkerStats
  /** Resolves when the member has left the pool or was killed. */
  readonly stopped: Promise<void>
  readonly #engine: Engine
  readonly #given: Pick<MemberRecord, "group" | "weight" | "kinds" | "leaseMs" | "reconnectGraceMs" | "groups">
  readonly #options: PoolOptions
  readonly #direct: boolean
  readonly #onOverrun: OnOverrun
  /** What was warned of. */
  #unseen: string | undefined
  readonly #consumer: ShardConsumer
  readonly #clock: () => number
  readonly #wall: (() => number) | undefined
  readonly #threaded: boolean
  readonly #storeClock: (() => number) | undefined
  readonly #onEvent: ((event: PoolEvent) => void) | undefined
  readonly #resolveStopped: () => void
  readonly #config: ConfigMap
  #session: Session | undefined
  #incarnation = ""
  #claimFrom = 0
  #drained: Promise<void> | undefined
  #killed = false
  /** Settles when the last session that was found dead is buried, and another one is there. */
  #joined: Promise<void> | undefined
  #unanswer: Unsubscribe | undefined
  #unregister: (() => void) | undefined

  constructor(given: JoinOptions, shards: number, options: PoolOptions, weight: number, config: ConfigMap) {
    this.#config = config
    this.pool = given.pool
    this.shards = shards
    this.#engine = given.engine
    this.#options = options
    this.#direct = checkDirect(given.directConnection)
    this.#onOverrun = checkOnOverrun(given.onOverrun)
    this.#clock = given.clock ?? (() => performance.now())
    this.#threaded = given.clock === undefined
    this.#wall = given.wall ?? (this.#threaded ? () => Date.now() : undefined)
    this.#storeClock = given.storeClock
    this.#onEvent = given.onEvent
    this.#given = {
      group: checkGroup(given.group ?? defaultGroup),
      weight,
      kinds: [...given.kinds],
      leaseMs: options.leaseMs,
      reconnectGraceMs: options.reconnectGraceMs,
      groups: checkGroups(given.groups),
    }
    const { promise, resolve } = Promise.withResolvers<void>()
    this.stopped = promise
    this.#resolveStopped = resolve
    this.stats = new WorkerStats(options.statsWindowMs, () => this.#consumer.use())
    this.#consumer = typeof given.consumer === "function" ? given.consumer(this) : given.consumer
  }

  /** The id of the current session; another one after an outage in which this member was marked dead. */
  get session(): string {
    return this.#session?.id ?? ""
  }

  get group(): string {
    return this.#given.group
  }

  /** The shards that this member holds now. */
  owned(): ReadonlyArray<OwnedShard> {
    return this.#session === undefined ? [] : [...this.#session.runners.values()]
  }

  members(): ReadonlyArray<MemberRecord> {
    return this.#session === undefined ? [] : [...this.#session.membership.entries.values()]
  }

  /** Who shall run the key, by the assignment as known here: advice, only leases give rights. */
  ownerOf(key: string): { readonly shard: number; readonly session: string | undefined } {
    const shard = shardOf(key, this.shards)
    const owner = this.#session?.assigner.ownerOf(shard) ?? ""
    return { shard, session: owner === "" ? undefined : owner }
  }

  /** The consumer has capacity again. */
  wantMore(): void {
    this.#session?.wantMore()
  }

  /** Looks at all owned shards now instead of at the next sweep: for tests with a clock of their own. */
  sweep(): void {
    this.#session?.sweep()
  }

  /** Leaves the pool: hands over all shards (A5). Resolves with `stopped`. */
  drain(options: DrainOptions = {}): Promise<void> {
    this.#drained ??= (async () => {
      try {
        await this.#session?.drain(options.reason, options.deadline ?? this.#options.drainMs)
        // It was dead: its handlers settle, and a session that joins in its place leaves again.
        for (let joined: Promise<void> | undefined; joined !== this.#joined; await joined) joined = this.#joined
      } finally {
        await this.#config.map.close().catch(() => {})
        this.#unmeasure()
        this.#resolveStopped()
      }
    })()
    return this.#drained
  }

  /** For tests: ends as a killed process does. Nothing is released and no renewal is sent. */
  kill(): void {
    this.#killed = true
    this.#session?.kill()
    this.#config.map.close().catch(() => {})
    this.#unmeasure()
    this.#resolveStopped()
  }

  /** Begins to count, and to tell who asks for `stats()`. */
  async measure(): Promise<void> {
    this.stats.start()
    this.#unregister = registerMetrics({ pool: this.pool, group: this.group }, this.stats)
    this.#unanswer = await answerStats(this.#engine, this.pool, () => this.stats.report(this.session, this.group))
    if (this.#leaving) this.#unmeasure()
  }

  #unmeasure(): void {
    this.stats.stop()
    this.#unregister?.()
    this.#unanswer?.().catch(() => undefined)
    this.#unregister = undefined
    this.#unanswer = undefined
  }

  get #leaving(): boolean {
    return this.#killed || this.#drained !== undefined
  }

  #emit(event: PoolEvent): void {
    this.stats.happened(event)
    this.#onEvent?.(event)
  }

  /** Once: each further connection would say the same. */
  #warnUnseen(why: string): void {
    if (this.#unseen !== undefined) return
    this.#unseen = why
    const text = `pool "${this.pool}": others cannot see this process die and replace it only ${this.#options.leaseMs} ms after: ${why}`
    this.#emit({ type: "warning", text })
  }

  /** Once joined: a pool that is shut down, now or later, is left. */
  followConfig(): void {
    const look = (): void => {
      if (this.#config.config.shutDownAt === undefined || this.#leaving) return
      this.drain({ reason: "the pool was shut down" }).catch((error: unknown) => this.#emit({ type: "fault", error }))
    }
    this.#config.map.onChange(look)
    look()
  }

  /** Joins the pool as a new session. */
  async join(previous: string | undefined): Promise<void> {
    const { incarnation, now } = await openPool(this.#engine, this.pool, this.shards)
    // O4: after the store was emptied, others may still be within their trust.
    if (this.#incarnation !== "" && this.#incarnation !== incarnation)
      this.#claimFrom = this.#clock() + (this.#session?.longestLease ?? this.#options.leaseMs) + marginMs
    this.#incarnation = incarnation
    const record = describeSelf(newSession(now), now, this.#given)
    const session = await Session.open(
      {
        engine: this.#engine,
        pool: this.pool,
        shards: this.shards,
        incarnation,
        config: this.#config,
        options: this.#options,
        direct: this.#direct,
        onOverrun: this.#onOverrun,
        consumer: this.#consumer,
        stats: this.stats,
        clock: this.#clock,
        wall: this.#wall,
        threaded: this.#threaded,
        storeClock: this.#storeClock,
        claimFrom: this.#claimFrom,
        emit: (event) => this.#emit(event),
        onFault: (error) => this.#emit({ type: "fault", error }),
        onUnseen: (why) => this.#warnUnseen(why),
        onDead: (dead) => this.#onDead(dead),
      },
      record,
    )
    this.#session = session
    this.#emit({ type: "joined", session: session.id, previous })
    if (this.#killed) session.kill()
    else if (session.dead) this.#onDead(session)
  }

  /** One that died while it was opened is not this member's session yet: `join` looks at it. */
  #onDead(dead: Session): void {
    if (dead !== this.#session) return
    this.#joined = this.#joinAgain(dead).catch((error: unknown) => this.#emit({ type: "fault", error }))
  }

  /** Its handlers settle first: the same keys may come back to this process at once (W5). */
  async #joinAgain(dead: Session): Promise<void> {
    await dead.bury()
    while (!this.#leaving) {
      try {
        await this.join(dead.id)
        // Asked to leave while it joined.
        if (this.#drained !== undefined) await this.#session?.drain(undefined, this.#options.drainMs)
        return
      } catch (error) {
        this.#emit({ type: "storeLost", error })
        await new Promise((resolve) => setTimeout(resolve, rejoinMs))
      }
    }
  }
}

/** Joins a pool as a worker. Resolves when the session is a member; shards are claimed from then on. */
export const joinPool = async (given: JoinOptions): Promise<PoolMember> => {
  refuseUnknown(given, joinNames, "joinPool")
  const options = given.options ?? {}
  refuseUnknown(options, poolOptionNames, "options of joinPool")
  const settings = readPoolOptions(options)
  const { weight } = readOptions(given.weight === undefined ? {} : { weight: given.weight }, ["weight"])
  const { shards } = await openPool(
    given.engine,
    given.pool,
    given.shards === undefined ? undefined : readOptions({ shards: given.shards }, ["shards"]).shards,
  )
  const config = await ConfigMap.join(given.engine, given.pool)
  try {
    if (config.config.shutDownAt !== undefined)
      throw new PoolShutDown(
        `the pool "${given.pool}" was shut down at ${new Date(config.config.shutDownAt).toISOString()}, and no worker may join it. ` +
          "Open it again with pool.reopen().",
        { pool: given.pool },
      )
    const member = new PoolMember(given, shards, settings, weight, config)
    await member.join(undefined)
    try {
      await member.measure()
    } catch (error) {
      await member.drain()
      throw error
    }
    member.followConfig()
    return member
  } catch (error) {
    await config.map.close().catch(() => {})
    throw error
  }
}
