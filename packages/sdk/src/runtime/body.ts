/**
 * What a run keeps in the store as its body, how it ended, and how an update was answered: JSON text, opaque to the engine. Short names,
 * since a million parked runs pay for each letter; absent means default.
 */
import { isEncoded } from "../codec/codec.ts"
import { ActivityFailed, Cancelled, PayloadUnreadable, PonosError, RunFailed, Terminated } from "../errors.ts"
import type { FailureClass, MaybeSchema } from "./contract.ts"
import { codecOf } from "./contract.ts"

/** Why an iteration began. */
export type WakeReason =
  | { readonly by: "start" | "input" | "again" }
  /** `at`: the store time for which it was scheduled; it may begin much later (W8). */
  | { readonly by: "time"; readonly at: number }
  | { readonly by: "message"; readonly name: string }

/** What a parked iteration waits for. */
export interface Waiting {
  /** Store time. */
  readonly due?: number
  readonly on?: ReadonlyArray<string>
}

export interface Body {
  /** Encoded input. */
  input: unknown
  /** Encoded state after the last iteration; absent before `init` ran. */
  state?: unknown
  /** Iteration that is running or comes next; default 1. */
  iteration?: number
  /** Failed attempts of this iteration; default 0. */
  failures?: number
  /** What the run waits for; absent: it was ready by itself. */
  waiting?: Waiting
  /** The wait is a back-off of a failed attempt: its journal is kept, and messages do not end it. */
  backoff?: boolean
  /** The input changed since the last iteration. */
  changed?: boolean
  /** The iteration has begun for this reason, and what told it may be consumed: later attempts see the same (`job.wake`). */
  wake?: WakeReason
  /** Message numbers above `consumed` that were already read (read out of order). */
  read?: ReadonlyArray<number>
  /** Message of the last failure. */
  error?: string
  /** Of the latest of the iterations before that did not end with its first attempt. */
  trouble?: { readonly iteration: number; readonly attempts: number; readonly error: string }
  /** The run waits for code or an operator, and why. */
  blocked?: string
  /** Version of the state's type; default 1. */
  sv?: number
  /** Of the start: what lists are filtered by. */
  labels?: Readonly<Record<string, string>>
  /** What the client's interceptors gave to the run. */
  headers?: Readonly<Record<string, string>>
  /** Store time at which the run ends, of a job with such a limit. */
  until?: number
  /** Store time at which a failed iteration began, of a job with such a limit. */
  began?: number
  /** Contract version that wrote the state (api rule 22). */
  version?: string
  /** Store time of the last commit, for queries' `idleSeconds`. */
  at?: number
}

export const parseBody = (text: string): Body => {
  if (isEncoded(text))
    throw new PayloadUnreadable(
      `the record of a run cannot be read: it was encoded by ${JSON.stringify(text.slice(0, text.indexOf(":")))}, or with a key, that this process lacks. Give it the codecs and keys of those that wrote it.`,
    )
  return JSON.parse(text) as Body
}
export const printBody = (body: Body): string => JSON.stringify(body)

/** What is kept of the failures of an iteration that ends: short, since its run may live for long. */
const troubleOf = ({ iteration = 1, failures = 0, error = "", trouble }: Body): Body["trouble"] =>
  failures === 0 ? trouble : { iteration, attempts: failures + 1, error: error.slice(0, 300) }

/** For the iteration that follows: without what was of the one that ends. */
export const nextBody = (body: Body, waiting: Waiting | undefined, changed: boolean): Body => {
  const { input, state, version, sv, iteration = 1, labels, headers, until } = body
  const trouble = troubleOf(body)
  return {
    input,
    ...(state === undefined ? {} : { state }),
    ...(version === undefined ? {} : { version }),
    ...(sv === undefined ? {} : { sv }),
    iteration: iteration + 1,
    ...(waiting === undefined ? {} : { waiting }),
    ...(labels === undefined ? {} : { labels }),
    ...(headers === undefined ? {} : { headers }),
    ...(until === undefined ? {} : { until }),
    ...(trouble === undefined ? {} : { trouble }),
    ...(changed ? { changed: true } : {}),
  }
}

/** An ended run waits for nothing. */
export const endedBody = (body: Body): Body => {
  const { waiting, backoff, wake, until, blocked } = body
  if (waiting === undefined && backoff === undefined && wake === undefined && until === undefined && blocked === undefined) return body
  const { waiting: _, backoff: __, wake: ___, until: ____, began: _____, blocked: ______, ...rest } = body
  return rest
}

export const withRead = (body: Body, read: ReadonlyArray<number>): Body => {
  const { read: _, ...rest } = body
  return read.length === 0 ? rest : { ...rest, read }
}

/** An error as data: declared ones keep their fields, others their tag, code and message. */
export interface ErrorData {
  readonly tag: string
  readonly message: string
  /** Encoded fields of a declared error. */
  readonly fields?: unknown
  readonly code?: string
  /** History of failed tries, of an activity that gave up. */
  readonly tries?: ReadonlyArray<FailedTry>
}

/** One failed try of an activity, as an error shows it: plain JSON, bounded in size. */
export interface FailedTry {
  /** 1, 2, 3 … */
  readonly try: number
  /** Store times (ISO); `started` is absent where no worker told of it. */
  readonly started?: string
  readonly failed: string
  /** Host and process id. */
  readonly worker?: string
  /** The deadline that it missed. */
  readonly missed?: "start" | "close" | "heartbeat" | "total"
  readonly tag: string
  readonly message: string
}

export type Outcome =
  | { readonly type: "done"; readonly value?: unknown }
  | { readonly type: "failed"; readonly error: ErrorData; readonly unread?: ReadonlyArray<string> }
  | { readonly type: "cancelled"; readonly reason: string }
  | { readonly type: "timedOut"; readonly of: "run" | "iteration" }
  | { readonly type: "terminated"; readonly reason: string }

export type Answer = { readonly ok: unknown } | { readonly error: ErrorData }

type Errors = Readonly<Record<string, MaybeSchema>>

/** What `retry.except` names. */
export const tagOrName = (error: unknown): string => tagOf(error) ?? (error instanceof Error ? error.name : "Error")

const tagOf = (error: unknown): string | undefined =>
  typeof error === "object" && error !== null && "_tag" in error && typeof error._tag === "string" ? error._tag : undefined

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** True when the error is one that the definition declares. */
export const isDeclared = (error: unknown, errors: Errors): boolean => {
  const tag = tagOf(error)
  return tag !== undefined && Object.hasOwn(errors, tag)
}

/** One that looks like a declared error and does not fit its type is kept as any other: a fault of a fault stops nothing. */
export const encodeError = (error: unknown, errors: Errors): ErrorData => {
  const tag = tagOf(error)
  const schema = tag === undefined ? undefined : errors[tag]
  if (tag !== undefined && schema !== undefined && schema !== null) {
    try {
      const fields = { ...(error as object), _tag: tag }
      return { tag, message: messageOf(error), fields: codecOf(schema).encode(fields, `the error ${tag}`) }
    } catch {
      // below
    }
  }
  const code = error instanceof PonosError ? { code: error.code } : {}
  const tries = error instanceof PonosError && Array.isArray(error.details["tries"]) ? { tries: error.details["tries"] as FailedTry[] } : {}
  return { tag: tagOrName(error), message: messageOf(error), ...code, ...tries }
}

/** The error of an outcome or answer as users catch it: the declared class, else `fallback` with the message inside. */
export const decodeError = (
  data: ErrorData,
  errors: Errors,
  failures: Readonly<Record<string, FailureClass>>,
  fallback: (data: ErrorData) => Error,
): Error => {
  const schema = errors[data.tag]
  const failure = failures[data.tag]
  if (data.fields === undefined || schema === undefined || schema === null || failure === undefined) return fallback(data)
  const { _tag: _, ...fields } = codecOf(schema).decode(data.fields, `the error ${data.tag}`) as Record<string, unknown>
  return new failure(fields)
}

/** An error of a step that no type declares: name, tag and message are kept, the class is not. */
export const plainError = (data: ErrorData): Error => Object.assign(new Error(data.message), { name: data.tag, _tag: data.tag })

export const runFailed =
  (what: string) =>
  (data: ErrorData): Error =>
    new RunFailed(`${what} ended with an error that its definition does not declare: ${data.message}`, { error: data })

export const activityFailed =
  (name: string) =>
  (data: ErrorData): Error =>
    new ActivityFailed(`activity ${name} failed: ${data.message}`, {
      error: data,
      ...(data.tries === undefined ? {} : { tries: data.tries }),
    })

/** The answer of an update that its run did not get to (W6). */
export const runEnded = (what: string, run: string): string =>
  JSON.stringify({
    error: { tag: "RunEnded", message: `the run ${run} of ${what} ended before this update was applied.` },
  } satisfies Answer)

export const cancelled = (what: string, reason: string): Error => new Cancelled(`${what} was cancelled: ${reason}`, { reason })
export const terminated = (what: string, reason: string): Error => new Terminated(`${what} was terminated: ${reason}`, { reason })
