/** Hosts a controller's job in a process: joins its pool, keeps its run alive, and runs its passes there. */
import { createWorker, type HostedController, type Options, PonosError, PoolNotFound } from "@ponos/sdk"
import { type ClientOptions, makeClient } from "@ponos/sdk/gen"
import { defaults, type Engine } from "@ponos/sdk/internal"
import { reporter } from "./event.ts"
import { controllerContract, controllerHandlers, controlPool, type PassRunner } from "./job.ts"
import type { ReadOptions } from "./options.ts"
import { type PassContext, runPass } from "./pass.ts"
import type { ControllerState } from "./report.ts"
import { fenceText } from "./spec.ts"

export type HostContext = Parameters<HostedController["host"]>[0]
export type Hosted = Awaited<ReturnType<HostedController["host"]>>

/** Options of the hosting worker that its membership in the controller's pool takes over. */
export const inherited = [
  "leaseMs",
  "renewMs",
  "watchMs",
  "probeMs",
  "reconnectGraceMs",
  "abortGraceMs",
  "settleMs",
  "drainMs",
  "sweepMs",
  "callTimeoutMs",
  "payloadBytes",
  "inboxLimit",
  "inboxReserve",
  "resultRetentionMs",
  "requestRetentionMs",
] as const

const inherit = (options: Partial<Options>): Partial<Options> =>
  Object.fromEntries(inherited.flatMap((name) => (options[name] === undefined ? [] : [[name, options[name]]])))

/** How often the run is looked for, ms: with each pass, within these bounds. It is gone after the store was emptied, or when somebody ended it. */
const ensureMs = { min: 1_000, max: 5_000 }
/** After a pass in which runs were not what was observed, the next one comes soon, ms. */
const soonMs = 500

const contracts = { controller: controllerContract }

interface ControllerClient {
  readonly controller: {
    start(input: { readonly name: string }): Promise<ControllerHandle>
    get(key: string): ControllerHandle
  }
  close(): Promise<void>
}

export interface ControllerHandle {
  readonly update: {
    pause(input: { readonly reason: string }): Promise<{ readonly passes: number }>
    resume(): Promise<{ readonly passes: number }>
    approve(input: { readonly hash: string }): Promise<{ readonly passes: number }>
    reconcile(input: { readonly full: boolean }): Promise<{ readonly passes: number }>
  }
  describe(): Promise<{
    readonly state: ControllerState | undefined
    readonly lastError: string | undefined
    readonly phase: string
    readonly owner: { readonly session: string | undefined }
  }>
}

/** A client of the controller's own pool, on an engine that somebody else closes. */
export const controllerClient = (engine: Engine, pool: string, name: string): ControllerClient =>
  makeClient({ pool: controlPool(pool, name), engine, shards: 1 } as ClientOptions, contracts) as ControllerClient

/** What a pass works on, without a fence: also for `plan()`. */
export const passContext = async (options: ReadOptions, engine: Engine): Promise<PassContext> => ({
  engine,
  pool: options.job.internals.pool,
  kind: options.job.internals.contract.kind,
  controller: options.name,
  shards: await options.job.internals.shards(),
  job: options.job,
  source: options.source,
  guard: options.guard,
  parallelism: options.parallelism,
})

const passRunner = (options: ReadOptions, context: HostContext): PassRunner => {
  const { engine } = context
  const limits = { ...defaults, ...inherit(context.options) }
  const onEvent = reporter(options.name, options.onEvent)
  let known: string | undefined
  return {
    run: async (state, fence, abortSignal) => {
      const target = await passContext(options, engine)
      const info = await engine.poolInfo(target.pool)
      // the next try looks again: the pool's members and clients make it anew
      if (info === undefined)
        throw new PoolNotFound(`expected the pool ${target.pool} to exist, found none: was the store emptied?`, { pool: target.pool })
      const before = known
      known = info.incarnation
      return await runPass({ ...target, abortSignal }, state, {
        fence: fenceText(fence),
        now: info.now,
        incarnation: info.incarnation,
        known: before,
        apply: {
          stop: options.stop,
          parallelism: options.parallelism,
          inboxLimit: limits.inboxLimit,
          inboxReserve: limits.inboxReserve,
          requestRetentionMs: limits.requestRetentionMs,
          resultRetentionMs: limits.resultRetentionMs,
        },
        abortSignal,
        onPlan: options.onPlan,
        onEvent,
      })
    },
    next: ({ last }) => (last !== null && last.applied.changed > 0 ? Math.min(soonMs, options.everyMs) : options.everyMs),
  }
}

/** Joins the controller's pool. Whoever owns its one shard runs the passes; all others stand by. */
export const host = async (options: ReadOptions, context: HostContext, signals = false): Promise<Hosted> => {
  const { name } = options
  const onEvent = reporter(name, options.onEvent)
  const client = controllerClient(context.engine, options.job.internals.pool, name)
  const worker = await createWorker({
    ...inherit(context.options),
    ...(context.options.directConnection === undefined ? {} : { directConnection: context.options.directConnection }),
    pool: controlPool(options.job.internals.pool, name),
    engine: context.engine,
    shards: 1,
    jobs: [controllerHandlers(passRunner(options, context))],
    signals,
  })
  // level-triggered too: the run is started where it is missing, by whoever sees it first
  const ensure = async (): Promise<void> => {
    try {
      await client.controller.start({ name })
    } catch (error) {
      if (error instanceof PonosError && error.fate === "retryable") return
      onEvent({ type: "controller", message: `the controller's job could not be started: ${String(error)}` })
    }
  }
  await ensure()
  const timer = setInterval(() => void ensure(), Math.min(Math.max(options.everyMs, ensureMs.min), ensureMs.max))
  timer.unref()
  const stopped = worker.stopped.finally(async () => {
    clearInterval(timer)
    await client.close()
  })
  return {
    drain: async () => {
      clearInterval(timer)
      await worker.drain()
    },
    stopped,
  }
}
