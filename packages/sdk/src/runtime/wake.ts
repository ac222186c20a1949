/**
 * The pure decision what to do with a run that the pool brings: run an iteration, end it, or park it again. (body, inbox, time) → plan.
 *
 * - D1 A cancel ends a run that is between iterations, or waits in a back-off: there is no handler that could clean up. A back-off that is over
 *   is none, though the record tells of it: the next attempt may have begun, its worker may have died, and its handler is to clean up.
 * - D2 Updates are applied to a parked run in one write that opens nothing and leaves its timer, unless it waits `on` them (J4).
 * - D3 A changed input begins an iteration; it never re-runs `init`.
 * - D4 Messages do not end a back-off, except a cancel, and an input change of an iteration that has no journal.
 *   A delayed start keeps its delay in the same way.
 * - D5 The reason is the first that holds: message, input, time; a run without a wait is ready by itself. Once an iteration has begun, its
 *   reason is kept: with its journal's first entry, and in the body when that is written before. Time carries when it was scheduled (W8).
 * - D6 A limit in time that has passed ends a run that is between iterations, or waits in a back-off; a handler that is to go on is told instead.
 * - D7 A run that is blocked does not wait out its time: whoever is brought it tries it, since its code may be another one.
 */
import type { Message } from "../engine/engine.ts"
import type { Body, WakeReason } from "./body.ts"
import type { Deadlines, Ending } from "./ending.ts"
import { passed } from "./ending.ts"

export type { WakeReason } from "./body.ts"

export type WakePlan =
  | { readonly do: "cancel"; readonly message: Message }
  | { readonly do: "end"; readonly ending: Ending }
  /** Apply these (updates and inputs), then run. */
  | { readonly do: "run"; readonly wake: WakeReason; readonly apply: ReadonlyArray<Message> }
  /** Apply these, then park as before. */
  | { readonly do: "park"; readonly apply: ReadonlyArray<Message> }

export interface WakeInput {
  readonly body: Body
  /** Unread messages, in order. */
  readonly unread: ReadonlyArray<Message>
  /** The journal is not empty: an iteration is under way. */
  readonly underWay: boolean
  /** When the agenda was to wake the run, as its record says. */
  readonly due?: number | undefined
  readonly now: number
  readonly deadlines: Deadlines
}

export const planWake = ({ body, unread, underWay, now, deadlines, due: recordDue }: WakeInput): WakePlan => {
  const { waiting } = body
  const due = waiting?.due
  const cancel = unread.find((message) => message.kind === "cancel")
  const blocked = body.backoff === true && body.blocked !== undefined
  const isDue = (due !== undefined && due <= now) || blocked
  const ending = passed(deadlines, now)
  if (blocked && cancel === undefined && ending !== undefined) return { do: "end", ending }
  if (underWay && (body.backoff !== true || isDue || due === undefined)) {
    // the iteration goes on where its journal ends; its messages are applied at its awaits
    return { do: "run", wake: wakeOf(body, unread, now), apply: none }
  }
  if (cancel !== undefined) return { do: "cancel", message: cancel }
  if (ending !== undefined) return { do: "end", ending }
  if (underWay) return { do: "park", apply: none }
  const apply = unread.length === 0 ? none : unread.filter((message) => message.kind === "update" || message.kind === "input")
  const changed = body.changed === true || apply.some((message) => message.kind === "input")
  if (body.backoff === true && !isDue && !changed && due !== undefined) return { do: "park", apply }
  const delayed = waiting === undefined && body.wake === undefined && recordDue !== undefined && recordDue > now
  if (delayed) return { do: "park", apply }
  const named = unread.find(
    (message) => (message.kind === "signal" || message.kind === "update") && waiting?.on?.includes(message.name) === true,
  )
  if (waiting === undefined || body.backoff === true || named !== undefined || changed || isDue)
    return { do: "run", wake: wakeOf(body, unread, now), apply }
  return { do: "park", apply }
}

const none: ReadonlyArray<never> = []

/** Why the iteration begins (D5). */
export const wakeOf = (body: Body, unread: ReadonlyArray<Message>, now: number): WakeReason => {
  const { waiting } = body
  if (body.wake !== undefined) return body.wake
  const first = (body.iteration ?? 1) === 1
  if (waiting === undefined && (first || body.changed !== true)) return { by: first ? "start" : "again" }
  const named = unread.find(
    (message) => (message.kind === "signal" || message.kind === "update") && waiting?.on?.includes(message.name) === true,
  )
  if (named !== undefined) return { by: "message", name: named.name }
  if (body.changed === true || unread.some((message) => message.kind === "input")) return { by: "input" }
  return { by: "time", at: waiting?.due ?? now }
}
