/**
 * The low-level pool: placement without a durable runtime. Keys are dispatched with bytes, run on the worker that owns them, and move when
 * workers come and go. A program that only dispatches needs no worker.
 */
import { randomBytes } from "node:crypto"
import { ShardBatcher } from "../engine/shard-batcher.ts"
import type { Engine, MessageItem, MessageReply, StartItem, StartReply, TerminateItem, TerminateReply } from "../engine/engine.ts"
import { openEngine } from "../engine/open.ts"
import { openPool } from "../engine/open-pool.ts"
import type { DurationInput } from "../define/index.ts"
import { BadOption, InboxFull, RunNotFound, StoreFault } from "../errors.ts"
import { addressOf, checkKey, checkPoolName, shardOf } from "../key.ts"
import { optionTable, readOptions, refuseUnknown, toMillis } from "../options.ts"
import type { JoinedMap } from "../rmap/joined-map.ts"
import { Ends } from "./ends.ts"
import type { PoolEvent } from "./events.ts"
import { Groups } from "./groups.ts"
import { JobDesk } from "./job-desk.ts"
import { joinPool } from "./member.ts"
import { checkDirect, checkGroup, checkGroups, checkOnOverrun, poolOptionNames, readPoolOptions } from "./options.ts"
import type { OnOverrun, PoolOptions } from "./options.ts"
import { bodyOf, checkPayload, stoppedOutcome, toText } from "./payload.ts"
import { decodeAssignment } from "./placement.ts"
import { planFor, type Plan, type PlanChange } from "./plan.ts"
import { ConfigMap, joinOwnMap } from "./pool-config.ts"
import { decodeRecord } from "./record.ts"
import { infoOf, jobsOf, kind, ownerOfShard, workersOf, type JobInfo, type Owner, type WorkerInfo } from "./pool-view.ts"
import { runSchedule, type Producer, type ScheduleHost } from "./schedule.ts"
import { reopen, shutDown } from "./shut-down.ts"
import { Starts, startsChannel } from "./starts.ts"
import { ticks, type Tick } from "./ticker.ts"
import { Worker } from "./pool-worker.ts"
import { StatsReader, type PoolStats, type StatsOptions } from "./stats/pool-stats.ts"

const everyMinMs = 10

/** A slow proof for jobs that wait for a notification whose hint was lost: at most this many a second. */
const provedPerSecond = 200
const limitNames = ["payloadBytes", "inboxLimit", "resultRetentionMs", "requestRetentionMs"] as const
const poolNames = [
  "store",
  "shards",
  "groups",
  "onEvent",
  "callTimeoutMs",
  "auditLength",
  "directConnection",
  "onOverrun",
  ...limitNames,
  ...poolOptionNames,
]
const workerNames = ["group", "weight", "maxResident", "onEvent", ...poolOptionNames]

type Limits = { readonly [K in (typeof limitNames)[number]]: number }

export interface PoolJoinOptions extends Partial<PoolOptions>, Partial<Limits> {
  /** `redis://…`, `rediss://…`, `redis+sentinel://…` (docs/redis.md), `file:…` or `memory:<name>`; default: the environment's `PONOS_STORE`. */
  readonly store?: string | undefined
  /** Fixed when the pool is first joined; default: what the pool has, else 256. */
  readonly shards?: number
  /** Weights of groups of workers: each owns that part of the shards. */
  readonly groups?: Readonly<Record<string, number>>
  /** Deadline of one store call, ms. */
  readonly callTimeoutMs?: number
  /** Claims and releases that the audit of each shard keeps. */
  readonly auditLength?: number
  /** Nothing stands between this process and Redis, although Redis sees it at another address; default: their addresses tell. */
  readonly directConnection?: boolean
  /** Ends the process (SIGKILL) when jobs of a worker have not settled at the end of its trust; default "report". */
  readonly onOverrun?: OnOverrun
  /** Events of all workers that are added here. */
  readonly onEvent?: (event: PoolEvent) => void
}

export interface WorkerOptions extends Partial<PoolOptions> {
  readonly group?: string
  readonly weight?: number
  /** Jobs held at the same time. */
  readonly maxResident?: number
  readonly onEvent?: (event: PoolEvent) => void
}

export interface Dispatched {
  /** `running`: the key has a job already, which goes on; the payload was not used. */
  readonly status: "started" | "running"
  /** Id of the run. */
  readonly run: string
  /** With `startedWithinMs`: the worker that started it, unless its answer was lost. */
  readonly session: string | undefined
}

const newId = (): string => randomBytes(12).toString("base64url")

export class Pool implements AsyncDisposable {
  readonly name: string
  readonly shards: number
  /** Groups of workers: added, re-weighted and removed while the pool runs. */
  readonly groups: Groups
  readonly #engine: Engine
  readonly #given: PoolJoinOptions
  readonly #limits: Limits
  readonly #workers = new Set<Worker>()
  readonly #starts: ShardBatcher<StartItem, StartReply>
  readonly #messages: ShardBatcher<MessageItem, MessageReply>
  readonly #stops: ShardBatcher<TerminateItem, TerminateReply>
  readonly #stats: StatsReader
  readonly #ends: Ends
  readonly #begins: Starts
  readonly #replyTo = newId()
  #kindAdded: Promise<void> | undefined
  #config: Promise<ConfigMap> | undefined
  #tickers: Promise<JoinedMap> | undefined
  #closed: Promise<void> | undefined

  private constructor(name: string, shards: number, engine: Engine, given: PoolJoinOptions, limits: Limits) {
    this.name = name
    this.shards = shards
    this.#engine = engine
    this.#given = given
    this.#limits = limits
    this.groups = new Groups({ engine, pool: name, config: () => this.#joinConfig() })
    this.#ends = new Ends(engine, name)
    this.#begins = new Starts({ engine, pool: name, id: this.#replyTo })
    this.#stats = new StatsReader(name, () => Promise.resolve({ engine, shards }))
    this.#starts = ShardBatcher.of(engine, name, (items) => engine.start(name, items))
    this.#messages = ShardBatcher.of(engine, name, (items) => engine.message(name, items))
    this.#stops = ShardBatcher.of(engine, name, (items) => engine.terminate(name, items))
  }

  /** Opens the pool, for dispatching, and for adding workers. */
  static async join(name: string, store?: string | PoolJoinOptions): Promise<Pool> {
    const given: PoolJoinOptions = store === undefined || typeof store === "string" ? { store } : store
    checkPoolName(name)
    refuseUnknown(given, poolNames, "Pool.join")
    const limits = readOptions({ ...given }, limitNames)
    readPoolOptions({ ...given })
    checkGroups(given.groups)
    checkDirect(given.directConnection)
    checkOnOverrun(given.onOverrun)
    const { shards } = given.shards === undefined ? { shards: undefined } : readOptions({ shards: given.shards }, ["shards"])
    const { callTimeoutMs, auditLength } = readOptions({ ...given }, ["callTimeoutMs", "auditLength"])
    const engine = await openEngine(given.store, { callTimeout: callTimeoutMs, auditLength })
    try {
      const info = await openPool(engine, name, shards)
      return new Pool(name, info.shards, engine, given, limits)
    } catch (error) {
      await engine.close()
      throw error
    }
  }

  /** Adds a worker to the pool: it gets its part of the shards. Options that are not given are those of the pool. */
  async addWorker(options: WorkerOptions = {}): Promise<Worker> {
    refuseUnknown(options, workerNames, "addWorker")
    if (options.group !== undefined) checkGroup(options.group)
    const picked: Record<string, unknown> = {}
    for (const option of poolOptionNames) {
      const value = options[option] ?? this.#given[option]
      if (value !== undefined) picked[option] = value
    }
    const settings = readPoolOptions(picked)
    const { maxResident } = readOptions({ ...options }, ["maxResident"])
    const emit = (event: PoolEvent): void => {
      this.#given.onEvent?.(event)
      options.onEvent?.(event)
    }
    let desk: JobDesk | undefined
    const member = await joinPool({
      engine: this.#engine,
      pool: this.name,
      shards: this.shards,
      group: options.group,
      weight: options.weight,
      groups: this.#given.groups,
      kinds: [kind],
      options: settings,
      directConnection: this.#given.directConnection,
      onOverrun: this.#given.onOverrun,
      onEvent: emit,
      consumer: (self) =>
        (desk = new JobDesk({
          maxResident,
          // Where overlap is worse than a restart, nothing is let go of while its code runs (A5).
          abortGraceMs: this.#given.onOverrun === "exit" ? undefined : settings.abortGraceMs,
          payloadBytes: this.#limits.payloadBytes,
          resultRetentionMs: this.#limits.resultRetentionMs,
          stats: self.stats,
          answer: (replyTo, answer) =>
            void this.#engine.publish(this.name, startsChannel(replyTo), JSON.stringify(answer)).catch(() => undefined),
          wantMore: () => self.wantMore(),
          onUnsettled: ({ shard }, reason, addresses) => emit({ type: "overrun", shard, reason, addresses }),
          onFault: (error) => emit({ type: "fault", error }),
        })),
    })
    const worker = new Worker(member, desk as JobDesk)
    this.#workers.add(worker)
    const prove = setInterval(() => desk?.proveMessages(provedPerSecond), 1_000).unref()
    void worker.stopped.then(() => {
      clearInterval(prove)
      this.#workers.delete(worker)
    })
    return worker
  }

  /**
   * Starts the key's job, on the worker that owns the key, unless it has one. Resolves when the store has it. With `startedWithinMs`, only when a
   * worker has started it: throws `JobRefused` when that one refuses, and `WaitTimeout` when none has taken it by then (it goes on waiting).
   */
  async dispatch(key: string, payload: Uint8Array, options: { readonly startedWithinMs?: number } = {}): Promise<Dispatched> {
    refuseUnknown(options, ["startedWithinMs"], "dispatch")
    const address = this.#address(key)
    checkPayload(payload, this.#limits.payloadBytes, `the payload of "${key}"`)
    // A2: whoever starts a kind first makes it one of the pool's.
    this.#kindAdded ??= this.#engine.addKinds(this.name, [kind]).catch((error: unknown) => {
      this.#kindAdded = undefined
      throw error
    })
    await this.#kindAdded
    const { startedWithinMs } = options
    if (startedWithinMs === undefined) return await this.#start(key, address, newId(), bodyOf(payload))
    checkWait(startedWithinMs, "startedWithinMs")
    await this.#begins.listen()
    const run = newId()
    const { answer, forget } = this.#begins.expect(run)
    try {
      const dispatched = await this.#start(key, address, run, bodyOf(payload, this.#replyTo))
      if (dispatched.status === "running") return dispatched
      const read = async () => (await this.#engine.read(this.name, [address]))[0]
      return { ...dispatched, session: await this.#begins.wait(key, run, startedWithinMs, answer, read) }
    } finally {
      forget()
    }
  }

  async #start(key: string, address: Omit<StartItem, "run" | "body">, newRun: string, body: string): Promise<Dispatched> {
    const { status, run } = await this.#starts.add({ ...address, run: newRun, body })
    if (status === "started" || status === "running") return { status, run, session: undefined }
    throw new StoreFault(`the store answered "${status}" to a dispatch of "${key}", which has no controller and accepts ended runs`)
  }

  /** Ends the key's job: its abortSignal fires, and the key is free. False when it has none. */
  async stop(key: string): Promise<boolean> {
    const { status } = await this.#stops.add({
      ...this.#address(key),
      outcome: stoppedOutcome,
      newRevision: newId(),
      retention: this.#limits.resultRetentionMs,
    })
    return status === "terminated"
  }

  /** Sends bytes to the key's job, which reads them in this order from `job.notifications()`, wherever it runs. */
  async notify(key: string, payload: Uint8Array): Promise<void> {
    const address = this.#address(key)
    const text = toText(checkPayload(payload, this.#limits.payloadBytes, `the notification of "${key}"`))
    const { status } = await this.#messages.add({
      ...address,
      kind: "signal",
      name: kind,
      id: newId(),
      payload: text,
      inboxLimit: this.#limits.inboxLimit,
      retention: optionTable.requestRetentionMs.min,
    })
    if (status === "accepted" || status === "duplicate") return
    if (status === "full")
      throw new InboxFull(
        `the job "${key}" has ${this.#limits.inboxLimit} unread notifications: wait until it reads some, or raise inboxLimit`,
        { key },
      )
    throw new RunNotFound(`the key "${key}" has no job to notify: dispatch it first`, { key })
  }

  /**
   * The worker that holds the key's shard now, or shall hold it; undefined when the key's group has no worker. The key need not have a job.
   */
  async owner(key: string): Promise<Owner | undefined> {
    return await ownerOfShard(this.#engine, this.name, this.#address(key).shard)
  }

  /** All workers of the pool, in the order in which they joined. */
  async workers(): Promise<ReadonlyArray<WorkerInfo>> {
    this.#checkOpen()
    return await workersOf(this.#engine, this.name)
  }

  /** What would move if the shards were assigned now, as all is or after a change. Nothing is written. */
  async plan(change: PlanChange = {}): Promise<Plan> {
    const [entry, kinds, { members }, config] = await Promise.all([
      this.#engine.assignment(this.name),
      this.#engine.kinds(this.name),
      this.#engine.members(this.name),
      this.#joinConfig(),
    ])
    return planFor(
      {
        shards: this.shards,
        members: new Map(members.map(({ session, record }) => [session, decodeRecord(record)])),
        kinds,
        config: config.config,
        previous: decodeAssignment(entry.value),
      },
      change,
    )
  }

  /** The group that owns the key; undefined before a worker joined. */
  async groupOf(key: string): Promise<string | undefined> {
    const { shard } = this.#address(key)
    return decodeAssignment((await this.#engine.assignment(this.name)).value)?.groupOf[shard]
  }

  /** How long jobs wait, how much runs, and how many workers it takes: by group and in total. For an autoscaler, ask every second or so. */
  async stats(options: StatsOptions = {}): Promise<PoolStats> {
    return await this.#stats.read(options)
  }

  /** The key's job; undefined when it has none. */
  async job(key: string): Promise<JobInfo | undefined> {
    const [record] = await this.#engine.read(this.name, [this.#address(key)])
    return record === undefined || record.phase === "ended" ? undefined : infoOf(record)
  }

  /** All jobs that wait or run, shard by shard, in no order. */
  jobs(): AsyncGenerator<JobInfo, void, undefined> {
    this.#checkOpen()
    return jobsOf(this.#engine, this.name, this.shards)
  }

  /**
   * Waits for the end of the key's job and gives what `job.done` was given. Throws `Terminated` when it was stopped, `JobRefused` when its worker
   * refused it.
   */
  async result(key: string, options: { readonly run?: string; readonly timeoutMs?: number } = {}): Promise<Uint8Array> {
    refuseUnknown(options, ["run", "timeoutMs"], "result")
    return await this.#ends.result({ key, ...this.#address(key), run: options.run }, options.timeoutMs ?? Number.POSITIVE_INFINITY)
  }

  /**
   * Ticks of one name, of which each goes to one of all who iterate it, in whatever process; a pool needs no worker for it. Slots are multiples of
   * `every` of the store's clock; what nobody took is one tick that says how many were missed (ticker.ts). Ends with the signal.
   */
  ticker(name: string, every: DurationInput, options: { readonly abortSignal?: AbortSignal } = {}): AsyncGenerator<Tick, void, undefined> {
    refuseUnknown(options, ["abortSignal"], "ticker")
    const everyMs = checkEvery(every)
    this.#checkOpen()
    return ticks(
      { engine: this.#engine, pool: this.name, map: () => this.#joinTickers() },
      checkKey(name, "the ticker's name"),
      everyMs,
      options.abortSignal,
    )
  }

  /**
   * At each tick of the name one member asks `producer` what shall run, and starts and stops jobs accordingly. Resolves when the signal fires;
   * what fails is told as a `fault`, and the next tick tries again.
   */
  async schedule(
    name: string,
    every: DurationInput,
    producer: Producer,
    options: { readonly abortSignal?: AbortSignal } = {},
  ): Promise<void> {
    if (typeof producer !== "function")
      throw new BadOption(`expected the producer of schedule "${name}" to be a function, got: ${typeof producer}`, { option: "producer" })
    const some = this.ticker(name, every, options)
    const tickers = await this.#joinTickers()
    const host: ScheduleHost = {
      dispatch: (key, payload) => this.dispatch(key, payload),
      stop: (key) => this.stop(key),
      jobs: () => this.jobs(),
      current: (tick) => tickers.get(tick.name) === String(tick.at),
      onFault: (error) => this.#given.onEvent?.({ type: "fault", error }),
    }
    await runSchedule(host, some, producer)
  }

  /**
   * Every worker of the pool, in every process, drains and stops, and none may join (`PoolShutDown`) until `reopen`. Jobs wait in the store, and
   * can still be dispatched. Resolves when no worker is left.
   */
  async shutdown(options: { readonly timeoutMs?: number } = {}): Promise<void> {
    refuseUnknown(options, ["timeoutMs"], "shutdown")
    this.#checkOpen()
    const timeoutMs = options.timeoutMs ?? 2 * (this.#given.drainMs ?? optionTable.drainMs.default)
    await shutDown({ engine: this.#engine, pool: this.name, config: () => this.#joinConfig() }, checkWait(timeoutMs, "timeoutMs"))
  }

  /** Workers may join again. */
  async reopen(): Promise<void> {
    this.#checkOpen()
    await reopen({ config: () => this.#joinConfig() })
  }

  /** Stops the workers that were added here, and closes the store. */
  close(): Promise<void> {
    this.#closed ??= (async () => {
      await Promise.all([...this.#workers].map((worker) => worker.stop()))
      await this.#ends.close()
      await this.#begins.close()
      await this.#tickers?.then((map) => map.close()).catch(() => {})
      await this.#config?.then(({ map }) => map.close()).catch(() => {})
      await this.#engine.close()
    })()
    return this.#closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #joinConfig(): Promise<ConfigMap> {
    this.#config ??= ConfigMap.join(this.#engine, this.name).catch((error: unknown) => {
      this.#config = undefined
      throw error
    })
    return this.#config
  }

  #address(key: string): { readonly shard: number; readonly address: string } {
    checkKey(key)
    this.#checkOpen()
    return { shard: shardOf(key, this.shards), address: addressOf(kind, key) }
  }

  #checkOpen(): void {
    if (this.#closed !== undefined) throw new BadOption(`expected the pool "${this.name}" to be open, but it was closed`)
  }

  #joinTickers(): Promise<JoinedMap> {
    this.#tickers ??= joinOwnMap(this.#engine, this.name, "~tickers").catch((error: unknown) => {
      this.#tickers = undefined
      throw error
    })
    return this.#tickers
  }
}

const checkWait = (ms: unknown, option: string): number => {
  if (typeof ms === "number" && ms >= 0) return ms
  throw new BadOption(`expected ${option} to be a number of milliseconds, got: ${JSON.stringify(ms)}`, { option, value: ms })
}

const checkEvery = (every: DurationInput): number => {
  const ms = toMillis(every, "every")
  if (ms >= everyMinMs) return Math.round(ms)
  throw new BadOption(`expected every to be at least ${everyMinMs} ms, got: ${JSON.stringify(every)}`, { option: "every", value: every })
}
