/**
 * Entries of a journal: what happened in one iteration, in order, as JSON text. `c` is the number of the durable call (0, 1, 2 … in the order
 * in which the handler made them); `m` a message number; `t` the entry's type; first entry only: `b`, the base time of `now()` (J1), and `w`,
 * why the iteration began.
 */
import { StoreFault } from "../errors.ts"
import type { ErrorData, FailedTry, WakeReason } from "./body.ts"

export type Entry = { readonly b?: number; readonly w?: WakeReason } & (
  | { readonly t: "step"; readonly c: number; readonly n: string; readonly v?: unknown; readonly e?: ErrorData }
  | { readonly t: "sleep"; readonly c: number; readonly due: number }
  | { readonly t: "woke"; readonly c: number }
  /** An activity was scheduled at store time `at`; its first try starts at `due`, where it has a delay. */
  | { readonly t: "act"; readonly c: number; readonly n: string; readonly at?: number; readonly due?: number }
  /** A try of it failed, as `f` says; the next one, `try`, starts at `due`. `h`: encoded details of the last heartbeat, if any. */
  | {
      readonly t: "retry"
      readonly c: number
      readonly try: number
      readonly due: number
      readonly e: ErrorData
      readonly f?: FailedTry
      readonly h?: unknown
      readonly m?: number
    }
  /** It ended, with the answer of message `m`, or for good with an error. */
  | { readonly t: "end"; readonly c: number; readonly m?: number; readonly e?: ErrorData }
  /** Something was asked of another run at store time `at`. */
  | { readonly t: "ask"; readonly c: number; readonly n: string; readonly at: number }
  /** Its answer: a value, the payload of message `m`, or a refusal. */
  | { readonly t: "told"; readonly c: number; readonly v?: unknown; readonly m?: number; readonly e?: ErrorData }
  | { readonly t: "poll"; readonly c: number; readonly n: string; readonly m: number }
  | { readonly t: "receive"; readonly c: number; readonly n: string; readonly due?: number }
  /** `m` 0: timed out, or its filter threw `e`. */
  | { readonly t: "got"; readonly c: number; readonly m: number; readonly e?: ErrorData }
  /** Which version of a change the iteration runs, decided when it first came by. */
  | { readonly t: "version"; readonly c: number; readonly n: string; readonly v: number }
  /** An update was applied when `c` calls had been made; `no`: its handler refused it. */
  | { readonly t: "update"; readonly c: number; readonly m: number; readonly no?: true }
  /**
   * The handler was asked to end at store time `at`: calls 0 to `c` - 1 wait no more, later ones clean up. `more`: of the same asking, for calls that
   * were made while that was written.
   */
  | { readonly t: "cancel"; readonly c: number; readonly m: number; readonly at?: number; readonly more?: true }
  /** The same for a limit in time that passed. */
  | { readonly t: "late"; readonly c: number; readonly of: "run" | "iteration"; readonly at?: number; readonly more?: true }
  /** Of an iteration with a limit in time, where nothing else was recorded yet: it only carries when that began. */
  | { readonly t: "begin"; readonly c: number }
  /** The attempt failed with the failure of call `c`, seen when `made` calls had been made: that call is made anew, and so are those after it. */
  | { readonly t: "undo"; readonly c: number; readonly made: number }
)

/** The handler was asked to end. */
export type EndEntry = Extract<Entry, { t: "cancel" | "late" }>

/** Kinds of durable calls, as the first entry of each tells. */
export type CallKind = "step" | "sleep" | "activity" | "ask" | "poll" | "receive" | "version"

const kinds: Readonly<Partial<Record<Entry["t"], CallKind>>> = {
  step: "step",
  sleep: "sleep",
  woke: "sleep",
  act: "activity",
  retry: "activity",
  end: "activity",
  ask: "ask",
  told: "ask",
  poll: "poll",
  receive: "receive",
  got: "receive",
  version: "version",
}

export const callKind = (entry: Entry): CallKind | undefined => kinds[entry.t]

/** Entries that settle a call or change the run: they are delivered one by one, in order. */
export const settles = (entry: Entry): boolean =>
  entry.t === "step" || entry.t === "woke" || entry.t === "end" || entry.t === "told" || entry.t === "got" || isMoment(entry)

/** What happens to the run, not to a call: `c` is the number of calls made until then. */
export const isMoment = (entry: Entry): boolean => entry.t === "update" || entry.t === "cancel" || entry.t === "late"

/**
 * What counts of a journal: a failure that ended an attempt is taken back, or every later attempt would only repeat it. Applied updates stay
 * applied. `generation` counts what was taken back: activities of different generations must not share an id.
 */
export const effective = (entries: ReadonlyArray<Entry>): { readonly entries: ReadonlyArray<Entry>; readonly generation: number } => {
  let kept: Array<Entry> | undefined
  let generation = 0
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i] as Entry
    if (entry.t !== "undo") {
      kept?.push(entry)
      continue
    }
    generation++
    kept = (kept ?? entries.slice(0, i)).flatMap((before): ReadonlyArray<Entry> => {
      if (isMoment(before)) return [{ ...before, c: Math.min(before.c, entry.made) }]
      return before.c === entry.c || before.c >= entry.made ? [] : [before]
    })
  }
  return { entries: kept ?? entries, generation }
}

export const printEntry = (entry: Entry): string => JSON.stringify(entry)

export const parseJournal = (address: string, texts: ReadonlyArray<string>): ReadonlyArray<Entry> =>
  texts.map((text, index) => {
    try {
      return JSON.parse(text) as Entry
    } catch (error) {
      throw new StoreFault(
        `expected entry ${index} of the journal of ${address} to be JSON, got: ${text.slice(0, 60)}`,
        { address, index },
        error,
      )
    }
  })
