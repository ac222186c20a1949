/**
 * The low-level pool: placement without a durable runtime. Keys are dispatched with bytes, run on the worker that owns them, and move when
 * workers come and go. A program that only dispatches needs no worker.
 */
import { randomBytes } from "node:crypto"
import { Batcher } from "../engine/batcher.ts"
import type {
  Engine,
  MessageItem,
  MessageReply,
  StartItem,
  StartReply,
  TerminateItem,
  TerminateReply,
  Unsubscribe,
} from "../engine/engine.ts"
import { openEngine } from "../engine/open.ts"
import { openPool } from "../engine/open-pool.ts"
import { BadOption, InboxFull, RunNotFound, StoreFault, Terminated, WaitTimeout } from "../errors.ts"
import { addressOf, checkKey, checkPoolName, shardOf } from "../key.ts"
import { optionTable, readOptions, refuseUnknown } from "../options.ts"
import type { PoolEvent } from "./events.ts"
import { Groups } from "./groups.ts"
import { JobDesk } from "./job-desk.ts"
import { joinPool } from "./member.ts"
import { checkDirect, checkGroup, checkGroups, checkOnOverrun, poolOptionNames, readPoolOptions } from "./options.ts"
import type { OnOverrun, PoolOptions } from "./options.ts"
import { checkPayload, resultOf, stoppedOutcome, toBytes, toText } from "./payload.ts"
import { decodeAssignment } from "./placement.ts"
import { planFor, type Plan, type PlanChange } from "./plan.ts"
import { ConfigMap } from "./pool-config.ts"
import { decodeRecord } from "./record.ts"
import { Worker } from "./pool-worker.ts"
import { StatsReader, type PoolStats, type StatsOptions } from "./stats/pool-stats.ts"

/** The kind of all jobs of low-level pools: no definition can have this name. */
const kind = "~"
const listPage = 100
/** A lost event must not make a waiter wait for ever (W7). */
const pollMs = 1_000

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
  /** `redis://…`, `rediss://…`, `file:…` or `memory:<name>`; default: the environment's `PONOS_STORE`. */
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
}

export interface Owner {
  readonly shard: number
  /** Session id: `worker.id`. */
  readonly session: string
  /** Of the last claim of the shard. */
  readonly epoch: number
  /** False while the shard is on its way to the worker: it is assigned, and nobody holds it. */
  readonly held: boolean
  readonly group: string
  readonly host: string
  readonly pid: number
}

/** A worker of the pool, in whatever process. */
export interface WorkerInfo {
  readonly session: string
  readonly group: string
  readonly weight: number
  /** Shards that are assigned to it. */
  readonly shards: number
  /** It drains. */
  readonly leaving: boolean
  /** Epoch ms of the store's clock. */
  readonly joinedAt: number
  readonly host: string
  readonly pid: number
}

export interface JobInfo {
  readonly key: string
  readonly payload: Uint8Array
  /** `waiting` for a worker, or `running` on one. */
  readonly status: "waiting" | "running"
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
  readonly #starts: Batcher<StartItem, StartReply>
  readonly #messages: Batcher<MessageItem, MessageReply>
  readonly #stops: Batcher<TerminateItem, TerminateReply>
  readonly #stats: StatsReader
  /** Those who wait for an end, by shard. */
  readonly #waiters = new Map<number, Set<() => void>>()
  readonly #events = new Map<number, Promise<Unsubscribe>>()
  #kindAdded: Promise<void> | undefined
  #config: Promise<ConfigMap> | undefined
  #closed: Promise<void> | undefined

  private constructor(name: string, shards: number, engine: Engine, given: PoolJoinOptions, limits: Limits) {
    this.name = name
    this.shards = shards
    this.#engine = engine
    this.#given = given
    this.#limits = limits
    this.groups = new Groups({ engine, pool: name, config: () => this.#joinConfig() })
    this.#stats = new StatsReader(name, () => Promise.resolve({ engine, shards }))
    this.#starts = new Batcher((items: ReadonlyArray<StartItem>) => engine.start(name, items))
    this.#messages = new Batcher((items: ReadonlyArray<MessageItem>) => engine.message(name, items))
    this.#stops = new Batcher((items: ReadonlyArray<TerminateItem>) => engine.terminate(name, items))
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
          wantMore: () => self.wantMore(),
          onUnsettled: ({ shard }, reason, addresses) => emit({ type: "overrun", shard, reason, addresses }),
          onFault: (error) => emit({ type: "fault", error }),
        })),
    })
    const worker = new Worker(member, desk as JobDesk)
    this.#workers.add(worker)
    void worker.stopped.then(() => this.#workers.delete(worker))
    return worker
  }

  /** Starts the key's job, on the worker that owns the key, unless it has one. */
  async dispatch(key: string, payload: Uint8Array): Promise<Dispatched> {
    const address = this.#address(key)
    const body = toText(checkPayload(payload, this.#limits.payloadBytes, `the payload of "${key}"`))
    // A2: whoever starts a kind first makes it one of the pool's.
    this.#kindAdded ??= this.#engine.addKinds(this.name, [kind]).catch((error: unknown) => {
      this.#kindAdded = undefined
      throw error
    })
    await this.#kindAdded
    const { status, run } = await this.#starts.add({ ...address, run: newId(), body })
    if (status === "started" || status === "running") return { status, run }
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
    const { shard } = this.#address(key)
    const [[header], assigned, { members }] = await Promise.all([
      this.#engine.headers(this.name, [shard]),
      this.#engine.assignment(this.name),
      this.#engine.members(this.name),
    ])
    const recordOf = (session: string | undefined) => members.find((entry) => entry.session === session)?.record
    const holder = recordOf(header?.session)
    const record = holder ?? recordOf(decodeAssignment(assigned.value)?.ownerOf[shard])
    if (record === undefined) return undefined
    const { session, group, host, pid } = decodeRecord(record)
    return { shard, session, epoch: header?.epoch ?? 0, held: holder !== undefined, group, host, pid }
  }

  /** All workers of the pool, in the order in which they joined. */
  async workers(): Promise<ReadonlyArray<WorkerInfo>> {
    const [entry, { members }] = await Promise.all([this.#engine.assignment(this.name), this.#engine.members(this.name)])
    const ownerOf = decodeAssignment(entry.value)?.ownerOf ?? []
    return members.map(({ record }) => {
      const { session, group, weight, leaving, joinedAt, host, pid } = decodeRecord(record)
      return { session, group, weight, shards: ownerOf.filter((owner) => owner === session).length, leaving, joinedAt, host, pid }
    })
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

  /** All jobs that wait or run, shard by shard, in no order. */
  async *jobs(): AsyncGenerator<JobInfo, void, undefined> {
    for (let shard = 0; shard < this.shards; shard++) {
      let cursor = "0"
      // A page may repeat what an earlier one showed.
      const seen = new Set<string>()
      do {
        const page = await this.#engine.list(this.name, shard, cursor, listPage)
        cursor = page.cursor
        for (const { address, run, phase, body } of page.runs) {
          if (!address.startsWith(`${kind}/`) || phase === "ended" || seen.has(run)) continue
          seen.add(run)
          yield { key: address.slice(kind.length + 1), payload: toBytes(body), status: phase === "active" ? "running" : "waiting" }
        }
      } while (cursor !== "0")
    }
  }

  /** Waits for the end of the key's job and gives what `job.done` was given. Throws `Terminated` when it was stopped. */
  async result(key: string, options: { readonly run?: string; readonly timeoutMs?: number } = {}): Promise<Uint8Array> {
    refuseUnknown(options, ["run", "timeoutMs"], "result")
    const { shard, address } = this.#address(key)
    const timeoutMs = options.timeoutMs ?? Number.POSITIVE_INFINITY
    const end = performance.now() + timeoutMs
    await this.#listen(shard)
    for (;;) {
      const { changed, forget } = this.#nextEnd(shard)
      try {
        const [record] = await this.#engine.read(this.name, [{ shard, address }])
        if (record === undefined || (options.run !== undefined && record.run !== options.run))
          throw new RunNotFound(`the job "${key}" is not there: it was never dispatched, or ended longer ago than its result is kept`, {
            key,
          })
        if (record.phase === "ended") {
          const result = resultOf(record.outcome ?? "")
          if (result !== undefined) return result
          throw new Terminated(`the job "${key}" was stopped: it has no result`, { key })
        }
        const left = end - performance.now()
        if (left <= 0)
          throw new WaitTimeout(`the job "${key}" did not end within ${timeoutMs} ms: it goes on, ask again`, { key, timeoutMs })
        await changed(Math.min(pollMs, left))
      } finally {
        forget()
      }
    }
  }

  /** Stops the workers that were added here, and closes the store. */
  close(): Promise<void> {
    this.#closed ??= (async () => {
      await Promise.all([...this.#workers].map((worker) => worker.stop()))
      await Promise.allSettled([...this.#events.values()].map(async (subscription) => await (await subscription)()))
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
    if (this.#closed !== undefined) throw new BadOption(`expected the pool "${this.name}" to be open, but it was closed`)
    return { shard: shardOf(key, this.shards), address: addressOf(kind, key) }
  }

  async #listen(shard: number): Promise<void> {
    let events = this.#events.get(shard)
    if (events === undefined) {
      events = this.#engine.onEvent(this.name, shard, () => {
        for (const wake of this.#waiters.get(shard) ?? []) wake()
      })
      events.catch(() => this.#events.delete(shard))
      this.#events.set(shard, events)
    }
    await events
  }

  /** Begins to listen now; `changed` resolves at an end on the shard since then, or after `ms`. */
  #nextEnd(shard: number): { readonly changed: (ms: number) => Promise<void>; readonly forget: () => void } {
    const waiters = this.#waiters.get(shard) ?? new Set()
    this.#waiters.set(shard, waiters)
    const { promise, resolve } = Promise.withResolvers<void>()
    waiters.add(resolve)
    return {
      async changed(ms) {
        const timer = setTimeout(resolve, ms)
        await promise
        clearTimeout(timer)
      },
      forget: () => waiters.delete(resolve),
    }
  }
}
