/**
 * Interceptors of a worker: around each attempt of a handler, each try of a step's body, each try of an activity, and what a handler asks of other jobs.
 * For logging, tracing, rights. They run as often as what they wrap does (a handler again in every attempt, replays included; what is asked of
 * another job, each time that it is sent) and change neither journal nor state; an error that one throws is an error of what it wraps.
 */
import type { Effect } from "effect"
import { BadOption } from "../errors.ts"
import type { Effects } from "./effects.ts"

export interface WorkCall {
  /** `start`, `signal`, `cancel` and `result`: of another job, by `job.jobs`. */
  readonly type: "run" | "step" | "activity" | "start" | "signal" | "cancel" | "result"
  readonly kind: string
  readonly key: string
  /** Id of the run. */
  readonly run: string
  /** Of the run; `undefined` for an activity. */
  readonly iteration: number | undefined
  /** 1, 2, 3 …: of the iteration, for a run and its steps; of the activity. */
  readonly attempt: number
  /** Of the step, activity or signal; else "". */
  readonly name: string
  /** What the interceptors of the client that started the run gave it. */
  readonly headers: Headers
  readonly abortSignal: AbortSignal
  /** The other job, where one is asked. */
  readonly to?: { readonly kind: string; readonly key: string }
  /** Of a `start`: the headers of the new run, those of this one unless they are changed here before `next` is called. */
  readonly outgoing?: Record<string, string>
}
export type Headers = Readonly<Record<string, string>>

export interface WorkTools {
  /** Runs an Effect with the services of the worker's layer. */
  readonly run: <A, E>(effect: Effect.Effect<A, E, any>) => Promise<A>
}

/** `next` does what is wrapped and gives its value; it must be called once, or not at all (throw then). */
export type WorkInterceptor = (call: WorkCall, next: () => Promise<unknown>, tools: WorkTools) => Promise<unknown>

/** They are stored with the run, and become headers of other systems. */
export const checkHeaders = (headers: Record<string, string>): Headers | undefined => {
  const names = Object.keys(headers)
  for (const name of names)
    if (typeof headers[name] !== "string")
      throw new BadOption(
        `expected the header ${JSON.stringify(name)} to be a text, got: ${JSON.stringify(headers[name]) ?? typeof headers[name]}`,
      )
  return names.length === 0 ? undefined : { ...headers }
}

export const checkInterceptors = <I>(interceptors: ReadonlyArray<I> | undefined): ReadonlyArray<I> => {
  if (interceptors === undefined) return []
  if (!Array.isArray(interceptors) || interceptors.some((one) => typeof one !== "function"))
    throw new BadOption(`expected interceptors to be a list of functions, got: ${JSON.stringify(interceptors) ?? typeof interceptors}`)
  return interceptors
}

/** The first of the list is the outermost. */
export const intercepted = (
  interceptors: ReadonlyArray<WorkInterceptor>,
  call: WorkCall,
  body: () => unknown,
  effects: Effects,
): Promise<unknown> => {
  const tools: WorkTools = {
    run: <A, E>(effect: Effect.Effect<A, E, any>) => effects.settle(effect, { signal: call.abortSignal }) as Promise<A>,
  }
  const from = async (at: number): Promise<unknown> => {
    const interceptor = interceptors[at]
    return interceptor === undefined ? await body() : await interceptor(call, () => from(at + 1), tools)
  }
  return from(0)
}
