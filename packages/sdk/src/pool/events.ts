import type { Address } from "../engine/engine.ts"
import type { GiveUpReason } from "./consumer.ts"

/** Who blocked the event loop, as far as it could be seen. */
export interface BlockedLoop {
  /** How long the loop did not turn. */
  readonly ms: number
  /** Of the job whose code ran: "~" in a low-level pool. */
  readonly kind?: string
  readonly key?: string
  /** Of the step whose body ran, or the activity. */
  readonly step?: string
  /** Where, a line a frame, the innermost first; absent when it did not come out of a call into native code. */
  readonly stack?: string
}

/** What a member of a pool tells those who watch it: for logs, metrics and tests. Nothing depends on anybody listening. */
export type PoolEvent =
  | {
      readonly type: "joined"
      readonly session: string
      /** The session that was marked dead before, after an outage. */ readonly previous: string | undefined
    }
  | { readonly type: "claimed"; readonly shard: number; readonly epoch: number; readonly active: number }
  /** Claimed from a session that died without releasing. */
  | { readonly type: "rescued"; readonly shard: number; readonly epoch: number; readonly active: number; readonly from: string }
  /** `ms`: from the abort of its handlers on. */
  | {
      readonly type: "released"
      readonly shard: number
      readonly epoch: number
      readonly reason: GiveUpReason
      readonly ms: number
    }
  /** The shards are another's, or nobody's: trust ended, the session was marked dead, or the store refused a write. */
  | { readonly type: "deposed"; readonly shards: ReadonlyArray<number>; readonly why: string }
  /**
   * Handlers did not settle within `drainMs` after their abortSignal, or the low-level pool's jobs within `abortGraceMs`: user code may overlap
   * with the next owner's, except with `onOverrun: "exit"`, where the process ends before the shard passes on.
   */
  | { readonly type: "overrun"; readonly shard: number; readonly reason: GiveUpReason; readonly addresses: ReadonlyArray<Address> }
  | { readonly type: "memberJoined"; readonly session: string }
  | { readonly type: "memberLeft"; readonly session: string }
  /** This member saw the session silent for its lease, or its process gone, and marked it dead: of several that watch, one tells. */
  | { readonly type: "markedDead"; readonly session: string; readonly by: "counter" | "probe" }
  /** A worker lacks kinds of the pool and was given no shards (A2). */
  | { readonly type: "lacking"; readonly session: string; readonly kinds: ReadonlyArray<string> }
  /** This member computed and wrote an assignment, by which these sessions have shards. */
  | { readonly type: "assigned"; readonly moved: number; readonly workers: ReadonlyArray<string> }
  /** An assigned shard that nobody alive holds, for at least a second (A4). */
  | { readonly type: "unclaimed"; readonly shard: number; readonly assignee: string }
  /** This member claimed it in place of its assignee, until the next assignment (A4). */
  | { readonly type: "stoodIn"; readonly shard: number; readonly assignee: string }
  /** Others cannot see this process die, and replace it only after its lease. Told once. */
  | { readonly type: "warning"; readonly text: string }
  /** Connections to the store were lost (`partly`, `lost`), or all are registered again (`whole`). */
  | { readonly type: "connections"; readonly life: "whole" | "partly" | "lost" }
  /**
   * The event loop of this process did not turn for `maxStallMs` or more; told when it turns again. While it lasts the lease thread says so on
   * stderr (S4).
   */
  | ({ readonly type: "loopBlocked" } & BlockedLoop)
  /**
   * `process`: neither the event loop nor the lease thread ran for so many ms, `maxStallMs` or more. It was frozen (SIGSTOP, a cgroup), or given no
   * processor time. `machine`: the wall clock went on for so many ms without the monotonic one: the machine was suspended, or its clock set (S6).
   */
  | { readonly type: "suspended"; readonly ms: number; readonly what: "process" | "machine" }
  | { readonly type: "storeLost"; readonly error: unknown }
  | { readonly type: "storeBack" }
  | { readonly type: "stopped"; readonly session: string; readonly reason: string | undefined }
  /** Something failed that is not an unreachable store: a bug, a damaged store, a consumer that threw. */
  | { readonly type: "fault"; readonly error: unknown }
