/**
 * For the packages of this repository only (controller, bench): NOT public, may change in any release.
 */
export { internals } from "./client/client.ts"
export type { JobClient, JobClientInternals, PreparedStart } from "./client/client.ts"
export { addressOfInput } from "./runtime/address.ts"
export { Batcher } from "./engine/batcher.ts"
export type * from "./engine/engine.ts"
export { openEngine } from "./engine/open.ts"
export { addressOf, checkKey, checkPoolName, hash32, shardOf, splitAddress } from "./key.ts"
export { defaults, readOptions, refuseUnknown, toMillis } from "./options.ts"
export type { Options } from "./options.ts"
export { joinPool } from "./pool/member.ts"
export { retryDelay } from "./runtime/retry.ts"
export { createWorker } from "./worker.ts"
export type { HostedController } from "./worker.ts"
