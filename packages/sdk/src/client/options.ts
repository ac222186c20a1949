import type { DurationInput } from "../define/index.ts"
import type { Codec } from "../codec/codec.ts"
import type { Engine } from "../engine/engine.ts"
import type { Options } from "../options.ts"
import { refuseUnknown } from "../options.ts"
import type { Outcome } from "../runtime/body.ts"
import { checkBytes } from "../runtime/size.ts"
import type { AnyFirstSignal, IfRunning, Labels } from "../runtime/start-request.ts"
import { checkLabels, checkRequestId, checkStart, refuse } from "../runtime/start-request.ts"
import type { ClientInterceptor } from "./interceptors.ts"

/** Options of `createClient`. */
export interface ClientOptions extends Partial<
  Pick<Options, "shards" | "callTimeoutMs" | "queryTimeoutMs" | "updateTimeoutMs" | "payloadBytes">
> {
  readonly pool: string
  /** `redis://…`, `rediss://…`, `redis+sentinel://…` (docs/redis.md), `file:…` or `memory:<name>`; default: the environment's `PONOS_STORE`. */
  readonly store?: string | undefined
  /** An engine that somebody else opened and closes: the test environment. */
  readonly engine?: Engine
  /** What payloads go through before they are stored, in this order: `[compress(), encrypt({ … })]`. All clients and workers need the same. */
  readonly codecs?: ReadonlyArray<Codec>
  /** Around each call of its handles, jobs and `stats`; the first is the outermost. */
  readonly interceptors?: ReadonlyArray<ClientInterceptor>
}
export const clientOptionNames = ["shards", "callTimeoutMs", "queryTimeoutMs", "updateTimeoutMs", "payloadBytes"] as const

export interface StartOptions<FirstSignal = AnyFirstSignal> {
  /**
   * Idempotency id: of all starts of the key with it, one begins a run, whatever has become of that. It is kept as long as request ids are (a start that
   * only joined a live run is not); default: a new one. For programs that repeat what they do, a web request or a message of a queue.
   */
  readonly id?: string
  /** Delay of the first iteration. */
  readonly after?: DurationInput
  /** A live run has the key: return its handle (default), throw `RunExists`, or terminate it and start anew. */
  readonly ifRunning?: IfRunning
  /** An ended run is still retained: start anew (default) or throw `RunEnded`. */
  readonly ifEnded?: "start" | "reject"
  /** What `list` can filter by; kept for the life of the run. At most 16, names of up to 64 and texts of up to 256 characters. */
  readonly labels?: Labels
  /**
   * A signal that comes with the start, in one write: the first iteration finds it. A live run that is joined gets it too; with `ifRunning: "replace"` the
   * new run does.
   */
  readonly signal?: FirstSignal
}
export type { AnyFirstSignal, Labels } from "../runtime/start-request.ts"

export interface SignalOptions {
  /** Idempotency id: a second signal with it is dropped while the first is retained; default: a new one. */
  readonly id?: string
}

export interface UpdateOptions {
  /** Idempotency id: a repeated update with it gets the first answer; default: a new one. */
  readonly id?: string
  /** How long to wait for the answer; default 30 seconds. */
  readonly timeout?: DurationInput
}

export interface QueryOptions {
  /** Default 5 seconds. */
  readonly timeout?: DurationInput
}

export interface ResultOptions {
  /** How long to wait for the end; default: for ever. */
  readonly timeout?: DurationInput
}

export interface ListFilter {
  readonly phase?: RunPhase | ReadonlyArray<RunPhase>
  /** How it ended: ended runs only. */
  readonly outcome?: Outcome["type"] | ReadonlyArray<Outcome["type"]>
  /** Runs with all of these labels. */
  readonly labels?: Labels
  /** Runs that wait for code or an operator, or those that do not. */
  readonly blocked?: boolean
  /** By the time of the last write of the run's record: its iteration's begin or end, a failed attempt, an update. */
  readonly updatedAfter?: Date
  readonly updatedBefore?: Date
}

export interface ListOptions extends ListFilter {
  /** At most this many; default: all. */
  readonly limit?: number
}

export interface PageOptions extends ListFilter {
  /** Of the page before; default: the first page. */
  readonly cursor?: string
  /** About this many: a page ends where the store's does. Default 100, at most 10,000. */
  readonly limit?: number
}

export interface Page {
  readonly runs: ReadonlyArray<Listed>
  /** For the next page; `undefined`: this was the last one. */
  readonly cursor: string | undefined
  /** Shards that this page left out, because their server (a primary of a cluster) did not answer; what they have is not in the next pages either. */
  readonly shardsUnknown: ReadonlyArray<number>
}

export const checkStartOptions = (options: StartOptions): void => {
  refuseUnknown(options, ["id", "after", "ifRunning", "ifEnded", "labels", "signal"], "start")
  checkRequestId(options.id)
  checkStart(options)
}

/** Of a signal or an update. */
export const checkMessageOptions = (options: UpdateOptions, names: ReadonlyArray<string>, what: string): void => {
  refuseUnknown(options, names, what)
  checkRequestId(options.id)
}

const phases: ReadonlyArray<unknown> = ["ready", "active", "parked", "ended"] satisfies ReadonlyArray<RunPhase>
const outcomes: ReadonlyArray<unknown> = ["done", "failed", "cancelled", "timedOut", "terminated"] satisfies ReadonlyArray<Outcome["type"]>
const filterNames = ["phase", "outcome", "labels", "blocked", "updatedAfter", "updatedBefore"]

const checkFilter = ({ phase, outcome, labels, blocked, updatedAfter, updatedBefore }: ListFilter): void => {
  if (phase !== undefined && ![phase].flat().every((one) => phases.includes(one))) refuse("phase", `of ${phases.join(", ")}`, phase)
  if (outcome !== undefined && ![outcome].flat().every((one) => outcomes.includes(one)))
    refuse("outcome", `of ${outcomes.join(", ")}`, outcome)
  if (labels !== undefined) checkLabels(labels)
  if (blocked !== undefined && typeof blocked !== "boolean") refuse("blocked", "true or false", blocked)
  for (const [name, time] of Object.entries({ updatedAfter, updatedBefore }))
    if (time !== undefined && !(time instanceof Date && !Number.isNaN(time.getTime()))) refuse(name, "a valid Date", time)
}

export const checkListOptions = (options: ListOptions): void => {
  refuseUnknown(options, ["limit", ...filterNames], "list")
  const { limit = 0 } = options
  if (!(typeof limit === "number" && limit >= 0)) refuse("limit", "a number from 0 on", limit)
  checkFilter(options)
}

export const checkPageOptions = (options: PageOptions): void => {
  refuseUnknown(options, ["limit", "cursor", ...filterNames], "page")
  const { limit = 100, cursor = "" } = options
  if (!(Number.isInteger(limit) && limit >= 1 && limit <= 10_000)) refuse("limit", "an integer from 1 to 10000", limit)
  if (typeof cursor !== "string" || !/^[\w-]{0,2048}$/.test(cursor)) refuse("cursor", "that of an earlier page", cursor)
  checkFilter(options)
}

/** Why somebody cancels or terminates: people read it, so it is text. */
export const checkReason = (reason: unknown, bytesMax: number): string =>
  typeof reason === "string" ? checkBytes(reason, bytesMax, "the reason") : refuse("the reason", "a text", reason)

export type RunPhase = "ready" | "active" | "parked" | "ended"

/** What the record of a run tells. */
export interface RunFacts {
  readonly run: string
  readonly phase: RunPhase
  readonly iteration: number
  /** Tries of this iteration so far. */
  readonly attempt: number
  readonly labels: Labels
  /** Store time of the last write of its record; `undefined` before its first iteration. */
  readonly updatedAt: Date | undefined
  /** When the agenda wakes it, if it sleeps. */
  readonly nextWake: Date | undefined
  /** Signals and updates that wake it, if it sleeps. */
  readonly wakesOn: ReadonlyArray<string>
  /** Of the attempts of this iteration, or what the run failed with. */
  readonly lastError: string | undefined
  /** The latest of the iterations before this one that did not end with its first attempt. */
  readonly lastFailure: IterationFailure | undefined
  /** Why it waits for code or an operator. */
  readonly blocked: string | undefined
  /** How it ended, if it has. */
  readonly outcome: Outcome["type"] | undefined
  /** Why it was cancelled or terminated. */
  readonly reason: string | undefined
}

export interface IterationFailure {
  readonly iteration: number
  /** How many it took in all. */
  readonly attempts: number
  /** Of the last attempt that failed. */
  readonly error: string
}

export interface Listed extends RunFacts {
  readonly key: string
}

/** What happened in an iteration, as `handle.history()` gives it: plain JSON, to be looked at, and kept for `replay` in a test. */
export interface History {
  readonly format: 1
  readonly kind: string
  readonly key: string
  readonly run: string
  readonly phase: RunPhase
  /** Store time of the start of the iteration, once it has a journal. */
  readonly startedAt: Date | undefined
  readonly iteration: number
  readonly attempt: number
  /** The record as stored: encoded input and state, what it waits for, its last error. */
  readonly body: unknown
  /** Messages consumed in all, before those in `inbox`. */
  readonly consumed: number
  /** Messages that the run has not consumed for good, in order. */
  readonly inbox: ReadonlyArray<HistoryMessage>
  /** Entries of the journal, in order; `t` is the entry's type, `c` the number of its durable call, `n` a name, `m` a message's number. */
  readonly journal: ReadonlyArray<Readonly<Record<string, unknown>> & { readonly t: string; readonly c: number }>
}
export interface HistoryMessage {
  readonly number: number
  readonly kind: "signal" | "update" | "cancel" | "input" | "result"
  readonly name: string
  readonly id: string
  /** Store time of acceptance. */
  readonly at: Date
  readonly payload: unknown
}

/** An activity that has no result yet. */
export interface DescribedActivity {
  readonly name: string
  /** 1, 2, 3 …: the try that runs, waits for a worker, or comes next. */
  readonly attempt: number
  readonly scheduledAt: Date | undefined
  /** Earliest start of this try: in the future while it is delayed, or backs off. */
  readonly startsAt: Date | undefined
  /** Start of this try, where a worker has it: as the run's owner heard. */
  readonly startedAt: Date | undefined
  /** Host and process id of that worker. */
  readonly worker: string | undefined
  /** Last heartbeat of this try. */
  readonly heartbeatAt: Date | undefined
  /** Details of the last heartbeat, also of an earlier try. */
  readonly heartbeat: unknown
  /** Of the try before. */
  readonly lastError: string | undefined
}

/** What `describe` answers. */
export interface Described<State> extends RunFacts {
  readonly key: string
  /**
   * State after the last committed iteration; `undefined` before `init` ran, when the job has none, and when it was written in another version than
   * this client's.
   */
  readonly state: State | undefined
  readonly stateVersion: number
  /** Activities that it waits for. */
  readonly activities: ReadonlyArray<DescribedActivity>
  readonly owner: { readonly shard: number; readonly session: string | undefined; readonly epoch: number }
}
