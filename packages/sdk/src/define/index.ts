/**
 * What `jobs.def.ts` imports: types carried as values, and plain options. This module has no dependency at all, so that
 * a definition file can be read by `ponos-gen`, imported by a browser bundle and type-checked on its own.
 *
 * Phantom members (`[T]`) exist for the type checker only; at run time every value here is a small plain object.
 */

/** A unit of time, singular or plural: `"1 second"`, `"30 seconds"`. */
export type DurationUnit =
  | "milli"
  | "millis"
  | "second"
  | "seconds"
  | "minute"
  | "minutes"
  | "hour"
  | "hours"
  | "day"
  | "days"
  | "week"
  | "weeks"

/** A span of time: a number of milliseconds, or a number and a unit. */
export type DurationInput = number | `${number} ${DurationUnit}`

declare const T: unique symbol

/** A TypeScript type carried as a value; `ponos-gen` reads it and prints its schema. */
export interface Type<A> {
  readonly _tag: "Type"
  readonly [T]?: (a: A) => A
}

/** Names a type in a definition: `input: type<FeedInput>()`. The type must be exported from the definition file. */
export function type<A>(): Type<A> {
  return { _tag: "Type" }
}

export interface AnySignal {
  readonly _tag: "Signal"
}
export interface AnyQuery {
  readonly _tag: "Query"
  readonly live?: boolean
}
export interface AnyUpdate {
  readonly _tag: "Update"
}
export interface AnyActivity {
  readonly _tag: "Activity"
  readonly options: ActivityOptions
}

export interface Signal<P> extends AnySignal {
  readonly [T]?: { payload: P }
}
export interface Query<O, I> extends AnyQuery {
  readonly [T]?: { in: I; out: O }
}
export interface Update<I, O, E> extends AnyUpdate {
  readonly [T]?: { in: I; out: O; error: E }
}
export interface Activity<I, O, E> extends AnyActivity {
  readonly [T]?: { in: I; out: O; error: E }
}

/** A recorded message in, without an answer. */
export function signal<P = void>(): Signal<P> {
  return { _tag: "Signal" }
}

/** A read-only question about the state; never recorded. */
export function query<O, I = void>(options: QueryKind = {}): Query<O, I> {
  return options.live === true ? { _tag: "Query", live: true } : { _tag: "Query" }
}

/** A recorded message in, with an answer. The third type is its declared error: plain data with a `_tag`. */
export function update<I = void, O = void, E = never>(): Update<I, O, E> {
  return { _tag: "Update" }
}

/** A unit of work that any worker may execute; its result is journaled. The third type is its declared error. */
export function activity<I = void, O = void, E = never>(options: ActivityOptions = {}): Activity<I, O, E> {
  return { _tag: "Activity", options }
}

/** How often and when a failed attempt or try is repeated. Stored durably: a dead worker does not reset a back-off. */
export interface RetryPolicy {
  readonly kind: "exponential" | "fixed" | "none"
  /** Delay before the second attempt. */
  readonly first: DurationInput
  readonly factor: number
  /** Upper bound of a delay, jitter included. */
  readonly max?: DurationInput
  /** Attempts in all, the first one counted; absent: for ever. */
  readonly attempts?: number
  /** Spreads each delay by 0.8 to 1.2 of its value. */
  readonly jitter?: boolean
  /** Errors that are not tried again, by `_tag` or, without one, by `name`. Declared errors are never tried again. */
  readonly except?: ReadonlyArray<string>
}

export const retry: {
  exponential(options: {
    readonly first: DurationInput
    readonly max?: DurationInput
    readonly factor?: number
    readonly attempts?: number
    readonly jitter?: boolean
    readonly except?: ReadonlyArray<string>
  }): RetryPolicy
  fixed(options: {
    readonly every: DurationInput
    readonly attempts?: number
    readonly jitter?: boolean
    readonly except?: ReadonlyArray<string>
  }): RetryPolicy
  readonly none: RetryPolicy
} = {
  exponential: (options) => ({ kind: "exponential", factor: 2, ...options }),
  fixed: ({ every, ...rest }) => ({ kind: "fixed", first: every, factor: 1, ...rest }),
  none: { kind: "none", first: 0, factor: 1, attempts: 1 },
}

export interface QueryKind {
  /**
   * Answered from `job.state` as the handler has it now, not yet committed, if it runs: another attempt may come to something else. Default false:
   * from the last committed state, as also when no handler runs.
   */
  readonly live?: boolean
}

export interface ActivityOptions {
  /** Of a failed try; default: exponential from 1 second to 1 minute, 10 attempts. */
  readonly retry?: RetryPolicy
  /** Start to close, of one try; default 1 minute. */
  readonly timeout?: DurationInput
  /** Schedule to start, of one try: how long it may wait for a worker, `delay` and back-offs not counted; default 5 minutes. */
  readonly startTimeout?: DurationInput
  /** Schedule to close: from the call to its end, over all tries, their back-offs and `delay`; default: none. */
  readonly totalTimeout?: DurationInput
  /** A try that does not call `call.heartbeat(…)` for so long has failed, and is repeated by `retry`; default: none. */
  readonly heartbeatTimeout?: DurationInput
  /**
   * Group of activities of this job that share a queue, with one rate limit and one concurrency: letters, digits, `_` and `-`. Default: all that
   * have neither limit share the job's queue, and each that has one gets a queue of its own, named after it.
   */
  readonly queue?: string
  /** Order in the queue: those with a smaller number are taken first; an integer from 0 to 1,000,000, default 0. */
  readonly priority?: number
  /** From the call to the earliest start of its first try; default 0. */
  readonly delay?: DurationInput
  /** At most `max` tries of the queue start within `per`, over all workers; default: no limit. */
  readonly rateLimit?: RateLimit
  /** Tries of the queue that run at the same time in one worker: 1 to 10,000; default: the worker's `activityConcurrency`. */
  readonly concurrency?: number
}

export interface RateLimit {
  /** A whole number from 1 on. */
  readonly max: number
  readonly per: DurationInput
}

/** Limits in time of a run. A run that meets one ends with `TimedOut`; its handler sees an abort and may clean up, as after a cancel. */
export interface Timeouts {
  /** Of the whole run, from the begin of its first iteration; default: none. */
  readonly run?: DurationInput
  /** Of one iteration, with all its attempts and back-offs; default: none. */
  readonly iteration?: DurationInput
  /** How long a handler may clean up after a cancel or one of these; then the run ends without it. Default 1 minute. */
  readonly cleanup?: DurationInput
}

/** A job definition as a value; its types are phantom. */
export interface Job<
  Kind extends string = string,
  Input = any,
  State = any,
  Result = any,
  Failure = any,
  Signals = any,
  Queries = any,
  Updates = any,
  Activities = any,
> {
  readonly _tag: "Job"
  readonly kind: Kind
  /** Fields of the input that are the key, in order. The first alone decides the shard. */
  readonly key: ReadonlyArray<string>
  readonly retry?: RetryPolicy
  readonly timeout?: Timeouts
  readonly stateVersion?: number
  readonly signals: Readonly<Record<string, AnySignal>>
  readonly queries: Readonly<Record<string, AnyQuery>>
  readonly updates: Readonly<Record<string, AnyUpdate>>
  readonly activities: Readonly<Record<string, AnyActivity>>
  readonly [T]?: {
    input: (input: Input) => Input
    state: (state: State) => State
    result: (result: Result) => Result
    error: () => Failure
    signals: Signals
    queries: Queries
    updates: Updates
    activities: Activities
  }
}

type StringField<Input> = { [K in keyof Input & string]-?: Input[K] extends string ? K : never }[keyof Input & string]

/** Declares a job type. `kind` is its stable name (lower case, digits, dashes); it is stored, so never change it. */
export function defineJob<
  const Kind extends string,
  Input,
  State = void,
  Result = void,
  Failure = never,
  Signals extends Record<string, AnySignal> = {},
  Queries extends Record<string, AnyQuery> = {},
  Updates extends Record<string, AnyUpdate> = {},
  Activities extends Record<string, AnyActivity> = {},
>(definition: {
  readonly kind: Kind
  readonly input: Type<Input>
  /** A required string field of the input, or several: one live run per (kind, key). */
  readonly key: StringField<Input> | readonly [StringField<Input>, ...StringField<Input>[]]
  readonly state?: Type<State>
  readonly result?: Type<Result>
  readonly error?: Type<Failure>
  readonly signals?: Signals
  readonly queries?: Queries
  readonly updates?: Updates
  readonly activities?: Activities
  /** Of a failed attempt; default: exponential from 1 second to 5 minutes, for ever. */
  readonly retry?: RetryPolicy
  readonly timeout?: Timeouts
  /**
   * 1, 2, 3 …: to be raised when stored states no longer match the type. Handlers then need `upgrade`, with a function for each older version. Default 1.
   */
  readonly stateVersion?: number
}): Job<Kind, Input, State, Result, Failure, Signals, Queries, Updates, Activities> {
  const { kind, key, retry: policy, timeout, stateVersion } = definition
  return {
    _tag: "Job",
    kind,
    key: typeof key === "string" ? [key] : key,
    signals: definition.signals ?? {},
    queries: definition.queries ?? {},
    updates: definition.updates ?? {},
    activities: definition.activities ?? {},
    ...(policy === undefined ? {} : { retry: policy }),
    ...(timeout === undefined ? {} : { timeout }),
    ...(stateVersion === undefined ? {} : { stateVersion }),
  }
}

type Types<J> =
  J extends Job<string, infer I, infer S, infer R, infer F, infer Sg, infer Q, infer U, infer A>
    ? { input: I; state: S; result: R; error: F; signals: Sg; queries: Q; updates: U; activities: A }
    : never
type Phantom<X> = X extends { readonly [T]?: infer P } ? NonNullable<P> : never
type Member<X, K extends PropertyKey> = K extends keyof X ? X[K] : never
type Groups = "updates" | "queries" | "activities"

export type Input<J> = Types<J>["input"]
export type State<J> = Types<J>["state"]
export type Result<J> = Types<J>["result"]
export type SignalPayload<J, N extends string> = Phantom<Member<Types<J>["signals"], N>> extends { payload: infer P } ? P : never
export type In<J, G extends Groups, N extends string> = Phantom<Member<Types<J>[G], N>> extends { in: infer P } ? P : never
export type Out<J, G extends Groups, N extends string> = Phantom<Member<Types<J>[G], N>> extends { out: infer P } ? P : never
