/**
 * The entry that generated code imports. Generated files stay thin: they print structure and call what is here, so that fixes reach
 * them without a new generation. Version 1 of this entry.
 */
import type { Effect } from "effect"
import type { DurationInput, Job } from "./define/index.ts"
import type { Labels } from "./client/options.ts"
import type { Shared } from "./runtime/shared.ts"
import type { ActivityHandlers, JobContract, JobHandlers } from "./runtime/contract.ts"

export type { In, Input, Out as OutOf, Result, SignalPayload, State } from "./define/index.ts"
export { Failure } from "./runtime/contract.ts"
export { isFormat } from "./runtime/format.ts"
export type { FormatName } from "./runtime/format.ts"
export type { ActivityHandlers, FailureClass, JobContract, JobHandlers, JobSchemas, OperationSchemas } from "./runtime/contract.ts"
export { makeClient } from "./client/client.ts"
export type { LoadStats, PoolStats, StatsOptions } from "./pool/stats/pool-stats.ts"
export type {
  ClientOptions,
  Described,
  DescribedActivity,
  History,
  HistoryMessage,
  IterationFailure,
  Labels,
  ListFilter,
  Page,
  PageOptions,
  ListOptions,
  Listed,
  QueryOptions,
  ResultOptions,
  SignalOptions,
  StartOptions,
  UpdateOptions,
} from "./client/options.ts"

/** A signal that comes with a start. */
export type FirstSignal<Name extends string, Payload> = {
  readonly name: Name
  /** Idempotency id; default: a new one. */
  readonly id?: string
} & ([Payload] extends [void] ? { readonly payload?: undefined } : { readonly payload: Payload })

/** What a handler may return. */
export type Out<A, E = never, R = never> = A | Promise<A> | Effect.Effect<A, E, R>

/** A durable call, started when made: await it, or `yield*` it in `Effect.gen`. */
export interface Call<A, E = never> extends Promise<A>, Omit<Effect.Effect<A, E>, never> {}

declare const AgainBrand: unique symbol
/** What `job.again(…)` returns: `run` must return it, or `job.done(…)`. */
export interface Again {
  readonly [AgainBrand]: true
}
declare const DoneBrand: unique symbol
export interface Done {
  readonly [DoneBrand]: true
}

/** An unread signal, in the order of acknowledgement. */
export interface Envelope<Name extends string, Payload> {
  readonly name: Name
  readonly payload: Payload
  /** Request id of the sender. */
  readonly id: string
  /** When the store accepted it. */
  readonly at: Date
}

/** Why an iteration began; the same in all of its attempts. */
export type Wake<On extends string> =
  | { readonly by: "start" | "input" | "again" }
  /**
   * `scheduled`: the time that `after`, `at` or `cron` of the `again` before came to. It may be long past; cron ticks that were missed meanwhile come as one,
   * which has the time of the first of them.
   */
  | { readonly by: "time"; readonly scheduled: Date }
  | { readonly by: "message"; readonly name: On }

export interface StepOptions {
  /** Of a failed body, inside this step; default: none, the attempt fails and the job's `retry` decides. */
  readonly retry?: import("./define/index.ts").RetryPolicy
  /** Deadline of one try of the body; default: none. */
  readonly timeout?: DurationInput
  /**
   * `"deferred"`: the result is given at once and written with the next write, several together, at the latest before the body of the next
   * step, activity or update that is not deferred, and with `again`. A worker that dies before runs these bodies again, and they may give
   * another result: for idempotent bodies. Default `"now"`.
   */
  readonly commit?: "now" | "deferred"
}

/** Of one call of an activity; what is not given is as its definition says. */
export interface ActivityCallOptions {
  /** Earliest start of its first try, from the call on. */
  readonly delay?: DurationInput
  /** A whole number from 0 (before all others) to 1,000,000: of what waits in its queue, smaller ones are taken first. */
  readonly priority?: number
}

/** What `job.saga` gives to its body. */
export interface Saga {
  /** What undoes the last step; to be called when that has succeeded. `options` as of a step. */
  undo<E = never, R = never>(name: string, body: (abortSignal: AbortSignal) => Out<unknown, E, R>, options?: StepOptions): void
}

/** What every handler context has; generated interfaces add the typed rest. */
export interface BaseJob {
  readonly key: string
  readonly kind: string
  /** Run id. */
  readonly run: string
  /** 1, 2, 3 …: passes of the run between two `again`s. */
  readonly iteration: number
  /** 1, 2, 3 …: tries of this iteration. */
  readonly attempt: number
  /** Grows with every attempt, over all workers: hand it to other systems to refuse a stale writer. */
  readonly fence: bigint
  /** Fires when the attempt must stop: the shard moves, the run is cancelled or terminated, the worker drains. Its reason is a tagged error. */
  readonly abortSignal: AbortSignal
  /** Runs `body` at least once and journals its result once; later replays return the journaled result. */
  step<A, E = never, R = never>(name: string, body: (abortSignal: AbortSignal) => Out<A, E, R>, options?: StepOptions): Call<A, E>
  /**
   * Runs `body`. When it fails and no later attempt will follow (a declared error, a cancel, a limit in time, the last attempt), what it
   * registered with `undo` is run, the last first, each as a step; then the error goes on.
   */
  saga<A, E = never, R = never>(body: (saga: Saga) => Out<A, E, R>): Promise<A>
  /**
   * What the jobs of this tenant (the first key field) share in this worker: opened by its first user, open while it has users. In `run` it is this
   * handler's until that settles, in `open` until `close` has ended. Not part of the journal: each attempt gets what is open then.
   */
  use<A>(shared: Shared<A>): Call<A>
  /** Sleeps durably, from milliseconds to years; never wakes early. */
  sleep(duration: DurationInput): Call<void>
  /** Sleeps durably until a time; one that has passed is awaited for a moment only. */
  sleepUntil(time: Date): Call<void>
  /**
   * For a change of code inside an iteration: gives the version of `change` that this iteration runs, the same at every replay. An iteration that
   * came by here before the change was deployed gets `min`, one that comes by for the first time `max`; each later iteration gets `max`. When no
   * iteration runs an old version any more, raise `min` and remove its branch; a run that still has it waits, `blocked`.
   */
  version(change: string, min: number, max: number): number
  /** The time, the same on replay. */
  now(): Date
  /** A number in [0, 1), the same on replay. */
  random(): number
  /** A UUID, the same on replay. */
  uuid(): string
}

export interface AgainOptions<On extends string> {
  readonly after?: DurationInput
  readonly at?: Date
  /** Standard five- or six-field cron expression. */
  readonly cron?: string
  /** IANA time zone of `cron`; default UTC. */
  readonly zone?: string
  /** Signals and updates that begin the next iteration. */
  readonly on?: ReadonlyArray<On>
}

/** Of a child that a handler starts. */
export interface ChildOptions<FirstSignal = never> {
  /**
   * When this run ends, in whatever way, and the child has not: cancel it (default), terminate it, or leave it alone. A child that was joined is
   * always left alone.
   */
  readonly onParentEnd?: "cancel" | "terminate" | "abandon"
  /** Delay of its first iteration. */
  readonly after?: DurationInput
  /** A live run has the key: join it (default), throw `RunExists`, or terminate it and start anew. */
  readonly ifRunning?: "join" | "reject" | "replace"
  /** An ended run is still retained: start anew (default) or throw `RunEnded`. */
  readonly ifEnded?: "start" | "reject"
  /** What `list` can filter by; kept for the life of the child. At most 16, names of up to 64 and texts of up to 256 characters. */
  readonly labels?: Labels
  /** A signal that comes with the start, in one write: the first iteration finds it. A live run that is joined gets it too. */
  readonly signal?: FirstSignal
}

export interface ReceiveOptions<Payload = any> {
  /** After it `receive` gives `undefined`; default: none. */
  readonly timeout?: DurationInput
  /** Only signals for which it is true; the others stay unread. Pure: it may be asked again. */
  readonly filter?: (payload: Payload) => boolean
}
/** Without a timeout `receive` always gives a signal. */
export interface ReceiveFilter<Payload = any> {
  readonly filter?: (payload: Payload) => boolean
  readonly timeout?: never
}

/** What query handlers see: the state, without any write. */
export interface BaseView {
  readonly key: string
  readonly run: string
  readonly iteration: number
  /** Seconds since the last commit of the run. */
  readonly idleSeconds: number
  /** The state is that of a handler that runs now, not yet committed: only queries declared `live` see that. */
  readonly live: boolean
}

/** What update handlers see; `state` is a copy that is kept only if the handler returns. */
export interface BaseUpdate {
  readonly key: string
  readonly run: string
  /** The store's time of acceptance. */
  readonly now: Date
}

/** What an activity sees. */
export interface ActivityCall {
  readonly key: string
  readonly kind: string
  /** The same for all tries of this activity: an idempotency key for the outside. */
  readonly id: string
  readonly attempt: number
  /** Fence of the attempt that scheduled this try. */
  readonly fence: bigint
  /** Fires when the try should stop: it missed a deadline, its run was cancelled or ended, its worker drains. Its reason is a tagged error. */
  readonly abortSignal: AbortSignal
  /** Details of the last heartbeat of the tries before this one that became known; `undefined` where there are none. */
  readonly lastHeartbeat: unknown
  /**
   * Says that the try is alive, with details of up to 16 KiB (plain data): `describe()` shows them, and the next try gets the last ones. Cheap:
   * heartbeats of one second travel together, and none is written to the store.
   */
  heartbeat(details?: unknown): void
}

/** Refuses keys that the contract does not know, with a one-line error. */
export type NoExtra<F, Known> = { readonly [K in Exclude<keyof F, keyof Known>]: never }

/** Services needed by the functions of a record. */
export type Needs<F> = {
  [K in keyof F]: F[K] extends (...args: any[]) => infer O ? (O extends Effect.Effect<any, any, infer R> ? R : never) : never
}[keyof F]

/** Builds the worker stub of one job: `implement` and `activities` only pair handlers with their contract. */
export const makeStub = (
  definition: Job,
  contract: JobContract,
  /** All jobs of the definition file, by name. */
  jobs: Readonly<Record<string, JobContract>> = {},
): {
  implement(handlers: any): JobHandlers<any>
  activities(handlers: any): ActivityHandlers<any>
} => ({
  implement: (handlers) => ({ _tag: "JobHandlers", kind: contract.kind, contract, definition, handlers, jobs }),
  activities: (handlers) => ({ _tag: "ActivityHandlers", kind: contract.kind, contract, definition, handlers }),
})
