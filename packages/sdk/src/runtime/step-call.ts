/** A step: its body runs once, and what it gave is in the journal before the handler sees it. One object for all of it, as most calls are steps. */
import type { DurationInput, RetryPolicy } from "../define/index.ts"
import { WaitTimeout } from "../errors.ts"
import { toMillis } from "../options.ts"
import { enterStep, leaveStep, runAs } from "../pool/work.ts"
import type { Attempt, Live, Outstanding } from "./attempt.ts"
import { delivery } from "./attempt.ts"
import { decodeError, encodeError, plainError, tagOrName } from "./body.ts"
import type { DurableCall } from "./call.ts"
import { durableCall } from "./call.ts"
import type { MaybeSchema } from "./contract.ts"
import { intercepted } from "./interceptors.ts"
import type { Entry } from "./journal.ts"
import { retryDelay } from "./retry.ts"
import { checkBytes } from "./size.ts"
import { isThenable } from "./thenable.ts"
import { atTime } from "./timer.ts"
import { decodeValue, encodeValue } from "./value.ts"

export interface StepRequest {
  readonly retry?: RetryPolicy
  readonly timeout?: DurationInput
  readonly commit?: "now" | "deferred"
}

type StepBody = (signal: AbortSignal) => unknown

export const startStep = (attempt: Attempt, name: string, body: StepBody, request: StepRequest): DurableCall<unknown> => {
  const { call, resolve, reject } = durableCall<unknown>()
  const numbered = attempt.number("step", name)
  if (numbered instanceof Error) reject(numbered)
  else attempt.begin(new StepCall({ attempt, index: numbered.index, name, body, request, resolve, reject }), numbered)
  return call
}

interface StepOptions {
  readonly attempt: Attempt
  readonly index: number
  readonly name: string
  readonly body: StepBody
  readonly request: StepRequest
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
}

class StepCall implements Outstanding, Live {
  readonly #options: StepOptions
  /** Failed tries. */
  #failures = 0
  /** Ends the wait for the next try, if it is in one. */
  #endPause: (() => void) | undefined
  /** The job's code at work is this step's. */
  #entered = false
  /** What the handler will see. */
  #value: unknown
  acknowledged = false
  readonly made = 0
  readonly cancellable = false
  readonly unseen = undefined

  constructor(options: StepOptions) {
    this.#options = options
  }

  get index(): number {
    return this.#options.index
  }

  // --- settling --------------------------------------------------------------------------------------------------------

  settle(entry: Entry): void {
    if (entry.t !== "step") return
    if (entry.e === undefined) return this.#resolve(decodeValue(entry.v))
    const { contract } = this.#options.attempt.options.kind
    this.reject(decodeError(entry.e, contract.schemas.errors, contract.failures, plainError))
  }

  /** Its result is written. */
  deliver(): void {
    this.#resolve(this.#value)
  }

  #resolve(value: unknown): void {
    this.#options.attempt.settled(this.index)
    this.#options.resolve(value)
  }

  reject(error: unknown): void {
    this.#options.attempt.failed(this.index, error)
    this.#options.reject(error)
  }

  pausing(): boolean {
    return this.#endPause !== undefined
  }

  stop(): void {
    this.#endPause?.()
  }

  // --- its body --------------------------------------------------------------------------------------------------------

  get #deferred(): boolean {
    return this.#options.request.commit === "deferred"
  }

  begin(): void {
    const written = this.#deferred ? undefined : this.#options.attempt.beforeBody()
    if (written === undefined) this.#confirm()
    else void written.then(() => this.#confirm())
  }

  #confirm(): void {
    const { attempt, name } = this.#options
    const doubt = attempt.shard.confirmed()
    if (doubt !== undefined) return void doubt.then(() => this.#confirm())
    // The loop may have stood still since the call was made: at the end of trust no body begins (S5). The abort is on its way.
    if (attempt.over || !attempt.shard.trusted()) return
    const { work } = attempt.options
    let given: unknown
    this.#entered = enterStep(work, name)
    attempt.bodyOf = name
    try {
      given = this.#entered ? this.#try() : runAs({ ...work, step: name }, () => this.#try())
    } catch (error) {
      return this.#failed(error)
    } finally {
      attempt.bodyOf = undefined
    }
    if (!isThenable(given)) return this.#gave(given)
    const promise = given instanceof Promise ? given : Promise.resolve(given)
    void promise.then(
      (value: unknown) => this.#gave(value),
      (error: unknown) => this.#failed(error),
    )
  }

  #leave(): void {
    if (this.#entered) leaveStep(this.#options.attempt.options.work)
    this.#entered = false
  }

  #try(): unknown {
    const { attempt, request } = this.#options
    return request.timeout === undefined ? this.#run(attempt.signalOf(this.index)) : this.#runWithin(request.timeout)
  }

  #run(abortSignal: AbortSignal): unknown {
    const { attempt, body, name } = this.#options
    const { effects, interceptors } = attempt.options
    if (interceptors.length === 0) return effects.settle(body(abortSignal), { signal: abortSignal })
    const run = (): unknown => effects.settle(body(abortSignal), { signal: abortSignal })
    const { kind, key, run: id, body: record } = attempt.options
    const { iteration = 1, failures = 0, headers = {} } = record
    const call = { type: "step" as const, kind: kind.kind, key, run: id, iteration, attempt: failures + 1, name, headers, abortSignal }
    return intercepted(interceptors, call, run, effects)
  }

  async #runWithin(timeout: DurationInput): Promise<unknown> {
    const ms = toMillis(timeout, "timeout")
    const late = new WaitTimeout(
      `${this.#what} was not there within ${ms} ms. The attempt fails and is retried: raise the step's timeout, or make its body heed the abort signal.`,
      { ms },
    )
    const own = new AbortController()
    const timer = setTimeout(() => own.abort(late), ms)
    try {
      return await Promise.race([
        this.#run(AbortSignal.any([this.#options.attempt.signalOf(this.index), own.signal])),
        new Promise((_, reject) => own.signal.addEventListener("abort", () => reject(late), { once: true })),
      ])
    } finally {
      clearTimeout(timer)
    }
  }

  get #what(): string {
    return `the result of step ${JSON.stringify(this.#options.name)}`
  }

  #gave(value: unknown): void {
    const { attempt, index, name } = this.#options
    this.#leave()
    let encoded: unknown
    try {
      encoded = isSmall(value) ? value : this.#encode(value)
    } catch (error) {
      return this.#failed(error)
    }
    this.#value = value
    const entry: Entry = { t: "step", c: index, n: name, v: encoded }
    if (this.#deferred) attempt.recordDeferred(entry, this)
    else attempt.record(entry, this)
  }

  #encode(value: unknown): unknown {
    const encoded = encodeValue(value, this.#what)
    checkBytes(JSON.stringify(encoded), this.#options.attempt.options.limits.payloadBytes, this.#what)
    return encoded
  }

  #failed(error: unknown): void {
    const { attempt, index, request } = this.#options
    this.#leave()
    if (attempt.over) return
    const { kind, run } = attempt.options
    const failures = ++this.#failures
    const delay = request.retry === undefined ? undefined : retryDelay(request.retry, failures, `${run}.${index}`, tagOrName(error))
    if (delay !== undefined) return this.#again(delay)
    this.#fail(error, kind.contract.schemas.errors)
  }

  #fail(error: unknown, errors: Readonly<Record<string, MaybeSchema>> = {}): void {
    const { attempt, index, name } = this.#options
    attempt.recordDeferred(
      { t: "step", c: index, n: name, e: encodeError(error, errors) },
      delivery(() => this.reject(error)),
    )
  }

  /** Tries again after a pause, which is a wait as others are: a cancel ends it, those of clean-up excepted. */
  #again(delay: number): void {
    const { attempt, index } = this.#options
    const ended = attempt.mayNotWait(index)
    if (ended !== undefined) return this.#fail(ended)
    void this.#pause(delay).then(() => {
      const over = attempt.over ? undefined : attempt.mayNotWait(index)
      return over === undefined ? this.begin() : this.#fail(over)
    })
  }

  /** Until the next try, or the end of the run or the attempt. */
  #pause(delay: number): Promise<void> {
    const { attempt, index } = this.#options
    return new Promise((done) => {
      const signal = attempt.signalOf(index)
      let stop = (): void => undefined
      const end = (): void => {
        stop()
        signal.removeEventListener("abort", end)
        this.#endPause = undefined
        done()
      }
      this.#endPause = end
      signal.addEventListener("abort", end)
      stop = atTime(attempt, attempt.shard.now() + delay, end)
    })
  }
}

/** Most results: JSON as they are, and below every limit. */
const isSmall = (value: unknown): boolean =>
  (typeof value === "number" && Number.isFinite(value) && value !== 0) ||
  typeof value === "boolean" ||
  (typeof value === "string" && value.length <= smallLength)
/** At six bytes a character that is a tenth of the smallest limit. */
const smallLength = 16
