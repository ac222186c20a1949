/** Names that generated code or the SDK uses itself. */

/** Of job exports: members of a client (rule 14), and `then`, which would make a client look like a promise. */
export const reservedJobNames = ["close", "constructor", "get", "kind", "list", "start", "stats", "then"] as const

/** Of signals, queries, updates and activities. */
export const reservedOperationNames = ["__proto__", "constructor", "then"] as const

/** Fields that an Error has for other purposes. `message` is allowed as text: it becomes the error's message. */
export const reservedErrorFields = ["cause", "name", "stack"] as const

/** Tags of the SDK's own errors; a test compares this list with them. */
export const reservedErrorTags = [
  "ActivityFailed",
  "ActivityTimeout",
  "BadInput",
  "BadKey",
  "BadOption",
  "Cancelled",
  "Deposed",
  "GuardRefused",
  "HandlerMissing",
  "InboxFull",
  "JobRefused",
  "JournalFull",
  "LinksFull",
  "MapFull",
  "ModuleUnusable",
  "NoWorker",
  "NotAllowed",
  "OutcomeUnknown",
  "PayloadTooLarge",
  "PayloadUnreadable",
  "PoolMismatch",
  "PoolNotFound",
  "PoolShutDown",
  "QueryFailed",
  "ReplayMismatch",
  "RunEnded",
  "RunExists",
  "RunFailed",
  "RunNotFound",
  "ScenarioDiffers",
  "StaleWrite",
  "StateTooNew",
  "StoreFault",
  "StoreUnavailable",
  "StoreUnsupported",
  "Terminated",
  "TimedOut",
  "UpdateFailed",
  "WaitTimeout",
  "WorkersFailed",
] as const
