/** A step: its body runs once, and what it gave is in the journal before the handler sees it. One object for all of it, as most calls are steps. */
import type { DurationInput, RetryPolicy } from "../define/index.ts"
import { WaitTimeout } from "../errors.ts"
import { toMillis } from "../options.ts"
import { enterStep, leaveStep, runAs } from "../pool/work.ts"
import type { Attempt } from "./attempt.ts"
import { decodeError, encodeError, plainError, tagOrName } from "./body.ts"
import { DurableCall, mayGoUnseen, nothing } from "./call.ts"
import type { MaybeSchema } from "./contract.ts"
import { intercepted } from "./interceptors.ts"
import type { Entry } from "./journal.ts"
import type { Live } from "./live.ts"
import { delivery } from "./live.ts"
import type { Outstanding } from "./outstanding.ts"
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
  const step = new StepCall(attempt, name, body, request)
  const numbered = attempt.number("step", name)
  if (numbered instanceof Error) step.refuse(numbered)
  else {
    step.index = numbered.index
    attempt.begin(step, numbered)
  }
  return step.call
}

class StepCall implements Outstanding, Live {
  readonly call: DurableCall<unknown>
  index = -1
  readonly #attempt: Attempt
  readonly #name: string
  readonly #body: StepBody
  readonly #request: StepRequest
  #fulfil: (value: unknown) => void = nothing
  #refuse: (error: unknown) => void = nothing
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

  constructor(attempt: Attempt, name: string, body: StepBody, request: StepRequest) {
    this.#attempt = attempt
    this.#name = name
    this.#body = body
    this.#request = request
    this.call = new DurableCall<unknown>((resolve, reject) => {
      this.#fulfil = resolve
      this.#refuse = reject
    })
  }

  // --- settling --------------------------------------------------------------------------------------------------------

  settle(entry: Entry): void {
    if (entry.t !== "step") return
    if (entry.e === undefined) return this.#resolve(decodeValue(entry.v))
    const { contract } = this.#attempt.options.kind
    this.reject(decodeError(entry.e, contract.schemas.errors, contract.failures, plainError))
  }

  /** Its result is written. */
  deliver(): void {
    this.#resolve(this.#value)
  }

  #resolve(value: unknown): void {
    this.#attempt.settled(this.index)
    this.#fulfil(value)
  }

  reject(error: unknown): void {
    this.#attempt.failed(this.index, error)
    this.refuse(error)
  }

  /** The handler cannot make this call. */
  refuse(error: unknown): void {
    mayGoUnseen(this.call)
    this.#refuse(error)
  }

  pausing(): boolean {
    return this.#endPause !== undefined
  }

  stop(): void {
    this.#endPause?.()
  }

  // --- its body --------------------------------------------------------------------------------------------------------

  get #deferred(): boolean {
    return this.#request.commit === "deferred"
  }

  begin(): void {
    const written = this.#deferred ? undefined : this.#attempt.beforeBody()
    if (written === undefined) this.#confirm()
    else void written.then(() => this.#confirm())
  }

  #confirm(): void {
    const attempt = this.#attempt
    const name = this.#name
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
    if (this.#entered) leaveStep(this.#attempt.options.work)
    this.#entered = false
  }

  #try(): unknown {
    const { timeout } = this.#request
    return timeout === undefined ? this.#run(this.#attempt.signalOf(this.index)) : this.#runWithin(timeout)
  }

  #run(abortSignal: AbortSignal): unknown {
    const body = this.#body
    const { options } = this.#attempt
    const { effects, interceptors } = options
    if (interceptors.length === 0) return effects.settle(body(abortSignal), { signal: abortSignal })
    const run = (): unknown => effects.settle(body(abortSignal), { signal: abortSignal })
    const { kind, key, run: id, body: record } = options
    const name = this.#name
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
        this.#run(AbortSignal.any([this.#attempt.signalOf(this.index), own.signal])),
        new Promise((_, reject) => own.signal.addEventListener("abort", () => reject(late), { once: true })),
      ])
    } finally {
      clearTimeout(timer)
    }
  }

  get #what(): string {
    return `the result of step ${JSON.stringify(this.#name)}`
  }

  #gave(value: unknown): void {
    this.#leave()
    let encoded: unknown
    try {
      encoded = isSmall(value) ? value : this.#encode(value)
    } catch (error) {
      return this.#failed(error)
    }
    this.#value = value
    const entry: Entry = { t: "step", c: this.index, n: this.#name, v: encoded }
    if (this.#deferred) this.#attempt.recordDeferred(entry, this)
    else this.#attempt.record(entry, this)
  }

  #encode(value: unknown): unknown {
    const encoded = encodeValue(value, this.#what)
    checkBytes(JSON.stringify(encoded), this.#attempt.options.limits.payloadBytes, this.#what)
    return encoded
  }

  #failed(error: unknown): void {
    this.#leave()
    if (this.#attempt.over) return
    const { kind, run } = this.#attempt.options
    const { retry } = this.#request
    const failures = ++this.#failures
    const delay = retry === undefined ? undefined : retryDelay(retry, failures, `${run}.${this.index}`, tagOrName(error))
    if (delay !== undefined) return this.#again(delay)
    this.#fail(error, kind.contract.schemas.errors)
  }

  #fail(error: unknown, errors: Readonly<Record<string, MaybeSchema>> = {}): void {
    this.#attempt.recordDeferred(
      { t: "step", c: this.index, n: this.#name, e: encodeError(error, errors) },
      delivery(() => this.reject(error)),
    )
  }

  /** Tries again after a pause, which is a wait as others are: a cancel ends it, those of clean-up excepted. */
  #again(delay: number): void {
    const attempt = this.#attempt
    const ended = attempt.mayNotWait(this.index)
    if (ended !== undefined) return this.#fail(ended)
    void this.#pause(delay).then(() => {
      const over = attempt.over ? undefined : attempt.mayNotWait(this.index)
      return over === undefined ? this.begin() : this.#fail(over)
    })
  }

  /** Until the next try, or the end of the run or the attempt. */
  #pause(delay: number): Promise<void> {
    const attempt = this.#attempt
    return new Promise((done) => {
      const signal = attempt.signalOf(this.index)
      let stop = (): void => undefined
      const end = (): void => {
        stop()
        signal.removeEventListener("abort", end)
        this.#endPause = undefined
        done()
      }
      this.#endPause = end
      signal.addEventListener("abort", end)
      stop = atTime(attempt, attempt.shard.timeAfter(delay), end)
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
