/** What travels between the main loop (keeper-link.ts) and the lease thread (keeper-thread.ts). Times are of the clock that both share. */
import type { EngineOptions, Presence } from "../engine/engine.ts"
import { PonosError, type ErrorTag } from "../errors.ts"
import type { BlockedLoop } from "./events.ts"
import type { Reading } from "./keeper.ts"
import type { OwnLife, Peer } from "./lease.ts"
import type { OnOverrun, PoolOptions } from "./options.ts"

/** `workerData` of the thread. */
export interface Birth {
  readonly url: string
  readonly options: Omit<EngineOptions, "now" | "onWarning">
}

export interface KeepRequest {
  readonly type: "keep"
  readonly pool: string
  readonly session: string
  readonly options: PoolOptions
  readonly onOverrun: OnOverrun
  readonly sentAt: number
  readonly memory: SharedArrayBuffer
}

/** To the thread. */
export type Request =
  | KeepRequest
  | { readonly type: "peers"; readonly session: string; readonly peers: ReadonlyMap<string, Peer> }
  | { readonly type: "life"; readonly session: string; readonly life: OwnLife }
  | { readonly type: "renew" | "stop"; readonly session: string }
  | { readonly type: "handled"; readonly session: string; readonly what: "abort" | "depose" }
  /** Answered by its presence, then `presence` at each change. */
  | { readonly type: "follow"; readonly call: number; readonly pool: string }
  /** Answered by whether it was. */
  | {
      readonly type: "update"
      readonly call: number
      readonly pool: string
      readonly session: string
      readonly record: string
      readonly from: string | undefined
    }
  | { readonly type: "close" }

/** An error: its class does not travel. */
export interface Failure {
  readonly tag: ErrorTag
  readonly message: string
}

export const toFailure = (error: unknown): Failure => {
  if (!(error instanceof PonosError)) return { tag: "StoreFault", message: error instanceof Error ? error.message : String(error) }
  return { tag: error._tag as ErrorTag, message: error.message.slice(error.message.indexOf("] ") + 2) }
}

export const fromFailure = ({ tag, message }: Failure): PonosError => new PonosError(tag, message)

/** From the thread. */
export type Report =
  /** Its store is open, or could not be opened, and the thread ends. */
  | { readonly type: "ready" }
  | { readonly type: "failed"; readonly failure: Failure }
  | { readonly type: "answer"; readonly call: number; readonly value: unknown }
  | { readonly type: "refusal"; readonly call: number; readonly failure: Failure }
  | { readonly type: "presence"; readonly pool: string; readonly presence: Presence | undefined }
  | { readonly type: "reading"; readonly session: string; readonly reading: Reading; readonly at: number }
  | { readonly type: "abort" | "depose"; readonly session: string; readonly why: string }
  | { readonly type: "resume" | "markRefused" | "dead"; readonly session: string }
  | { readonly type: "markedDead"; readonly session: string; readonly other: string; readonly by: "counter" | "probe" }
  | { readonly type: "store"; readonly session: string; readonly failure: Failure | undefined }
  /** The main loop turns again. */
  | { readonly type: "blocked"; readonly blocked: BlockedLoop }
  /** The whole process stood still, and goes on. */
  | { readonly type: "suspended"; readonly ms: number }
  /** Of the thread's engine. */
  | { readonly type: "warning"; readonly text: string }
