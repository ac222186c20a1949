/**
 * What happened, as those who were there wrote it down: workers in files of their own beside the store, the clients and the script in memory.
 * Times are of the host's monotonic clock, ms, which all processes share. A line is written before the next one can happen (`writeSync`), so
 * that a killed process leaves all that it did.
 */
export interface Stamped {
  readonly at: number
}

/** Of one run of user code for a key: a handler of the runtime, or a job of the low-level pool from its hand-out until it is settled. */
interface OfHandler extends Stamped {
  readonly worker: string
  /** Unique within the worker. */
  readonly handler: number
  readonly key: string
}

export type HandlerLine = Exclude<WorkerLine, { readonly what: "stalled" }>

export type WorkerLine =
  | (OfHandler & { readonly what: "begin"; readonly run: string; readonly fence: string; readonly iteration: number })
  /** abortSignal fired. */
  | (OfHandler & { readonly what: "abort" })
  /** The user code has settled. */
  | (OfHandler & { readonly what: "end" })
  /** The body of a step ran: `value` is new, `given` what the step before gave, which is in the journal by now (P4). */
  | (OfHandler & { readonly what: "step"; readonly step: string; readonly value: string; readonly given: string })
  /** The event loop stood still: in between no handler ran. */
  | (Stamped & { readonly what: "stalled"; readonly worker: string; readonly from: number; readonly to: number })
  /** The user code saw a message: its payload is the number that the client gave. */
  | (OfHandler & { readonly what: "message"; readonly n: number })

export type ScriptLine =
  | (Stamped & { readonly what: "killed" | "frozen" | "thawed" | "exited"; readonly worker: string })
  /** The store was emptied: what was acknowledged before is void. */
  | (Stamped & { readonly what: "flushed" })
  /** The store acknowledged a start. */
  | (Stamped & { readonly what: "started"; readonly key: string; readonly run: string })
  /** The store acknowledged message `n` of the key; they are sent one after the other. */
  | (Stamped & { readonly what: "sent"; readonly key: string; readonly n: number })
  /** The client gave up: nobody knows whether message `n` was accepted. */
  | (Stamped & { readonly what: "unknown"; readonly key: string; readonly n: number })

/** What the store holds of a key when all is quiet. */
export interface Final {
  readonly key: string
  readonly run: string
  /** Numbers of the messages that its handlers counted, in order. */
  readonly log: ReadonlyArray<number>
  /** Of the runtime: iterations that were committed, each with the value that its first step had in the journal. */
  readonly iterations: ReadonlyArray<readonly [iteration: number, value: string]>
}

export interface History {
  readonly workers: ReadonlyArray<WorkerLine>
  readonly script: ReadonlyArray<ScriptLine>
  readonly final: ReadonlyArray<Final>
  /** A message may be seen again by the next handler (low-level pool), while the store counts it once. */
  readonly repeats: (key: string) => boolean
}

export const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6
