/** The public surface for programs: workers, errors. Clients and stubs come from generated code; the low-level pool from `@ponos/sdk/pool`. */
export { createWorker } from "./worker.ts"
export type { HostedController, Worker, WorkerEvent, WorkerOptions } from "./worker.ts"
export type { PoolEvent } from "./pool/events.ts"
export type { LoadStats, PoolStats, StatsOptions } from "./pool/stats/pool-stats.ts"
export type { FailedTry } from "./runtime/body.ts"
export { shared } from "./runtime/shared.ts"
export type { Shared, SharedOptions } from "./runtime/shared.ts"
export type { RuntimeEvent } from "./runtime/host.ts"
export type { Headers, WorkCall, WorkInterceptor, WorkTools } from "./runtime/interceptors.ts"
export type { ClientCall, ClientInterceptor } from "./client/interceptors.ts"
export type { Listed, Page } from "./client/options.ts"
export { traceClient, traceWork } from "./tracing.ts"
export type { TraceClientOptions } from "./tracing.ts"
export { jsonLog } from "./json-log.ts"
export {
  ActivityFailed,
  ActivityTimeout,
  BadInput,
  BadKey,
  BadOption,
  Cancelled,
  Deposed,
  GuardRefused,
  HandlerMissing,
  InboxFull,
  JobRefused,
  JournalFull,
  LinksFull,
  MapFull,
  ModuleUnusable,
  NotAllowed,
  NoWorker,
  OutcomeUnknown,
  PayloadTooLarge,
  PayloadUnreadable,
  PonosError,
  PoolMismatch,
  PoolNotFound,
  PoolShutDown,
  QueryFailed,
  ReplayMismatch,
  RunEnded,
  RunExists,
  RunFailed,
  RunNotFound,
  ScenarioDiffers,
  StaleWrite,
  StateTooNew,
  StoreFault,
  StoreUnavailable,
  StoreUnsupported,
  Terminated,
  TimedOut,
  UpdateFailed,
  WaitTimeout,
  WorkersFailed,
} from "./errors.ts"
export type { ErrorTag, Fate } from "./errors.ts"
export { optionTable } from "./options.ts"
export type { OptionName, OptionSpec, Options } from "./options.ts"
