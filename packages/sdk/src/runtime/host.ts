/** What an iteration needs from the runner, and what both tell. */
import type { Address, Engine, LoadedRun } from "../engine/engine.ts"
import type { Options } from "../options.ts"
import type { OwnedShard } from "../pool/consumer.ts"
import type { WorkerStats } from "../pool/stats/worker-stats.ts"
import type { Body } from "./body.ts"
import { messageOf } from "./body.ts"
import type { Effects } from "./effects.ts"
import type { WorkInterceptor } from "./interceptors.ts"
import type { JobKind } from "./kind.ts"
import type { Reach } from "./reach.ts"
import type { Resident } from "./resident.ts"
import type { TaskQueue } from "./task.ts"

export type RuntimeEvent =
  | {
      readonly type: "failed"
      readonly kind: string
      readonly key: string
      readonly run: string
      readonly attempt: number
      readonly error: Error
      readonly retryIn: number | undefined
    }
  | { readonly type: "blocked"; readonly kind: string; readonly key: string; readonly run: string; readonly error: Error }
  /** A try of an activity failed in this worker, or with one that died; whether another one follows is for its run to decide. */
  | {
      readonly type: "activityFailed"
      readonly kind: string
      readonly key: string
      readonly run: string
      readonly activity: string
      /** 1, 2, 3 …: the try. */
      readonly attempt: number
      readonly error: Error
    }
  /** The run has ended, and one of those whom that concerns cannot be told, or ended, now. */
  | { readonly type: "unsent"; readonly kind: string; readonly key: string; readonly run: string; readonly error: Error }
  | { readonly type: "stuck"; readonly kind: string; readonly key: string; readonly run: string }
  /** Of what the jobs of a tenant share. */
  | { readonly type: "closeFailed"; readonly tenant: string; readonly error: Error }
  | { readonly type: "ended"; readonly kind: string; readonly key: string; readonly run: string; readonly outcome: string }

export interface RunnerOptions {
  readonly engine: Engine
  readonly pool: string
  readonly kinds: ReadonlyMap<string, JobKind>
  readonly effects: Effects
  readonly tasks: TaskQueue
  readonly limits: Options
  readonly onEvent: (event: RuntimeEvent) => void
  readonly stats: WorkerStats
  readonly interceptors: ReadonlyArray<WorkInterceptor>
  /** Capacity came back: the pool may take more. */
  readonly wantMore: () => void
}

export interface IterationHost {
  readonly options: RunnerOptions
  readonly reach: Reach
  /** The run has ended, and its handler has settled: it leaves memory. */
  ended(resident: Resident): void
  /** The run is about to be parked while its handler waits: it leaves memory when that has settled. */
  leaves(resident: Resident, reason: Error): void
  /** The run is about to be written as blocked and active; false: there is no room for it, it is to be parked. */
  reserve(shard: OwnedShard, address: Address): boolean
  /** It was written: it is looked at again at `due`. `undefined`: it could not be. */
  hold(shard: OwnedShard, address: Address, due: number | undefined): void
  /** Writes a run as it was brought, blocked, and holds it. */
  block(shard: OwnedShard, run: LoadedRun, body: Body): Promise<void>
  closeResource(resident: Resident): Promise<void>
  /** What the run's tenant shares: of the handler until it settles. */
  useShared(resident: Resident, shared: unknown, abortSignal: AbortSignal): Promise<unknown>
}

export const errorOf = (error: unknown): Error => (error instanceof Error ? error : new Error(messageOf(error)))
