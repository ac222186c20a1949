import type { Message } from "../engine/engine.ts"
import type { OwnedShard } from "../pool/consumer.ts"
import type { Work } from "../pool/work.ts"
import type { Answer, Body, WakeReason } from "./body.ts"
import type { Effects } from "./effects.ts"
import type { Deadlines } from "./ending.ts"
import type { Inbox } from "./inbox.ts"
import type { WorkInterceptor } from "./interceptors.ts"
import type { Entry } from "./journal.ts"
import type { JobKind } from "./kind.ts"
import type { LazyAbort } from "./lazy-abort.ts"
import type { Reach } from "./reach.ts"
import type { TaskQueue } from "./task.ts"

/** What an attempt gets from its iteration. */
export interface AttemptOptions {
  readonly shard: OwnedShard
  readonly kind: JobKind
  readonly address: string
  readonly key: string
  readonly run: string
  readonly revision: string
  /** As which its handler is known to be at work. */
  readonly work: Work
  readonly body: Body
  /** The journal as stored. */
  readonly entries: ReadonlyArray<Entry>
  readonly wake: WakeReason
  readonly inbox: Inbox
  readonly life: LazyAbort
  readonly effects: Effects
  readonly tasks: TaskQueue
  /** Other runs; absent where nothing may be sent. */
  readonly reach: Reach | undefined
  readonly interceptors: ReadonlyArray<WorkInterceptor>
  readonly limits: { readonly journalLimit: number; readonly payloadBytes: number }
  readonly deadlines: Deadlines
  /** The handler had its time to clean up after it was asked to end, and has not ended. */
  readonly onForced: () => void
  /** Applies an update to the state. */
  readonly applyUpdate: (message: Message) => Answer
  /** Only replays: nothing live begins, nothing is written. Told when all that is recorded was delivered and the handler rests. */
  readonly onReplayed?: (leftover: Error | undefined) => void
}
