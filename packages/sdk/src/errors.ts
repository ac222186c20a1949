/**
 * Every public error of Ponos: one class per cause, a stable code, what was expected, what came, and what to do.
 * They compare by `_tag` (also across duplicate installs), never by `instanceof`.
 */
export type Fate =
  /** Repeating the same call cannot help. */
  | "terminal"
  /** May succeed when repeated. */
  | "retryable"
  /** Waits for code, configuration or an operator; nothing is lost. */
  | "blocked"

interface ErrorSpec {
  readonly code: string
  readonly fate: Fate
}

/** The table from which the classes are built: tag → code and fate. */
const specs = {
  BadOption: { code: "ponos:bad_option", fate: "terminal" },
  BadKey: { code: "ponos:bad_key", fate: "terminal" },
  BadInput: { code: "ponos:bad_input", fate: "terminal" },
  PayloadTooLarge: { code: "ponos:payload_too_large", fate: "terminal" },
  PayloadUnreadable: { code: "ponos:payload_unreadable", fate: "blocked" },
  StoreUnavailable: { code: "ponos:store_unavailable", fate: "retryable" },
  StoreFault: { code: "ponos:store_fault", fate: "terminal" },
  StoreUnsupported: { code: "ponos:store_unsupported", fate: "terminal" },
  PoolMismatch: { code: "ponos:pool_mismatch", fate: "terminal" },
  PoolNotFound: { code: "ponos:pool_not_found", fate: "retryable" },
  PoolShutDown: { code: "ponos:pool_shut_down", fate: "blocked" },
  JobRefused: { code: "ponos:job_refused", fate: "terminal" },
  Deposed: { code: "ponos:deposed", fate: "retryable" },
  StaleWrite: { code: "ponos:stale_write", fate: "retryable" },
  RunNotFound: { code: "ponos:run_not_found", fate: "terminal" },
  RunEnded: { code: "ponos:run_ended", fate: "terminal" },
  RunExists: { code: "ponos:run_exists", fate: "terminal" },
  RunFailed: { code: "ponos:run_failed", fate: "terminal" },
  Cancelled: { code: "ponos:cancelled", fate: "terminal" },
  Terminated: { code: "ponos:terminated", fate: "terminal" },
  TimedOut: { code: "ponos:timed_out", fate: "terminal" },
  InboxFull: { code: "ponos:inbox_full", fate: "retryable" },
  LinksFull: { code: "ponos:links_full", fate: "retryable" },
  MapFull: { code: "ponos:map_full", fate: "retryable" },
  NoWorker: { code: "ponos:no_worker", fate: "retryable" },
  OutcomeUnknown: { code: "ponos:outcome_unknown", fate: "retryable" },
  WaitTimeout: { code: "ponos:wait_timeout", fate: "retryable" },
  ReplayMismatch: { code: "ponos:replay_mismatch", fate: "blocked" },
  JournalFull: { code: "ponos:journal_full", fate: "blocked" },
  StateTooNew: { code: "ponos:state_too_new", fate: "blocked" },
  HandlerMissing: { code: "ponos:handler_missing", fate: "blocked" },
  ActivityFailed: { code: "ponos:activity_failed", fate: "retryable" },
  ActivityTimeout: { code: "ponos:activity_timeout", fate: "retryable" },
  NotAllowed: { code: "ponos:not_allowed", fate: "terminal" },
  UpdateFailed: { code: "ponos:update_failed", fate: "terminal" },
  QueryFailed: { code: "ponos:query_failed", fate: "terminal" },
  ModuleUnusable: { code: "ponos:module_unusable", fate: "terminal" },
  WorkersFailed: { code: "ponos:workers_failed", fate: "blocked" },
  ScenarioDiffers: { code: "ponos:scenario_differs", fate: "terminal" },
  GuardRefused: { code: "ponos:guard_refused", fate: "blocked" },
} as const satisfies Record<string, ErrorSpec>

export type ErrorTag = keyof typeof specs

/** Base of all of them. `details` holds the fields of the case at hand, as data. */
export class PonosError extends Error {
  readonly _tag: string
  readonly code: string
  readonly fate: Fate
  readonly details: Readonly<Record<string, unknown>>
  constructor(tag: ErrorTag, message: string, details: Readonly<Record<string, unknown>> = {}, cause?: unknown) {
    const spec = specs[tag]
    super(`${tag} [${spec.code}] ${message}`, cause === undefined ? undefined : { cause })
    this.name = tag
    this._tag = tag
    this.code = spec.code
    this.fate = spec.fate
    this.details = details
  }
}

export interface PonosErrorClass<Tag extends ErrorTag> {
  new (message: string, details?: Readonly<Record<string, unknown>>, cause?: unknown): PonosError & { readonly _tag: Tag }
  is(error: unknown): error is PonosError & { readonly _tag: Tag }
  readonly tag: Tag
  readonly code: string
}

const define = <Tag extends ErrorTag>(tag: Tag): PonosErrorClass<Tag> =>
  class extends PonosError {
    static readonly tag = tag
    static readonly code = specs[tag].code
    static is(error: unknown): error is PonosError & { readonly _tag: Tag } {
      return typeof error === "object" && error !== null && "_tag" in error && error._tag === tag
    }
    declare readonly _tag: Tag
    constructor(message: string, details?: Readonly<Record<string, unknown>>, cause?: unknown) {
      super(tag, message, details, cause)
    }
  }

/** An option has a wrong value or an unknown name. */
export const BadOption = define("BadOption")
/** A key is empty, over 512 bytes, or has control characters. */
export const BadKey = define("BadKey")
/** A value does not match its schema; `details.path` names the field. */
export const BadInput = define("BadInput")
/** A payload is over its limit. */
export const PayloadTooLarge = define("PayloadTooLarge")
/** What the store has was encoded by a codec, or with a key, that this process lacks, or is damaged. */
export const PayloadUnreadable = define("PayloadUnreadable")
/** The store did not answer in time; the outcome of the call is unknown, and repeating it is safe. */
export const StoreUnavailable = define("StoreUnavailable")
/** The store answered something that Ponos does not understand. */
export const StoreFault = define("StoreFault")
/** The store is too old, or lacks what Ponos needs. */
export const StoreUnsupported = define("StoreUnsupported")
/** The pool exists with other settings. */
export const PoolMismatch = define("PoolMismatch")
/** Nobody has opened this pool yet. */
export const PoolNotFound = define("PoolNotFound")
/** Somebody shut the pool down: no worker may join until `pool.reopen()`. */
export const PoolShutDown = define("PoolShutDown")
/** A worker of a low-level pool refused to start the job; the key is free. */
export const JobRefused = define("JobRefused")
/** This worker no longer owns the shard: the attempt ends here and goes on elsewhere. */
export const Deposed = define("Deposed")
/** The store refused a write of a stale owner or of an old revision. */
export const StaleWrite = define("StaleWrite")
/** The key has no run, or its ended run is no longer retained. */
export const RunNotFound = define("RunNotFound")
/** The run has ended: it takes no message, and `ifEnded: "reject"` starts no other. */
export const RunEnded = define("RunEnded")
/** Another run lives under this key. */
export const RunExists = define("RunExists")
/** The run ended with an error that is not declared, after its retries. */
export const RunFailed = define("RunFailed")
/** The run ended because somebody cancelled it; in a handler, the reason of `job.abortSignal` then. */
export const Cancelled = define("Cancelled")
/** The run was ended from outside, without its handler. */
export const Terminated = define("Terminated")
/** The run, or one iteration of it, took longer than its definition allows; in a handler, the reason of `job.abortSignal` then. */
export const TimedOut = define("TimedOut")
/** The run has as many unread messages as `inboxLimit` allows; nothing was stored. */
export const InboxFull = define("InboxFull")
/** The run has as many children and waiting runs as `linkLimit` allows, or the outbox of its shard is full; nothing was stored. */
export const LinksFull = define("LinksFull")
/** A replicated map would grow over its limits; it may shrink. */
export const MapFull = define("MapFull")
/** No worker answered a query in time. */
export const NoWorker = define("NoWorker")
/** An update was accepted, but its answer is no longer retained. */
export const OutcomeUnknown = define("OutcomeUnknown")
/** Something did not happen in the time given; it may still. */
export const WaitTimeout = define("WaitTimeout")
/** The code asks for something else than its journal says. */
export const ReplayMismatch = define("ReplayMismatch")
/** An iteration has as many entries as `journalLimit` allows: end it with `job.again`. */
export const JournalFull = define("JournalFull")
/** The state of a run was written by newer code: this one must not load it, nor write over it. */
export const StateTooNew = define("StateTooNew")
/** A kind has live runs, but this worker has no handler for it. */
export const HandlerMissing = define("HandlerMissing")
/** An activity failed with an error that is not declared, after its retries. */
export const ActivityFailed = define("ActivityFailed")
/** A try of an activity had no result in time, or no worker took it. */
export const ActivityTimeout = define("ActivityTimeout")
/** A call in a place where it cannot be made. */
export const NotAllowed = define("NotAllowed")
/** An update handler threw an error that is not declared; the state is as it was. */
export const UpdateFailed = define("UpdateFailed")
/** A query handler threw. */
export const QueryFailed = define("QueryFailed")
/** The module of `ponos worker` is not there, or starts no worker. */
export const ModuleUnusable = define("ModuleUnusable")
/** The processes of a supervisor ended again and again, and none of them was ever healthy. */
export const WorkersFailed = define("WorkersFailed")
/** Under a fault a test gave something else than without one, or failed: `details.faults` says which. */
export const ScenarioDiffers = define("ScenarioDiffers")
/** The controller's guard holds a plan back until it is approved. */
export const GuardRefused = define("GuardRefused")
