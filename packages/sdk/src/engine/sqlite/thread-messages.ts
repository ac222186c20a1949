/** What the two sides of an engine thread say to each other (threaded-engine.ts, engine-thread.ts): arrays, one post for all of a turn. */
import { PonosError, type ErrorTag } from "../../errors.ts"
import type { Engine, EngineOptions } from "../engine.ts"

/** Verbs that are a call and an answer, as they are. */
export const verbs = [
  "openPool",
  "poolInfo",
  "addKinds",
  "kinds",
  "join",
  "probe",
  "updateMember",
  "leave",
  "renew",
  "markDead",
  "members",
  "assignment",
  "assign",
  "start",
  "message",
  "terminate",
  "link",
  "forbid",
  "forward",
  "read",
  "answers",
  "list",
  "digests",
  "claim",
  "release",
  "take",
  "commit",
  "trim",
  "headers",
  "queues",
  "sweep",
  "audit",
  "readMaps",
  "changeMaps",
  "destroyMaps",
  "appendStreams",
  "readStreams",
  "lastPositions",
  "trimStreams",
  "destroyStreams",
  "joinSinks",
  "takeEvents",
  "ackEvents",
  "beatSinks",
  "leaveSinks",
  "destroySinks",
  "publish",
] as const satisfies ReadonlyArray<keyof Engine>
export type Verb = (typeof verbs)[number]

/** Verbs that take a listener last, and answer what ends it. */
export const listening = ["onHint", "onEvent", "subscribe", "onMapChange", "onAppend"] as const satisfies ReadonlyArray<keyof Engine>
export type Listening = (typeof listening)[number]

export type ThreadOptions = Omit<EngineOptions, "now" | "onWarning">

/** `engine` and `listener` are numbers given by the asking side; a life is a listener too. */
export type Request =
  | { readonly do: "open"; readonly call: number; readonly engine: number; readonly url: string; readonly options: ThreadOptions }
  | {
      readonly do: "verb"
      readonly call: number
      readonly engine: number
      readonly verb: Verb | "close"
      readonly args: ReadonlyArray<unknown>
    }
  | {
      readonly do: "listen"
      readonly call: number
      readonly engine: number
      readonly verb: Listening
      readonly args: ReadonlyArray<unknown>
      readonly listener: number
    }
  | {
      readonly do: "live"
      readonly call: number
      readonly engine: number
      readonly pool: string
      readonly session: string
      readonly listener: number
    }
  /** Of a listener or a life. */
  | { readonly do: "end"; readonly call: number; readonly listener: number }

export type Report =
  | { readonly type: "answer"; readonly call: number; readonly value: unknown }
  | { readonly type: "failure"; readonly call: number; readonly error: Failure }
  | { readonly type: "heard"; readonly listener: number; readonly value: unknown }
  | { readonly type: "warning"; readonly engine: number; readonly text: string }

/** An error without its class, which does not pass. */
export interface Failure {
  readonly tag: string | undefined
  readonly message: string
  readonly stack: string | undefined
  readonly details: Readonly<Record<string, unknown>>
  readonly cause: unknown
}

export const toFailure = (error: unknown): Failure => {
  if (!(error instanceof Error)) return { tag: undefined, message: String(error), stack: undefined, details: {}, cause: undefined }
  const { message, stack } = error
  // An error as a cause keeps its message and stack, not its class; anything else may not pass.
  const cause = error.cause instanceof Error ? error.cause : undefined
  return error instanceof PonosError
    ? { tag: error._tag, message, stack, details: error.details, cause }
    : { tag: undefined, message, stack, details: {}, cause }
}

export const fromFailure = ({ tag, message, stack, details, cause }: Failure): Error => {
  const error =
    tag === undefined
      ? new Error(message, cause === undefined ? undefined : { cause })
      : // The class puts tag and code before the text.
        new PonosError(tag as ErrorTag, message.replace(/^\S+ \[\S+\] /, ""), details, cause)
  if (stack !== undefined) error.stack = stack
  return error
}
