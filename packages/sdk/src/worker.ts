/** `createWorker`: wires engine, pool, runtime, activities and controllers; decides nothing. */
import { hostname } from "node:os"
import { Layer } from "effect"
import type { Codec } from "./codec/codec.ts"
import { CodecChain } from "./codec/codec.ts"
import { codedEngine } from "./engine/coded-engine.ts"
import { codedTasks } from "./runtime/coded-tasks.ts"
import { ShardBatcher } from "./engine/shard-batcher.ts"
import type { Engine } from "./engine/engine.ts"
import { openEngine } from "./engine/open.ts"
import { BadOption, HandlerMissing, PoolNotFound } from "./errors.ts"
import { checkPoolName } from "./key.ts"
import type { OptionName, Options } from "./options.ts"
import { defaults, readOptions, refuseUnknown } from "./options.ts"
import { requestChannel } from "./pool/channels.ts"
import type { PoolEvent } from "./pool/events.ts"
import { describeBlock } from "./pool/loop-watch.ts"
import type { PoolMember } from "./pool/member.ts"
import { joinPool } from "./pool/member.ts"
import type { OnOverrun } from "./pool/options.ts"
import { poolOptionNames } from "./pool/options.ts"
import { StatsReader, type PoolStats, type StatsOptions } from "./pool/stats/pool-stats.ts"
import { onSignals } from "./pool/signals.ts"
import type { ExecutorOptions } from "./runtime/activity-executor.ts"
import { executeTask, reportLost } from "./runtime/activity-executor.ts"
import { activityPlan } from "./runtime/activity-limits.ts"
import { LazyTaskQueue } from "./runtime/activity-queue-lazy.ts"
import { LocalTaskQueue } from "./runtime/activity-queue-local.ts"
import { StoredRates } from "./runtime/activity-rates.ts"
import type { ActivityHandlers, JobHandlers } from "./runtime/contract.ts"
import { Effects } from "./runtime/effects.ts"
import { byKind } from "./runtime/handlers.ts"
import type { WorkInterceptor } from "./runtime/interceptors.ts"
import { checkInterceptors } from "./runtime/interceptors.ts"
import { jobKind } from "./runtime/kind.ts"
import type { RuntimeEvent } from "./runtime/host.ts"
import { Runner } from "./runtime/runner.ts"
import type { Beat, Task, TaskQueue } from "./runtime/task.ts"
import { supervision } from "./supervision.ts"
import { registerActivities } from "./telemetry/activity-metrics.ts"

/** Options of the table that a worker takes. */
const workerOptionNames = [
  "shards",
  "weight",
  ...poolOptionNames,
  "concurrency",
  "maxResident",
  "parkAfterMs",
  "activityConcurrency",
  "callTimeoutMs",
  "auditLength",
  "payloadBytes",
  "inboxLimit",
  "inboxReserve",
  "journalLimit",
  "linkLimit",
  "outboxLimit",
  "resultRetentionMs",
  "requestRetentionMs",
] as const satisfies ReadonlyArray<OptionName>

export type WorkerEvent = PoolEvent | RuntimeEvent | { readonly type: "warning"; readonly text: string }

/** What a worker hosts beside its jobs: the controller package implements it. */
export interface HostedController {
  readonly name: string
  host(context: {
    readonly engine: Engine
    readonly pool: string
    readonly options: Partial<Options> & { readonly directConnection?: boolean | undefined }
  }): Promise<{
    drain(): Promise<void>
    readonly stopped: Promise<void>
  }>
}

type Services<X> = X extends { readonly _R?: () => infer R } ? R : never
type ServicesOf<J extends ReadonlyArray<JobHandlers<any>>, A extends ReadonlyArray<ActivityHandlers<any>>> =
  | Services<J[number]>
  | Services<A[number]>

export interface WorkerBaseOptions<J, A> extends Partial<Pick<Options, (typeof workerOptionNames)[number]>> {
  readonly pool: string
  /** `redis://…`, `rediss://…`, `redis+sentinel://…` (docs/redis.md), `file:…` or `memory:<name>`; default: the environment's `PONOS_STORE`. */
  readonly store?: string | undefined
  /** Nothing stands between this process and Redis, although Redis sees it at another address; default: their addresses tell. */
  readonly directConnection?: boolean
  /** Ends the process (SIGKILL) when handlers have not settled at the end of trust; default "report". */
  readonly onOverrun?: OnOverrun
  /** Group that this worker belongs to; default "default". */
  readonly group?: string
  /** Weights of groups, as this worker wants them. */
  readonly groups?: Readonly<Record<string, number>>
  readonly jobs?: J
  readonly activities?: A
  readonly controllers?: ReadonlyArray<HostedController>
  /** Drain at SIGTERM and SIGINT; default true. */
  readonly signals?: boolean
  /** Everything worth a log line; default: warnings and failures on stderr. */
  readonly onEvent?: (event: WorkerEvent) => void
  /** An engine that the caller opened and closes. */
  readonly engine?: Engine
  /** What payloads go through before they are stored, in this order: `[compress(), encrypt({ … })]`. All clients and workers need the same. */
  readonly codecs?: ReadonlyArray<Codec>
  /** Around each attempt of a handler, each step's body, each activity; the first is the outermost. */
  readonly interceptors?: ReadonlyArray<WorkInterceptor>
}

export type WorkerOptions<J extends ReadonlyArray<JobHandlers<any>>, A extends ReadonlyArray<ActivityHandlers<any>>> = WorkerBaseOptions<
  J,
  A
> &
  ([ServicesOf<J, A>] extends [never]
    ? { readonly layer?: Layer.Layer<never> }
    : {
        /** Services that handlers need. */
        readonly layer: Layer.Layer<ServicesOf<J, A>, any>
      })

export interface Worker extends AsyncDisposable {
  /** Id of this life of the worker in its pool; "" when it owns no shards. */
  readonly session: string
  /** Resolves when the worker has drained and let go of everything. */
  readonly stopped: Promise<void>
  /** Numbers of the shards that it owns now. */
  owned(): ReadonlyArray<number>
  /** How long runs of its pool wait, how much runs, and how many workers it takes: by group and in total. */
  stats(options?: StatsOptions): Promise<PoolStats>
  /** Takes nothing new, hands its shards over, ends. Resolves with `stopped`. */
  drain(): Promise<void>
  /** The same as `drain`. */
  close(): Promise<void>
}

/** A slow proof for handlers that wait for a message whose hint was lost: at most this many a second. */
const provedPerSecond = 200

export const createWorker = async <
  const J extends ReadonlyArray<JobHandlers<any>> = [],
  const A extends ReadonlyArray<ActivityHandlers<any>> = [],
>(
  options: WorkerOptions<J, A>,
): Promise<Worker> => {
  if (typeof options !== "object" || options === null)
    throw new BadOption(
      `expected createWorker to get an object with pool and at least one of jobs, activities and controllers, got: ${String(options)}`,
    )
  const supervisor = supervision()
  const worker = startWorker({ ...supervisor?.defaults, ...options }).then((started) => started.worker)
  supervisor?.started(worker)
  return await worker
}

/** A worker with its inner parts, for the test environment. */
export interface StartedWorker {
  readonly worker: Worker
  readonly member: PoolMember | undefined
  readonly runner: Runner | undefined
  readonly tasks: TaskQueue
}

export const startWorker = async (options: object, test: { readonly storeClock?: () => number } = {}): Promise<StartedWorker> => {
  const given = options as WorkerBaseOptions<ReadonlyArray<JobHandlers<any>>, ReadonlyArray<ActivityHandlers<any>>> & {
    readonly layer?: Layer.Layer<any, any>
  }
  const names = [
    "pool",
    "store",
    "directConnection",
    "onOverrun",
    "group",
    "groups",
    "jobs",
    "activities",
    "controllers",
    "signals",
    "onEvent",
    "engine",
    "codecs",
    "interceptors",
    "layer",
    ...workerOptionNames,
  ]
  refuseUnknown(given, names, "createWorker")
  checkPoolName(given.pool)
  const chosen = readOptions(given as unknown as Record<string, unknown>, workerOptionNames)
  const limits: Options = { ...defaults, ...chosen }
  const kinds = new Map([...byKind<JobHandlers<any>>(given.jobs ?? [], "JobHandlers")].map(([kind, job]) => [kind, jobKind(job)]))
  const activities = byKind<ActivityHandlers<any>>(given.activities ?? [], "ActivityHandlers")
  checkRest({ ...given })
  if (kinds.size === 0 && activities.size === 0 && (given.controllers ?? []).length === 0)
    throw new BadOption("expected createWorker to have at least one of jobs, activities and controllers, got none of them")
  const onEvent = given.onEvent ?? printEvent

  const interceptors = checkInterceptors(given.interceptors)
  const chain = given.codecs === undefined ? undefined : new CodecChain(given.codecs)
  const plain =
    given.engine ??
    (await openEngine(given.store, {
      callTimeout: limits.callTimeoutMs,
      auditLength: limits.auditLength,
      onWarning: (text) => onEvent({ type: "warning", text }),
    }))
  const engine = chain === undefined ? plain : codedEngine(plain, chain)
  const started: Array<() => Promise<void>> = []
  try {
    const effects = new Effects(given.layer)
    started.push(() => effects.dispose())
    const clock = test.storeClock ?? (() => performance.now())
    const queue = openTasks(engine, given.store ?? process.env["PONOS_STORE"] ?? engine.url, given.pool, clock, limits, onEvent)
    const tasks = chain === undefined ? queue : codedTasks(queue, given.pool, chain)
    started.push(() => tasks.drain(limits.drainMs))
    let member: PoolMember | undefined
    let runner: Runner | undefined
    if (activities.size > 0) {
      const names = [...activities].flatMap(([kind, { handlers }]) => Object.keys(handlers).map((name) => [kind, name] as const))
      const measured = registerActivities(given.pool, names)
      // the last to go: what a drain lets end is counted
      started.unshift(async () => measured.end())
      const executor: ExecutorOptions = {
        handlers: activities,
        effects,
        limits,
        interceptors,
        worker: `${hostname()}:${process.pid}`,
        tries: measured.of,
        onFailed: ({ kind, key, run, name: activity, try: attempt }, error) =>
          onEvent({ type: "activityFailed", kind, key, run, activity, attempt, error }),
        messages: ShardBatcher.of(engine, given.pool, (items) => engine.message(given.pool, items)),
        beat: engine.driver === "sqlite" ? (task, beat) => tellHere(member, runner, task, beat) : publishBeat(engine, given.pool),
      }
      await tasks.serve({
        queues: new Map([...activities.values()].flatMap(({ definition }) => [...activityPlan(definition).queues])),
        concurrency: limits.activityConcurrency,
        handler: (task, control) => executeTask(executor, task, control),
        onLost: (task) => void reportLost(executor, task).catch(() => undefined),
      })
    }
    if (kinds.size > 0) {
      member = await joinPool({
        engine,
        pool: given.pool,
        shards: given.shards,
        group: given.group,
        weight: given.weight,
        groups: given.groups,
        kinds: [...kinds.keys()],
        consumer: (self) =>
          (runner = new Runner({
            engine,
            pool: given.pool,
            kinds,
            effects,
            tasks,
            limits,
            interceptors,
            stats: self.stats,
            onEvent: (event) => {
              if (event.type === "failed") self.stats.tally.failed++
              onEvent(event)
            },
            wantMore: () => self.wantMore(),
          })),
        options: readPool(given, chosen),
        directConnection: given.directConnection,
        onOverrun: given.onOverrun,
        onEvent: (event) => onEvent(event),
        storeClock: test.storeClock,
      })
      const prove = setInterval(() => {
        runner?.proveMessages(provedPerSecond)
        runner?.parkWaiting()
      }, 1_000)
      started.push(() => {
        clearInterval(prove)
        return (member as PoolMember).drain()
      })
    }
    for (const controller of given.controllers ?? []) {
      const hosted = await controller.host({ engine, pool: given.pool, options: given as Partial<Options> })
      started.push(() => hosted.drain())
    }
    const stats = new StatsReader(given.pool, async () => ({ engine, shards: member?.shards ?? (await shardsOf(engine, given.pool)) }))
    const worker = assemble(member, stats, started, given.engine === undefined ? engine : undefined, given.signals ?? true)
    return { worker, member, runner, tasks }
  } catch (error) {
    for (const stop of started.reverse()) await stop().catch(() => undefined)
    if (given.engine === undefined) await engine.close()
    throw error
  }
}

/** The options that are neither numbers nor handlers. */
const checkRest = ({ controllers, onEvent, signals, layer }: Readonly<Partial<Record<string, unknown>>>): void => {
  const refuse = (option: string, expected: string, value: unknown): never => {
    throw new BadOption(`expected ${option} to be ${expected}, got: ${value === null ? "null" : typeof value}`, { option })
  }
  const hosted = (one: unknown): boolean => typeof (one as HostedController | null)?.host === "function"
  if (controllers !== undefined && !(Array.isArray(controllers) && controllers.every(hosted)))
    refuse("controllers", "an array of what createController gave", controllers)
  if (onEvent !== undefined && typeof onEvent !== "function") refuse("onEvent", "a function", onEvent)
  if (signals !== undefined && typeof signals !== "boolean") refuse("signals", "true or false", signals)
  if (layer !== undefined && !Layer.isLayer(layer)) refuse("layer", "a Layer of effect, of the version that Ponos uses", layer)
}

/** Pool options that were given: the pool derives the defaults of the others from the lease. */
const readPool = (given: object, chosen: Readonly<Record<(typeof poolOptionNames)[number], number>>): Partial<Options> =>
  Object.fromEntries(
    poolOptionNames
      .filter((name) => name in given && (given as Record<string, unknown>)[name] !== undefined)
      .map((name) => [name, chosen[name]]),
  )

const openTasks = (
  engine: Engine,
  url: string,
  pool: string,
  clock: () => number,
  limits: Options,
  onEvent: (event: WorkerEvent) => void,
): TaskQueue => {
  // a store in memory is of this process alone, and its clock may be a test's
  if (engine.driver === "sqlite")
    return new LocalTaskQueue(clock, engine.url.startsWith("file:") ? new StoredRates(engine, pool) : undefined)
  return new LazyTaskQueue(async () => {
    const { BullTaskQueue } = await import("./runtime/activity-queue-bullmq.ts")
    return await BullTaskQueue.open({
      url,
      cluster: !engine.spansShards,
      pool,
      bus: {
        publish: (channel, text) => engine.publish(pool, channel, text),
        subscribe: (channel, listener) => engine.subscribe(pool, channel, listener),
      },
      onError: (error) => onEvent({ type: "warning", text: `activity queue: ${error.message}` }),
      callTimeoutMs: limits.callTimeoutMs,
    })
  })
}

/** A worker without jobs is no member, and does not create the pool. */
const shardsOf = async (engine: Engine, pool: string): Promise<number> => {
  const info = await engine.poolInfo(pool)
  if (info !== undefined) return info.shards
  throw new PoolNotFound(`expected the pool "${pool}" to be there, got: none in ${engine.url}. A worker with jobs creates it.`, { pool })
}

/** A try runs anywhere: its run's owner listens on the shard's channel. */
const publishBeat =
  (engine: Engine, pool: string): ExecutorOptions["beat"] =>
  (task, beat) =>
    void engine.publish(pool, requestChannel(task.shard), JSON.stringify({ type: "beat", beat })).catch(() => undefined)

/** A try of an embedded store runs where its run is: nothing goes through the store. */
const tellHere = (member: PoolMember | undefined, runner: Runner | undefined, task: Task, beat: Beat): void => {
  const shard = member?.owned().find((owned) => owned.shard === task.shard)
  if (shard !== undefined) runner?.onBeat(shard, beat)
}

const assemble = (
  member: PoolMember | undefined,
  stats: StatsReader,
  started: Array<() => Promise<void>>,
  engine: Engine | undefined,
  signals: boolean,
): Worker => {
  const { promise: stopped, resolve } = Promise.withResolvers<void>()
  let draining: Promise<void> | undefined
  const drain = (): Promise<void> => {
    draining ??= (async () => {
      // controllers first, then the shards, then activities that still run, then what they use
      for (const stop of [...started].reverse()) await stop().catch(() => undefined)
      await engine?.close()
      unsignal?.()
      resolve()
    })()
    return draining
  }
  // The pool was shut down, or the member left it for another reason: nothing else of the worker is to stay.
  void member?.stopped.then(drain)
  const unsignal = signals ? onSignals(() => void drain()) : undefined
  return {
    get session() {
      return member?.session ?? ""
    },
    stopped,
    owned: () => (member?.owned() ?? []).map((shard) => shard.shard),
    stats: (statsOptions) => stats.read(statsOptions),
    drain,
    close: drain,
    [Symbol.asyncDispose]: drain,
  }
}

/** One line on stderr for what somebody should know of. */
const printEvent = (event: WorkerEvent): void => {
  const line = describeEvent(event)
  if (line !== undefined) process.stderr.write(`ponos: ${line}\n`)
}

const describeEvent = (event: WorkerEvent): string | undefined => {
  switch (event.type) {
    case "warning":
      return event.text
    case "failed":
      return `${event.kind}/${event.key} attempt ${event.attempt} failed${event.retryIn === undefined ? "" : `, next one in ${event.retryIn} ms`}: ${event.error.message}`
    case "activityFailed":
      return `${event.kind}/${event.key} try ${event.attempt} of activity ${event.activity} failed: ${event.error.message}`
    case "blocked":
      return `${event.kind}/${event.key} is blocked: ${event.error.message}`
    case "closeFailed":
      return `what the jobs of ${event.tenant} share did not close: ${event.error.message}`
    case "unsent":
      return `${event.kind}/${event.key} has ended, and somebody cannot be told: ${event.error.message}`
    case "stuck":
      return `${event.kind}/${event.key} is stuck: its handler does not settle after its abort`
    case "lacking":
      return new HandlerMissing(
        `worker ${event.session} is given no shards, since it lacks the kinds ${event.kinds.join(", ")} of this pool. ` +
          "Add their implementations to createWorker({ jobs }), or use another pool for other kinds of workers.",
      ).message
    case "overrun":
      return `handlers of shard ${event.shard} did not settle in time after their abort: ${event.addresses.join(", ")}`
    case "loopBlocked":
      return `the event loop was blocked for ${event.ms} ms${describeBlock(event)}`
    case "suspended":
      if (event.what === "process")
        return `the process was suspended for ${event.ms} ms (frozen, or given no processor time): neither its event loop nor its lease thread ran`
      return `the wall clock went on for ${Math.round(event.ms)} ms without the monotonic one (suspended, or set): no handler goes on before its lease is confirmed`
    case "deposed":
      return `lost ${event.shards.length} shards: ${event.why}`
    case "storeLost":
    case "fault":
      return `${event.type}: ${event.error instanceof Error ? event.error.message : String(event.error)}`
    default:
      return undefined
  }
}
