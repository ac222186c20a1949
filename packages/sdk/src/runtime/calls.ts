/** The durable calls: what each records, and how it settles. */
import type { DurationInput, RetryPolicy } from "../define/index.ts"
import type { Message } from "../engine/engine.ts"
import { WaitTimeout } from "../errors.ts"
import { toMillis } from "../options.ts"
import type { Work } from "../pool/work.ts"
import { runAs } from "../pool/work.ts"
import type { Attempt, Outstanding } from "./attempt.ts"
import type { ErrorData, Waiting } from "./body.ts"
import { decodeError, encodeError, tagOrName } from "./body.ts"
import type { DurableCall } from "./call.ts"
import type { Entry } from "./journal.ts"
import type { Headers } from "./interceptors.ts"
import { intercepted } from "./interceptors.ts"
import { retryDelay } from "./retry.ts"
import { atTime } from "./timer.ts"
import { checkBytes } from "./size.ts"
import { decodeValue, encodeValue } from "./value.ts"

export interface StepRequest {
  readonly retry?: RetryPolicy
  readonly timeout?: DurationInput
  readonly commit?: "now" | "deferred"
}

/** Settles a step from its entry. */
const stepEntry = (attempt: Attempt, entry: Entry, resolve: (value: unknown) => void, reject: (error: unknown) => void): void => {
  if (entry.t !== "step") return
  if (entry.e === undefined) return resolve(decodeValue(entry.v))
  const { contract } = attempt.options.kind
  reject(decodeError(entry.e, contract.schemas.errors, contract.failures, plainError))
}

/** An error of a step that no type declares: name, tag and message are kept, the class is not. */
const plainError = (data: ErrorData): Error => Object.assign(new Error(data.message), { name: data.tag, _tag: data.tag })

export const startStep = (
  attempt: Attempt,
  name: string,
  body: (signal: AbortSignal) => unknown,
  request: StepRequest,
): DurableCall<unknown> =>
  attempt.start("step", name, ({ index, entries, resolve, reject }) => {
    const pause: Pause = { end: undefined }
    const outstanding: Outstanding = {
      settle: (entry) => stepEntry(attempt, entry, resolve, reject),
      reject,
      cancellable: false,
      pausing: () => pause.end !== undefined,
      stop: () => pause.end?.(),
    }
    if (entries.length === 0) void runStep(attempt, index, name, body, request, pause, resolve, reject)
    return outstanding
  })

/** The wait of a step for its next try, if it is in one. */
interface Pause {
  end: (() => void) | undefined
}

/** Until the next try, or the end of the run or the attempt. */
const pauseFor = (attempt: Attempt, delay: number, pause: Pause): Promise<void> =>
  new Promise((done) => {
    const signal = attempt.abortSignal
    let stop = (): void => undefined
    pause.end = () => {
      stop()
      signal.removeEventListener("abort", end)
      pause.end = undefined
      done()
    }
    const { end } = pause
    signal.addEventListener("abort", end)
    stop = atTime(attempt, attempt.shard.now() + delay, end)
  })

const runStep = async (
  attempt: Attempt,
  index: number,
  name: string,
  body: (signal: AbortSignal) => unknown,
  request: StepRequest,
  pause: Pause,
  resolve: (value: unknown) => void,
  reject: (error: unknown) => void,
): Promise<void> => {
  const what = `the result of step ${JSON.stringify(name)}`
  const { effects, limits, kind, key, run } = attempt.options
  const work: Work = { kind: kind.kind, key, step: name }
  const deferred = request.commit === "deferred"
  for (let failures = 1; ; failures++) {
    try {
      if (!deferred) await attempt.beforeBody()
      const doubt = attempt.shard.confirmed()
      if (doubt !== undefined) await doubt
      // The loop may have stood still since the call was made: at the end of trust no body begins (S5). The abort is on its way.
      if (attempt.over || !attempt.shard.trusted()) return
      const given = within(attempt, request.timeout, what, (signal) =>
        runAs(work, () => interceptStep(attempt, name, signal, () => effects.settle(body(signal), { signal }))),
      )
      const value = isObject(given) ? await given : given
      const encoded = encodeValue(value, what)
      if (typeof encoded === "string" || isObject(encoded)) checkBytes(JSON.stringify(encoded), limits.payloadBytes, what)
      const entry: Entry = { t: "step", c: index, n: name, v: encoded }
      return deferred ? attempt.recordDeferred(entry, () => resolve(value)) : attempt.record(entry, () => resolve(value))
    } catch (error) {
      if (attempt.over) return
      const delay = request.retry === undefined ? undefined : retryDelay(request.retry, failures, `${run}.${index}`, tagOrName(error))
      if (delay === undefined || attempt.abortSignal.aborted) {
        const data = encodeError(error, kind.contract.schemas.errors)
        return attempt.recordDeferred({ t: "step", c: index, n: name, e: data }, () => reject(error))
      }
      await pauseFor(attempt, delay, pause)
    }
  }
}

const none: Headers = {}

const interceptStep = (attempt: Attempt, name: string, abortSignal: AbortSignal, run: () => unknown): unknown => {
  const { interceptors, kind, key, run: id, body, effects } = attempt.options
  if (interceptors.length === 0) return run()
  const call = {
    type: "step" as const,
    kind: kind.kind,
    key,
    run: id,
    iteration: body.iteration ?? 1,
    attempt: (body.failures ?? 0) + 1,
    name,
    headers: body.headers ?? none,
    abortSignal,
  }
  return intercepted(interceptors, call, run, effects)
}

/** It may be a promise. */
const isObject = (value: unknown): boolean => (typeof value === "object" && value !== null) || typeof value === "function"

const within = (attempt: Attempt, timeout: DurationInput | undefined, what: string, body: (signal: AbortSignal) => unknown): unknown =>
  timeout === undefined ? body(attempt.stepSignal) : withTimeout(attempt.stepSignal, timeout, what, body)

const withTimeout = async (
  outer: AbortSignal,
  timeout: DurationInput,
  what: string,
  body: (signal: AbortSignal) => unknown,
): Promise<unknown> => {
  const ms = toMillis(timeout, "timeout")
  const late = new WaitTimeout(
    `${what} was not there within ${ms} ms. The attempt fails and is retried: raise the step's timeout, or make its body heed the abort signal.`,
    { ms },
  )
  const own = new AbortController()
  const timer = setTimeout(() => own.abort(late), ms)
  try {
    const signal = AbortSignal.any([outer, own.signal])
    return await Promise.race([
      body(signal),
      new Promise((_, reject) => own.signal.addEventListener("abort", () => reject(late), { once: true })),
    ])
  } finally {
    clearTimeout(timer)
  }
}

/** `until`: the end in store time, as it is told when the call is made. */
export const startSleep = (attempt: Attempt, until: () => number): DurableCall<void> =>
  attempt.start("sleep", "", ({ index, entries, resolve, reject }) => {
    let stop: (() => void) | undefined
    let end: number | undefined
    const wake = (due: number): void => {
      end = due
      if (entries.some((entry) => entry.t === "woke")) return
      stop = atTime(attempt, due, () =>
        attempt.record({ t: "woke", c: index }, () => {
          attempt.advanceTo(due)
          resolve(undefined)
        }),
      )
    }
    const recorded = entries[0]
    if (recorded?.t === "sleep") wake(recorded.due)
    else {
      const due = Math.ceil(until())
      void attempt.note({ t: "sleep", c: index, due }).then(() => attempt.over || wake(due))
    }
    return {
      settle: (entry) => entry.t === "woke" && resolve(undefined),
      reject,
      cancellable: true,
      wakes: () => (end === undefined ? undefined : { due: end }),
      stop: () => stop?.(),
    }
  })

export interface ReceiveRequest {
  readonly timeout?: DurationInput
  /** Messages for which it is false stay unread. */
  readonly filter?: (payload: any) => boolean
}

export const startReceive = (
  attempt: Attempt,
  name: string,
  { timeout, filter }: ReceiveRequest,
  envelope: (message: Message) => { readonly payload: unknown },
): DurableCall<unknown> =>
  attempt.start("receive", name, ({ index, entries, resolve, reject }) => {
    let stop: (() => void) | undefined
    /** Written: the wait is known to later attempts. */
    let waits: Waiting | undefined
    let settled = entries.some((entry) => entry.t === "got")
    const got = (message: Message | undefined): void => {
      settled = true
      stop?.()
      attempt.record(
        { t: "got", c: index, m: message?.number ?? 0 },
        () => resolve(message === undefined ? undefined : envelope(message)),
        () => message !== undefined && attempt.options.inbox.markUnread(message.number),
      )
    }
    // recorded, so that a replay fails here too, and the handler sees the same
    const threw = (error: unknown): void => {
      settled = true
      stop?.()
      attempt.recordDeferred({ t: "got", c: index, m: 0, e: encodeError(error, {}) }, () => reject(error))
    }
    const arm = (due: number | undefined): void => {
      waits = due === undefined ? { on: [name] } : { due, on: [name] }
      if (!settled && due !== undefined) stop = atTime(attempt, due, () => !settled && got(undefined))
    }
    const recorded = entries[0]
    if (recorded?.t === "receive") arm(recorded.due)
    else {
      const due = timeout === undefined ? undefined : Math.ceil(attempt.shard.now() + toMillis(timeout, "the timeout of receive"))
      void attempt.note({ t: "receive", c: index, n: name, ...(due === undefined ? {} : { due }) }).then(() => attempt.over || arm(due))
    }
    return {
      settle: (entry) => {
        if (entry.t !== "got") return
        if (entry.e !== undefined) return reject(plainError(entry.e))
        const message = entry.m === 0 ? undefined : attempt.options.inbox.get(entry.m)
        resolve(message === undefined ? undefined : envelope(message))
      },
      reject,
      cancellable: true,
      wakes: () => waits,
      offer: (message) => {
        if (settled || message.kind !== "signal" || message.name !== name) return false
        try {
          if (filter !== undefined && !filter(envelope(message).payload)) return false
        } catch (error) {
          threw(error)
          return false
        }
        got(message)
        return true
      },
      stop: () => stop?.(),
    }
  })
