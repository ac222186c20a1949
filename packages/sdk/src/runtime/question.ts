/** What a handler asks of another run, and the answers to it. A refusal is an answer. */
import { InboxFull, LinksFull, OutcomeUnknown, RunEnded, RunExists, RunNotFound } from "../errors.ts"
import type { ErrorData } from "./body.ts"
import type { Headers, WorkCall } from "./interceptors.ts"
import type { Reach } from "./reach.ts"

const refusals = { InboxFull, LinksFull, OutcomeUnknown, RunEnded, RunExists, RunNotFound }

export type Answer =
  | { readonly v?: unknown }
  | { readonly e: ErrorData & { readonly tag: keyof typeof refusals } }
  /** It comes as a message of kind `result` that has the id of the question as its name. */
  | "later"
  /** The asking run has ended meanwhile. */
  | "over"

export const refusal = (tag: keyof typeof refusals, message: string): Answer => ({ e: { tag, message } })

export const errorOf = (data: ErrorData): Error => new refusals[data.tag as keyof typeof refusals](data.message)

export interface Question<A> {
  /** As interceptors see it. */
  readonly call: { readonly type: "start" | "signal" | "cancel" | "result"; readonly name: string; readonly to: WorkCall["to"] & {} }
  /** Of the call, for replay. */
  readonly name: string
  /** Address of who is asked. */
  readonly to: string
  /** Asking twice is harmless at any time. */
  readonly repeatable: boolean
  ask(reach: Reach, id: string, headers: Headers | undefined): Promise<Answer>
  /** From what was recorded, or the payload of the message, to what the call gives; may throw. */
  read(value: unknown): A
}
