import type { DurationInput } from "./define/index.ts"
import type { JobContract } from "./runtime/contract.ts"

/** Options of `createClient`. */
export interface ClientOptions {
  readonly pool: string
  /** `redis://…`, `rediss://…`, `file:…` or `memory:<name>`; default: the environment's `PONOS_STORE`. */
  readonly store?: string | undefined
}
export interface StartOptions {
  /** Delay of the first iteration. */
  readonly after?: DurationInput
  /** A live run has the key: return its handle (default) or throw `RunExists`. */
  readonly ifRunning?: "join" | "reject"
  /** An ended run is still retained: start anew (default) or throw `RunEnded`. */
  readonly ifEnded?: "start" | "reject"
}
export interface UpdateOptions {
  /** Idempotency id; default: a new one. */
  readonly id?: string
  /** How long to wait for the answer; default 30 seconds. */
  readonly timeout?: DurationInput
}
export interface ListOptions {
  readonly limit?: number
}
export interface Listed {
  readonly key: string
  readonly run: string
  readonly phase: "ready" | "active" | "parked" | "ended"
}
/** What `describe` answers. */
export interface Described<State> {
  readonly key: string
  readonly run: string
  readonly phase: "ready" | "active" | "parked" | "ended"
  readonly state: State | undefined
  readonly iteration: number
  readonly attempt: number
  readonly nextWake: Date | undefined
  readonly lastError: string | undefined
  readonly owner: { readonly shard: number; readonly session: string; readonly epoch: number }
}
export declare const makeClient: (options: ClientOptions, contracts: Readonly<Record<string, JobContract>>) => never
