/** What handlers get as `job`: a thin face of the attempt. Generated interfaces give it its types. */
import { createHash } from "node:crypto"
import type { DurationInput } from "../define/index.ts"
import type { Message } from "../engine/engine.ts"
import { BadOption, NotAllowed } from "../errors.ts"
import { refuseUnknown, toMillis } from "../options.ts"
import type { AgainRequest } from "./again.ts"
import { AgainValue, DoneValue } from "./again.ts"
import type { Attempt } from "./attempt.ts"
import { DurableCall } from "./call.ts"
import { startActivity } from "./activity-call.ts"
import type { ActivityRequest } from "./activity-limits.ts"
import type { ReceiveRequest } from "./calls.ts"
import { startReceive, startSleep } from "./calls.ts"
import { codecOf } from "./contract.ts"
import type { JobKind } from "./kind.ts"
import type { OtherJob } from "./other-jobs.ts"
import { otherJobs } from "./other-jobs.ts"
import type { LazyAbort } from "./lazy-abort.ts"
import type { Saga } from "./saga.ts"
import { runSaga } from "./saga.ts"
import type { StateHolder } from "./state-holder.ts"
import type { StepRequest } from "./step-call.ts"
import { startStep } from "./step-call.ts"
import type { WakeReason } from "./wake.ts"

/** The iteration, as its handler's context sees it. */
export interface AttemptSource {
  readonly key: string
  readonly kind: JobKind
  readonly run: string
  readonly life: LazyAbort
  /** What the run's tenant shares, for as long as the handler runs; `abortSignal` ends the wait for it. */
  use(shared: unknown, abortSignal: AbortSignal): Promise<unknown>
  /** Made at its first use: many handlers make no durable call. */
  attempt(): Attempt
}

export interface ContextOptions {
  readonly source: AttemptSource
  readonly holder: StateHolder
  readonly input: unknown
  readonly iteration: number
  /** 1, 2, 3 … */
  readonly tries: number
  readonly wake: WakeReason
}

const checkName = (name: unknown, what: string): string => {
  if (typeof name !== "string" || name === "" || name.length > 200)
    throw new BadOption(`expected the name of ${what} to be a string of 1 to 200 characters, got: ${JSON.stringify(name) ?? typeof name}`)
  return name
}

const checkStep = (options: StepRequest): void => {
  refuseUnknown(options, ["retry", "timeout", "commit"], "job.step")
  const { commit = "now" } = options
  if (commit !== "now" && commit !== "deferred")
    throw new BadOption(`expected commit of job.step to be "now" or "deferred", got: ${JSON.stringify(commit) ?? typeof commit}`)
}

type ActivityCalls = Readonly<Record<string, (input: unknown, request?: ActivityRequest) => DurableCall<unknown>>>

export class JobContext {
  readonly #source: AttemptSource
  readonly #holder: StateHolder
  readonly input: unknown
  readonly iteration: number
  readonly attempt: number
  readonly #wake: WakeReason
  /** While `open` runs: durable calls are refused, and the signal is that of the resource's life. */
  #opening = false
  #activities: ActivityCalls | undefined

  #jobs: Readonly<Record<string, OtherJob>> | undefined

  constructor(options: ContextOptions) {
    this.#source = options.source
    this.#holder = options.holder
    this.input = options.input
    this.iteration = options.iteration
    this.attempt = options.tries
    this.#wake = options.wake
  }

  /** Runs `open` on this context. */
  async opening<A>(open: () => A): Promise<Awaited<A>> {
    this.#opening = true
    try {
      return await open()
    } finally {
      this.#opening = false
    }
  }

  get state(): unknown {
    return this.#holder.state
  }
  set state(state: unknown) {
    this.#holder.state = state
  }
  get wake(): { readonly by: string; readonly name?: string; readonly scheduled?: Date } {
    return this.#wake.by === "time" ? { by: "time", scheduled: new Date(this.#wake.at) } : this.#wake
  }
  get key(): string {
    return this.#source.key
  }
  get kind(): string {
    return this.#source.kind.kind
  }
  get run(): string {
    return this.#source.run
  }
  get fence(): bigint {
    return this.#source.attempt().fence
  }
  get abortSignal(): AbortSignal {
    return this.#opening ? this.#source.life.signal : this.#source.attempt().abortSignal
  }
  get activities(): ActivityCalls {
    this.#activities ??= Object.fromEntries(
      Object.keys(this.#source.kind.contract.schemas.activities).map((name) => [
        name,
        (input: unknown, request?: ActivityRequest) => startActivity(this.#live("an activity"), this.iteration, name, input, request),
      ]),
    )
    return this.#activities
  }

  get jobs(): Readonly<Record<string, OtherJob>> {
    this.#jobs ??= otherJobs({ iteration: this.iteration, live: (what) => this.#live(what) }, this.#source.kind.jobs)
    return this.#jobs
  }

  #live(what: string): Attempt {
    if (this.#opening) throw new NotAllowed(`${what} cannot be used in open: the resource is not part of the journal. Do it in run.`)
    return this.#source.attempt()
  }

  step(name: string, body: (signal: AbortSignal) => unknown, options?: StepRequest): DurableCall<unknown> {
    if (typeof body !== "function")
      throw new BadOption(`expected the body of step ${JSON.stringify(name)} to be a function, got: ${typeof body}`)
    if (options !== undefined) checkStep(options)
    return startStep(this.#live("job.step"), checkName(name, "a step"), body, options ?? {})
  }

  saga(body: (saga: Saga) => unknown): Promise<unknown> {
    if (typeof body !== "function") throw new BadOption(`expected job.saga to get a function, got: ${typeof body}`)
    const attempt = this.#live("job.saga")
    return runSaga({ attempt, tries: this.attempt, step: (name, undo, options) => this.step(name, undo, options) }, body)
  }

  /** Not part of the journal: each attempt gets what is open then. After a cancel it can still be used, to clean up. */
  use(shared: unknown): DurableCall<unknown> {
    const signal = this.#opening ? this.#source.life.signal : this.#source.attempt().stepSignal
    const call = new DurableCall<unknown>((resolve, reject) => this.#source.use(shared, signal).then(resolve, reject))
    // as with durable calls: one that nobody awaits must not end the process
    call.then(undefined, (error: unknown) => (this.#opening ? undefined : this.#source.attempt().tells(error)))
    return call
  }

  sleep(duration: DurationInput): DurableCall<void> {
    const attempt = this.#live("job.sleep")
    const ms = toMillis(duration, "the duration of sleep")
    return startSleep(attempt, () => attempt.shard.timeAfter(ms))
  }

  sleepUntil(time: Date): DurableCall<void> {
    const due = time instanceof Date ? time.getTime() : Number.NaN
    if (Number.isNaN(due)) throw new BadOption(`expected the time of job.sleepUntil to be a valid Date, got: ${String(time)}`)
    return startSleep(this.#live("job.sleepUntil"), () => Math.max(0, due))
  }

  version(change: string, min: number, max: number): number {
    checkName(change, "a change")
    if (!Number.isInteger(min) || !Number.isInteger(max) || min < 0 || min > max)
      throw new BadOption(`expected the versions of job.version to be two integers from 0 on, the oldest first, got: ${min}, ${max}`)
    return this.#live("job.version").version(change, min, max)
  }

  poll(name = ""): unknown {
    const message = this.#live("job.poll").poll(name)
    return message === undefined ? undefined : this.#envelope(message)
  }

  receive(name: string | ReadonlyArray<string>, options: ReceiveRequest = {}): DurableCall<unknown> {
    refuseUnknown(options, ["timeout", "filter"], "job.receive")
    if (options.filter !== undefined && typeof options.filter !== "function")
      throw new BadOption(`expected filter of job.receive to be a function of the payload, got: ${typeof options.filter}`)
    return startReceive(this.#live("job.receive"), this.#signalNames(name), options, (message) => this.#envelope(message))
  }

  /** A name that no signal has would be waited for in vain. */
  #signalNames(name: string | ReadonlyArray<string>): ReadonlyArray<string> {
    const names = typeof name === "string" ? [name] : name
    const { signals } = this.#source.kind.contract.schemas
    if (Array.isArray(names) && names.length > 0 && names.every((one: string) => Object.hasOwn(signals, one))) return names
    throw new BadOption(
      `expected job.receive to get a signal of ${this.kind}, or a list of some (${Object.keys(signals).join(", ") || "it has none"}), got: ${JSON.stringify(name) ?? typeof name}`,
      { value: name },
    )
  }

  #envelope(message: Message): { readonly name: string; readonly payload: unknown; readonly id: string; readonly at: Date } {
    const schema = this.#source.kind.contract.schemas.signals[message.name] ?? null
    const payload = codecOf(schema).decode(JSON.parse(message.payload), `signal ${message.name} of ${this.kind}`)
    return { name: message.name, payload, id: message.id, at: new Date(message.at) }
  }

  now(): Date {
    return new Date(this.#source.attempt().time)
  }

  random(): number {
    return this.#draw().readUIntBE(0, 6) / 2 ** 48
  }

  uuid(): string {
    const bytes = this.#draw().subarray(0, 16)
    bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6)
    bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8)
    const hex = bytes.toString("hex")
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
  }

  /** Bytes that derive from (run, iteration, number): the same on replay, without an entry (J1). */
  #draw(): Buffer {
    const attempt = this.#live("a random value")
    return createHash("sha256")
      .update(`${this.run}/${this.iteration}/${attempt.draws++}`)
      .digest()
  }

  again(request: AgainRequest = {}): AgainValue {
    if (request?.on !== undefined) this.#checkOn(request.on)
    return new AgainValue(request)
  }

  /** A name that no message can have would let the run sleep for ever. */
  #checkOn(on: unknown): void {
    const { signals, updates } = this.#source.kind.contract.schemas
    if (Array.isArray(on) && on.every((name: string) => Object.hasOwn(signals, name) || Object.hasOwn(updates, name))) return
    const known = [...Object.keys(signals), ...Object.keys(updates)].join(", ")
    throw new BadOption(
      `expected \`on\` of job.again to be a list of signals and updates of ${this.kind} (${known || "it has none"}), got: ${JSON.stringify(on) ?? typeof on}`,
      { option: "on", value: on },
    )
  }

  done(value?: unknown): DoneValue {
    return new DoneValue(value)
  }
}
