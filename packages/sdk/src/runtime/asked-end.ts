/**
 * How a handler is asked to end, by a cancel or by a limit in time, and has a while to clean up. Both are in the journal, so that a replay asks at the
 * same place.
 */
import { tagOrName } from "./body.ts"
import type { AttemptOptions } from "./attempt-options.ts"
import type { Deadlines, Ending } from "./ending.ts"
import { endingError } from "./ending.ts"
import type { EndEntry, Entry } from "./journal.ts"
import type { LazyAbort } from "./lazy-abort.ts"
import type { Live } from "./live.ts"
import { delivery } from "./live.ts"
import type { Outstanding, OutstandingCalls } from "./outstanding.ts"
import type { TimeSource } from "./timer.ts"
import { atTime } from "./timer.ts"

/** The attempt whose handler is asked. */
export interface AskedAttempt extends TimeSource {
  readonly options: Pick<AttemptOptions, "address" | "inbox" | "kind" | "onForced">
  readonly abort: LazyAbort
  record(entry: Entry, live: Live): void
}

/** What is left to clean up in, at least, for a worker that takes over: a handler that ends soon is to end by itself. */
const leastCleanupMs = 1_000
/** Of errors by which a handler sees that it is to end; a body that heeds its signal may throw the last one. */
const endTags: ReadonlySet<string> = new Set(["Cancelled", "TimedOut", "AbortError"])

export class AskedEnd {
  readonly #attempt: AskedAttempt
  readonly #calls: OutstandingCalls
  /** `made`: calls that the handler has made; `known`: with those that are recorded. */
  readonly #replay: { readonly made: number; readonly known: number }
  #ending: Ending | undefined
  /** Calls with a lower number were made before the handler was asked to end: they wait no more. */
  #before = 0
  /** It was asked while it waited for nothing that could tell it: its next wait does. */
  #untold = false
  /** Of its limits in time. */
  #limits: ReadonlyArray<() => void> = none

  constructor(attempt: AskedAttempt, calls: OutstandingCalls, replay: { readonly made: number; readonly known: number }) {
    this.#attempt = attempt
    this.#calls = calls
    this.#replay = replay
  }

  /** Why the handler was asked, if so. */
  get ending(): Ending | undefined {
    return this.#ending
  }

  /** Was the call made before the handler was asked? */
  isBefore(index: number): boolean {
    return index < this.#before
  }

  /** Asks when a limit has passed. */
  watch({ run, iteration }: Deadlines): void {
    const late = (of: "run" | "iteration") => () => {
      const at = Math.ceil(this.#attempt.shard.now())
      this.#ask({ t: "late", c: this.#replay.known, of, at })
    }
    if (run !== undefined) this.#limit(run, late("run"))
    if (iteration !== undefined) this.#limit(iteration, late("iteration"))
  }

  /** Asks for a cancel, the message of this number. */
  cancel(message: number): void {
    const at = Math.ceil(this.#attempt.shard.now())
    this.#ask({ t: "cancel", c: this.#replay.known, m: message, at })
  }

  /**
   * Records that the handler is to end, then asks it to. On replay it is asked when it has made just the calls that the entry tells: of those that it
   * made while that was written, another entry tells.
   */
  #ask(entry: EndEntry): void {
    const tell = (): void => {
      const { made } = this.#replay
      if (this.tell(entry) && made > entry.c) this.#ask({ ...entry, c: made, more: true })
    }
    this.#attempt.record(entry, delivery(tell, entry.t === "cancel" ? () => void this.tell(entry) : undefined, entry.c))
  }

  /**
   * Asks the handler to end: what waits rejects, later steps still run, and after a while the run ends without it. That while began when it was
   * asked, maybe in another worker: a clean-up that never ends is not to begin anew with each. A handler that waited for nothing (a step was under
   * way) is told by its next wait; later ones are its clean-up's. False: it was asked before.
   */
  tell(entry: EndEntry): boolean {
    if (this.#ending !== undefined && entry.more !== true) return false
    const ending = (this.#ending ??= this.#endingOf(entry))
    const error = endingError(this.#attempt.options.address, ending)
    if (entry.more !== true) this.#limitCleanUp(entry.at ?? this.#attempt.shard.now())
    if (entry.more !== true) this.#untold = true
    this.#before = entry.c
    this.#attempt.abort.abort(error)
    // on replay, calls that it made after it was asked may be there already
    for (const [index, call] of this.#calls.entries()) this.rejectWait(index, call)
    return true
  }

  #endingOf(entry: EndEntry): Ending {
    if (entry.t === "late") return { type: "timedOut", of: entry.of }
    const message = this.#attempt.options.inbox.get(entry.m)
    return { type: "cancelled", reason: message === undefined ? "cancelled" : (JSON.parse(message.payload) as string) }
  }

  #limitCleanUp(asked: number): void {
    const { kind, onForced } = this.#attempt.options
    this.stop()
    const { cleanup } = kind.timeouts
    const least = this.#attempt.shard.now() + Math.min(cleanup, leastCleanupMs)
    this.#limit(Math.max(asked + cleanup, least), onForced)
  }

  /** Why a call must not wait now: it was made before the handler was asked to end, or by one that does not know of that yet. */
  mayNotWait(index: number): Error | undefined {
    return this.#ending !== undefined && (this.isBefore(index) || this.#untold)
      ? endingError(this.#attempt.options.address, this.#ending)
      : undefined
  }

  /** Ends the wait of a call that must not wait. */
  rejectWait(index: number, call: Outstanding): void {
    const error = this.mayNotWait(index)
    if (!call.cancellable || error === undefined) return
    this.#untold = false
    call.stop?.()
    call.reject(error)
    call.abandon?.(error.message)
  }

  /** The handler sees this error: from one that comes of its end it knows of that. */
  told(error: unknown): void {
    if (this.#untold && endTags.has(tagOrName(error))) this.#untold = false
  }

  /** No limit is waited for any more. */
  stop(): void {
    const limits = this.#limits
    this.#limits = none
    for (const stop of limits) stop()
  }

  #limit(at: number, then: () => void): void {
    const stop = atTime(this.#attempt, at, then)
    this.#limits = [...this.#limits, stop]
  }
}

const none: ReadonlyArray<never> = []
