/** `@ponos/sdk/pool`: placement of keys over workers, without the durable runtime. */
export type { PoolEvent } from "./events.ts"
export type { Job } from "./job.ts"
export { Pool } from "./pool.ts"
export type { Dispatched, JobInfo, Owner, PoolJoinOptions, WorkerOptions } from "./pool.ts"
export type { PoolOptions } from "./options.ts"
export type { LoadStats, PoolStats, StatsOptions } from "./stats/pool-stats.ts"
export { onSignals } from "./signals.ts"
export type { Worker } from "./pool-worker.ts"
