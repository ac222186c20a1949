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

export type HandlerLine = Extract<WorkerLine, { readonly handler: number }>

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
  /** A durable call (an activity, a child) gave this to the handler; it is in the journal. */
  | (OfHandler & { readonly what: "saw"; readonly call: string; readonly value: string })
  /** The handler is about to end its run with this result. */
  | (OfHandler & { readonly what: "said"; readonly value: string })
  /** The store accepted the end of the run from this worker. */
  | (Stamped & { readonly what: "ended"; readonly worker: string; readonly key: string; readonly run: string })
  /** A try of an activity is about to give this; `call` is the same for all tries of one call. */
  | (Stamped & { readonly what: "try"; readonly worker: string; readonly key: string; readonly call: string; readonly value: string })
  /** The handler of update `n` ran; whether that counts, the store decides. */
  | (Stamped & { readonly what: "applied"; readonly worker: string; readonly key: string; readonly run: string; readonly n: number })

export type ScriptLine =
  | (Stamped & { readonly what: "killed" | "frozen" | "thawed" | "exited"; readonly worker: string })
  /** The store was emptied: what was acknowledged before is void. */
  | (Stamped & { readonly what: "flushed" })
  /** A replica took over that had got nothing since `from`: what was acknowledged in between is void, but for the keys that another server has. */
  | (Stamped & { readonly what: "wentBack"; readonly from: number; readonly kept: ReadonlyArray<string> })
  /** The store acknowledged a start. */
  | (Stamped & { readonly what: "started"; readonly key: string; readonly run: string })
  /** The store acknowledged message `n` of the key; they are sent one after the other. */
  | (Stamped & { readonly what: "sent"; readonly key: string; readonly n: number })
  /** The client gave up: nobody knows whether message `n` was accepted. */
  | (Stamped & { readonly what: "unknown"; readonly key: string; readonly n: number })
  /** Update `n` was answered with the place that it has among the updates of its run. */
  | (Stamped & { readonly what: "answered"; readonly key: string; readonly n: number; readonly place: number })

/** What the store holds of a key when all is quiet. */
export interface Final {
  readonly key: string
  readonly run: string
  /** Numbers of the messages that its handlers counted, in order. */
  readonly log: ReadonlyArray<number>
  /** Of the runtime: iterations that were committed, each with the value that its first step had in the journal. */
  readonly iterations: ReadonlyArray<readonly [iteration: number, value: string]>
}

/** What one iteration of a run with children counted. */
export interface Family {
  readonly iteration: number
  /** Result of its activity. */
  readonly work: string
  /** Run of its child, and how that ended: its result, or the tag of an error. */
  readonly branch: string
  readonly end: string
  /** How the child's own children ended, which were started to be cancelled, terminated, left alone when it ends; absent: none was to be started. */
  readonly leaves: { readonly cancel: string; readonly terminate: string; readonly abandon?: string }
}

/** What the store holds of a run with children, beside `Final`. */
export interface FinalFamily {
  readonly key: string
  readonly run: string
  /** Numbers of the updates that were applied, in order. */
  readonly log: ReadonlyArray<number>
  /** Iterations that were committed, and those that the state counted. */
  readonly iterations: number
  readonly counted: number
  readonly families: ReadonlyArray<Family>
  /** Signals that it sent to the next one, numbered from 1 on. */
  readonly told: number
  /** Whom it tells. */
  readonly next: string
  /** Signals that it got from others: who, and which number. */
  readonly heard: ReadonlyArray<readonly [from: string, n: number]>
}

/** A child as the store has it at the end. */
export interface FinalChild {
  readonly key: string
  readonly run: string
  /** `done:<result>`, the tag of how it ended, or `alive`. */
  readonly end: string
}

export interface History {
  readonly workers: ReadonlyArray<WorkerLine>
  readonly script: ReadonlyArray<ScriptLine>
  readonly final: ReadonlyArray<Final>
  readonly families?: ReadonlyArray<FinalFamily>
  readonly children?: ReadonlyArray<FinalChild>
  /** A message may be seen again by the next handler (low-level pool), while the store counts it once. */
  readonly repeats: (key: string) => boolean
}

export type Forgotten = (at: number, key: string) => boolean

/** Whether the store has forgotten what it acknowledged of the key at that time, because it was emptied or went back. */
export const forgotten = (script: ReadonlyArray<ScriptLine>): Forgotten => {
  const gaps = script.flatMap((line) => {
    if (line.what === "flushed") return [{ from: Number.NEGATIVE_INFINITY, to: line.at, kept: new Set<string>() }]
    return line.what === "wentBack" ? [{ from: line.from, to: line.at, kept: new Set(line.kept) }] : []
  })
  return (at, key) => gaps.some(({ from, to, kept }) => at > from && at <= to && !kept.has(key))
}

export const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6
