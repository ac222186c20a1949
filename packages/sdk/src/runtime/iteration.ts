/**
 * One pass over a run that the pool brought: decide (`planWake`), open the resource, run the handler in an attempt, and write how it ended in
 * one fenced commit. A failure of user code never leaves this file: it becomes a back-off, a block or an end.
 */
import type { LoadedRun, Message } from "../engine/engine.ts"
import { BadInput, Deposed, NotAllowed } from "../errors.ts"
import type { Work } from "../pool/work.ts"
import { begin, runAs } from "../pool/work.ts"
import { blockedRetryMs } from "./blocked-runs.ts"
import { AgainValue, DoneValue, toWaiting } from "./again.ts"
import type { Present } from "./answers.ts"
import { Attempt } from "./attempt.ts"
import type { Body, Waiting, Outcome } from "./body.ts"
import { encodeError, endedBody, isDeclared, nextBody, parseBody, printBody, tagOrName, withRead } from "./body.ts"
import type { AttemptSource } from "./context.ts"
import { JobContext } from "./context.ts"
import type { Ending } from "./ending.ts"
import { endingError } from "./ending.ts"
import type { Entry } from "./journal.ts"
import { blocks, isFault } from "./faults.ts"
import type { IterationHost, RuntimeEvent } from "./host.ts"
import { errorOf } from "./host.ts"
import type { WorkCall } from "./interceptors.ts"
import { intercepted } from "./interceptors.ts"
import { parseJournal, printEntry } from "./journal.ts"
import type { JobKind } from "./kind.ts"
import type { LazyAbort } from "./lazy-abort.ts"
import type { Pass, Resident } from "./resident.ts"
import { RunDraft } from "./run-draft.ts"
import { retryDelay } from "./retry.ts"
import { checkBytes } from "./size.ts"
import type { StateHolder } from "./state-holder.ts"
import type { WakeReason } from "./wake.ts"
import { planWake } from "./wake.ts"
import { isThenable } from "./thenable.ts"
import { nextOf, writeRun } from "./writes.ts"

export class Iteration implements AttemptSource, Pass {
  readonly #runner: IterationHost
  readonly #resident: Resident
  readonly #loaded: LoadedRun
  readonly #draft: RunDraft
  #wake: WakeReason | undefined
  #attempt: Attempt | undefined
  #holder: StateHolder | undefined
  #entries: ReadonlyArray<Entry> = none
  /** Store time at which the iteration began. */
  #began: number | undefined
  /** The handler has settled. */
  #over = false

  constructor(runner: IterationHost, resident: Resident, loaded: LoadedRun, body: Body) {
    this.#runner = runner
    this.#resident = resident
    this.#loaded = loaded
    this.#draft = new RunDraft(runner, resident, loaded, body)
    resident.inbox = this.#draft.inbox
    resident.revision = loaded.revision
  }

  get #what(): string {
    return this.#loaded.address
  }
  /** One object: it also names the step that runs. */
  get #work(): Work {
    return (this.#atWork ??= { kind: this.#resident.kind.kind, key: this.#resident.key })
  }
  #atWork: Work | undefined
  get key(): string {
    return this.#resident.key
  }
  get kind(): JobKind {
    return this.#resident.kind
  }
  get run(): string {
    return this.#resident.run
  }
  get life(): LazyAbort {
    return this.#resident.life
  }

  get present(): Present {
    return { state: this.#holder?.state, iteration: this.#draft.body.iteration ?? 1 }
  }

  use(shared: unknown, abortSignal: AbortSignal): Promise<unknown> {
    if (this.#over)
      return Promise.reject(
        new Deposed(`the iteration of ${this.#what} has ended: what its tenant shares is used by running handlers only.`),
      )
    return this.#runner.useShared(this.#resident, shared, abortSignal)
  }

  /** Plain functions from here to the end, which only pass a promise on: what an `async` one leaves to the collector is a kilobyte a run. */
  execute(): Promise<void> {
    try {
      return this.#pass()
    } catch (error) {
      return Promise.reject(errorOf(error))
    }
  }

  #pass(): Promise<void> {
    const { shard } = this.#resident
    const unread = this.#draft.inbox.unread()
    const { due } = this.#loaded
    const deadlines = this.#draft.deadlines(this.#draft.body.began)
    const plan = planWake({ body: this.#draft.body, unread, underWay: this.#draft.underWay, due, now: shard.now(), deadlines })
    if (plan.do === "cancel" || plan.do === "end") {
      let kept: Body
      try {
        if (this.#draft.underWay) this.#draft.recallJournal()
        kept = this.#draft.kept()
      } catch (error) {
        return this.#block(errorOf(error))
      }
      if (plan.do === "end") return this.#end(plan.ending, undefined, kept)
      const reason = JSON.parse(plan.message.payload) as string
      this.#draft.inbox.markRead(plan.message.number)
      return this.#end({ type: "cancelled", reason }, undefined, kept)
    }
    if (plan.do === "run") this.#wake = plan.wake
    let holder: StateHolder
    try {
      holder = this.#prepare(plan.apply)
    } catch (error) {
      return this.#wake === undefined ? this.#block(errorOf(error)) : this.#fail(errorOf(error))
    }
    return plan.do === "park" ? this.#repark(holder) : this.#run(holder, plan.wake)
  }

  /** An iteration has not begun, and its messages cannot be applied: the run keeps what it waits for. */
  async #block(error: Error): Promise<void> {
    const { shard, kind, key, run } = this.#resident
    this.#report({ type: "blocked", kind: kind.kind, key, run, error })
    await this.#runner.block(shard, this.#loaded, { ...parseBody(this.#loaded.body), blocked: error.message.slice(0, 2_000) })
  }

  /** Decodes input and state, and applies updates and inputs that came while the run was parked. */
  #prepare(apply: ReadonlyArray<Message>): StateHolder {
    const draft = this.#draft
    for (const message of apply) if (message.kind === "input") draft.takeInput(message)
    const { holder, input } = draft.open()
    for (const message of apply) if (message.kind === "update") draft.applyBefore(holder, message, input)
    this.#input = input
    return holder
  }
  #input: unknown

  /** Parks the run as it was, with what was applied (K2 of wake). */
  async #repark(holder: StateHolder): Promise<void> {
    const { read, ...target } = this.#draft.target()
    const known = this.#draft.answers.length > 0 || this.#draft.body.state !== undefined ? this.#draft.withState(holder) : this.#draft.body
    // what blocked it is over, unless that is why it waits
    const { blocked: _, ...unblocked } = known
    const body = known.backoff === true ? known : unblocked
    const { revision } = await writeRun(
      this.#resident.shard,
      target,
      withRead(body, read),
      nextOf(this.#draft.waits, this.#draft.deadlines(this.#draft.body.began)),
      "keep",
    )
    this.#resident.revision = revision
  }

  #run(holder: StateHolder, planned: WakeReason): Promise<void> {
    const { shard, kind } = this.#resident
    if (this.#draft.underWay) {
      try {
        this.#entries = parseJournal(this.#what, this.#loaded.journal)
      } catch (error) {
        return this.#fail(errorOf(error))
      }
      this.#draft.recallUpdates(this.#entries)
    }
    const wake = this.#entries[0]?.w ?? planned
    this.#wake = wake
    this.#holder = holder
    const { run } = kind.timeouts
    this.#began = this.#draft.body.began ?? this.#entries[0]?.b ?? shard.now()
    if (run !== undefined) this.#draft.body = { ...this.#draft.body, until: this.#draft.body.until ?? Math.ceil(this.#began + run) }
    if (this.#draft.answers.length === 0 && this.#draft.body.changed !== true) return this.#begin(holder, wake)
    return this.#commitApplied(holder, wake).then(() => this.#begin(holder, wake))
  }

  #begin(holder: StateHolder, wake: WakeReason): Promise<void> {
    const { shard, kind } = this.#resident
    const { run, iteration: limit } = kind.timeouts
    // what is recorded must be met by the handler's calls, and by their absence (R3); a limit in time needs somebody who minds it
    if (this.#draft.underWay || run !== undefined || limit !== undefined) this.attempt()
    const { iteration = 1, failures = 0 } = this.#draft.body
    const context = new JobContext({ source: this, holder, input: this.#input, iteration, tries: failures + 1, wake })
    const doubt = shard.confirmed()
    return doubt === undefined ? this.#enter(context, holder) : doubt.then(() => this.#enter(context, holder))
  }

  #enter(context: JobContext, holder: StateHolder): Promise<void> {
    // The loop may have stood still since the run was taken, and nobody has told it yet that its trust is over (S5).
    this.#checkTrust()
    this.#resident.handling = true
    this.#resident.source = this
    let handling: unknown
    try {
      handling = this.#handle(context)
      if (this.#attempt?.hasNews === true) this.#attempt.messages()
    } catch (error) {
      return this.#settled(holder, undefined, { error })
    }
    if (!isThenable(handling)) return this.#settled(holder, handling, undefined)
    const running = handling instanceof Promise ? handling : Promise.resolve(handling)
    return this.#unlessInterrupted(running).then(
      (value) => {
        if (value === forced) return this.#force(running)
        if (value === leaving) return this.#leave(running)
        return this.#settled(holder, value, undefined)
      },
      (error: unknown) => this.#settled(holder, undefined, { error }),
    )
  }

  #checkTrust(): void {
    const { shard } = this.#resident
    if (!shard.trusted()) throw new Deposed(`this worker no longer owns shard ${shard.shard}: ${this.#what} goes on elsewhere.`)
  }

  /** The handler gave this value, or failed. What is thrown from here on is no failure of it. */
  #settled(holder: StateHolder, value: unknown, failure: { readonly error: unknown } | undefined): Promise<void> {
    const attempt = failure === undefined && !this.#resident.life.aborted ? this.#attempt : this.attempt()
    this.#over = true
    if (attempt === undefined) return this.#conclude(holder, value)
    const ending = attempt.finish(failure === undefined)
    const conclude = (mismatch: Error | undefined): Promise<void> => {
      if (attempt.dead !== undefined) return this.#died(attempt.dead, attempt)
      if (mismatch !== undefined && this.#resident.shard.trusted()) return this.#fail(mismatch, attempt)
      if (failure === undefined) return this.#conclude(holder, value, attempt)
      this.#checkTrust()
      return this.#handlerFailed(failure.error, attempt)
    }
    return ending instanceof Promise ? ending.then(conclude) : conclude(ending)
  }

  #conclude(holder: StateHolder, value: unknown, attempt?: Attempt): Promise<void> {
    this.#checkTrust()
    return this.#finish(value, holder, attempt)
  }

  /** Gives `forced` when the handler was asked to end and had its time for it, `leaving` when it only waits and shall leave memory. */
  #unlessInterrupted(handling: Promise<unknown>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#interrupt = resolve
      handling.then(resolve, reject)
    })
  }
  #interrupt: ((how: typeof forced | typeof leaving) => void) | undefined

  park(): void {
    const attempt = this.#attempt
    const waiting = attempt?.wakes
    if (attempt === undefined || waiting === undefined || this.#interrupt === undefined || this.#over) return
    // what it saw, it is to find when it comes back: it leaves at the next look
    if (attempt.writesFirst()) return
    // what comes from now on is not seen: it makes the run ready as soon as it is parked (W6)
    this.#left = { waiting, seen: this.#draft.inbox.last }
    const reason = new Deposed(`${this.#what} left memory while it waits: it goes on from its journal when what it waits for has come.`)
    this.#over = true
    attempt.die(reason)
    this.#runner.leaves(this.#resident, reason)
    this.#interrupt(leaving)
  }
  #left: { readonly waiting: Waiting; readonly seen: number } | undefined

  /** The handler was told, as when its shard moves. Its journal stays, and what it read of its inbox. */
  async #leave(handling: Promise<unknown>): Promise<void> {
    const { shard } = this.#resident
    await handling.catch(() => undefined)
    if (this.#left === undefined || !shard.trusted()) throw new Deposed(`this worker no longer owns shard ${shard.shard}.`)
    const { waiting, seen } = this.#left
    const target = { ...this.#draft.targetOfAttempt(this.attempt().journalLength), seen }
    const began = this.kind.timeouts.iteration === undefined ? undefined : this.#began
    const body: Body = began === undefined ? this.#draft.body : { ...this.#draft.body, began }
    await writeRun(shard, target, body, nextOf(waiting, this.#draft.deadlines(began)), "keep")
  }

  /** The run ends without its handler, which keeps its slot until it settles (W5). */
  async #force(handling: Promise<unknown>): Promise<void> {
    const attempt = this.attempt()
    const ending = attempt.ending as Ending
    attempt.die(endingError(this.#what, ending))
    this.#over = true
    await attempt.finish(false)
    const { kind, key, run } = this.#resident
    this.#report({ type: "stuck", kind: kind.kind, key, run })
    // also when the end is refused: the next attempt must not begin beside it
    await this.#end(ending, attempt, this.#draft.kept()).finally(() => handling.catch(() => undefined))
  }

  /** The attempt of this pass. One that is asked for when the handler has settled refuses everything. */
  attempt(): Attempt {
    if (this.#attempt !== undefined) return this.#attempt
    const { shard, kind, key, run, life } = this.#resident
    const { effects, tasks, limits, interceptors } = this.#runner.options
    const holder = this.#holder as StateHolder
    const attempt = new Attempt({
      shard,
      kind,
      address: this.#loaded.address,
      key,
      run,
      revision: this.#resident.revision,
      work: this.#work,
      body: this.#draft.body,
      entries: this.#entries,
      wake: this.#wake as WakeReason,
      inbox: this.#draft.inbox,
      life,
      effects,
      tasks,
      reach: this.#runner.reach,
      limits,
      interceptors,
      deadlines: this.#draft.deadlines(this.#began),
      onForced: () => this.#interrupt?.(forced),
      applyUpdate: (message) => this.#draft.applyInside(holder, message, this.#input),
    })
    this.#attempt = attempt
    if (this.#over) void attempt.finish(false)
    else this.#resident.attempt = attempt
    return attempt
  }

  /** Signal of the attempt, for handlers that are Effects. */
  get signal(): AbortSignal {
    return this.attempt().abort.signal
  }

  #handle(context: JobContext): unknown {
    const { kind, resource } = this.#resident
    if (kind.handlers.open === undefined || resource !== undefined) return this.#call(context, resource?.value)
    return this.#openAndCall(context)
  }

  /** `open` may have taken long: what holds before user code begins is asked again (S5, S6). */
  async #openAndCall(context: JobContext): Promise<unknown> {
    const { shard, life } = this.#resident
    const opened = await this.#open(context)
    const doubt = shard.confirmed()
    if (doubt !== undefined) await doubt
    this.#checkTrust()
    if (life.aborted) throw life.reason
    return await this.#call(context, opened)
  }

  #call(context: JobContext, opened: unknown): unknown {
    const { handlers } = this.#resident.kind
    const { effects, interceptors } = this.#runner.options
    begin(this.#work)
    if (interceptors.length === 0) return effects.settle(handlers.run(context, opened), this)
    return this.#intercept(context.attempt, () => effects.settle(handlers.run(context, opened), this))
  }

  #intercept(attempt: number, handle: () => unknown): unknown {
    const { interceptors, effects } = this.#runner.options
    const { kind, key, run } = this.#resident
    const { iteration = 1, headers = {} } = this.#draft.body
    const call: WorkCall = { type: "run", kind: kind.kind, key, run, iteration, attempt, name: "", headers, abortSignal: this.signal }
    return intercepted(interceptors, call, handle, effects)
  }

  /**
   * What was applied at the wake is written before the handler runs: an update is answered after its commit (J4). With it the iteration has
   * begun: the message that woke it may be gone, so the body says why, and not what was waited for.
   */
  async #commitApplied(holder: StateHolder, wake: WakeReason): Promise<void> {
    if (this.#draft.body.changed === true && this.#resident.resource !== undefined) await this.#runner.closeResource(this.#resident)
    const { read, ...target } = this.#draft.target()
    const { changed: _, waiting: __, backoff: ___, ...rest } = this.#draft.withState(holder)
    const body: Body = withRead({ ...rest, wake }, read)
    const { revision } = await writeRun(this.#resident.shard, target, body, { phase: "active" }, "keep")
    this.#resident.revision = revision
    this.#draft.inbox.trimTo(target.consumed)
    this.#draft.answers = none
    this.#draft.body = body
  }

  async #open(context: JobContext): Promise<unknown> {
    const { kind, life } = this.#resident
    const { effects } = this.#runner.options
    const value = await context.opening(() => runAs(this.#work, () => effects.settle(kind.handlers.open?.(context), life)))
    // what `open` uses is used until `close` has ended
    this.#resident.resource = { value, uses: this.#resident.uses }
    this.#resident.uses = undefined
    return value
  }

  /** Without an attempt: no durable call was made. */
  #finish(value: unknown, holder: StateHolder, attempt: Attempt | undefined): Promise<void> {
    const { kind } = this.#resident
    try {
      if (attempt?.ending === undefined) holder.checkWrites(this.#what)
      if (value instanceof DoneValue) return this.#end(this.#done(value), attempt, this.#draft.withState(holder))
      if (value instanceof AgainValue) {
        if (attempt?.ending !== undefined) return this.#end(attempt.ending, attempt, this.#draft.withState(holder))
        return this.#again(value, holder, attempt)
      }
    } catch (error) {
      if (!isFault(error)) throw error
      return this.#fail(errorOf(error), this.attempt())
    }
    const found = value === undefined ? "nothing (is a `return` missing?)" : typeof value
    return this.#fail(new NotAllowed(`expected run of ${kind.kind} to return job.again(…) or job.done(…), got ${found}.`), this.attempt())
  }

  #done({ value }: DoneValue): Outcome {
    const what = `the result of ${this.#what}`
    const encoded = this.#resident.kind.result.encode(value, what)
    checkBytes(JSON.stringify(encoded), this.#runner.options.limits.payloadBytes, what)
    return { type: "done", value: encoded }
  }

  #again(value: AgainValue, holder: StateHolder, attempt: Attempt | undefined): Promise<void> {
    const { shard } = this.#resident
    const waiting = toWaiting(value.request, shard.now(), shard.timeAfter(0))
    this.#draft.dropResults()
    const inputs = this.#draft.inbox.unread().filter((message) => message.kind === "input")
    for (const message of inputs) this.#draft.takeInput(message)
    const journalLength = attempt?.journalLength ?? 0
    const { read, ...target } = this.#draft.target(journalLength)
    const body = nextBody(this.#draft.withState(holder), waiting, inputs.length > 0)
    checkBytes(printBody(body), this.#runner.options.limits.payloadBytes, `input and state of ${this.#what} together`)
    // an unread message that this wait names, or that must be handled, is known already: it wakes at once (api rule 5)
    const wakes =
      inputs.length > 0 ||
      this.#draft.inbox
        .unread()
        .some((message) => message.kind === "update" || message.kind === "cancel" || waiting?.on?.includes(message.name) === true)
    const next = wakes ? ({ phase: "ready" } as const) : nextOf(waiting, this.#draft.deadlines(undefined))
    return writeRun(shard, target, withRead(body, read), next, journalLength > 0 ? "clear" : "keep").then(({ revision }) => {
      attempt?.abandon(`the iteration of ${this.#what} that made this call has ended: the result of this try counts no more.`)
      this.#resident.revision = revision
      this.#resident.inbox = undefined
    })
  }

  async #handlerFailed(error: unknown, attempt: Attempt): Promise<void> {
    const { errors } = this.#resident.kind.contract.schemas
    if (attempt.ending !== undefined) return this.#end(attempt.ending, attempt, this.#draft.kept())
    if (isDeclared(error, errors)) return this.#end({ type: "failed", error: encodeError(error, errors) }, attempt, this.#draft.kept())
    await this.#fail(errorOf(error), attempt, error)
  }

  /** A fault: the attempt is repeated by the job's retry policy, with its journal; the count is stored (a dead worker resets nothing). */
  async #fail(error: Error, attempt?: Attempt, cause: unknown = error): Promise<void> {
    const { shard, kind, key, run } = this.#resident
    const blocked = blocks(error) || (attempt === undefined && BadInput.is(error))
    const cancel = blocked ? this.#draft.takeUntoldCancel(this.#entries) : undefined
    // no handler here could clean up
    if (cancel !== undefined)
      return this.#end({ type: "cancelled", reason: JSON.parse(cancel.payload) as string }, attempt, this.#draft.kept())
    // a run that waits for code has not failed: its retries are for its own faults
    const failures = (this.#draft.body.failures ?? 0) + (blocked ? 0 : 1)
    const delay = blocked ? blockedRetryMs : retryDelay(kind.retry, failures, `${run}.${this.#draft.body.iteration ?? 1}`, tagOrName(cause))
    this.#report(
      blocked
        ? { type: "blocked", kind: kind.kind, key, run, error }
        : { type: "failed", kind: kind.kind, key, run, attempt: failures, error, retryIn: delay },
    )
    if (delay === undefined)
      return this.#end({ type: "failed", error: encodeError(error, kind.contract.schemas.errors) }, attempt, this.#draft.kept())
    const journalLength = attempt?.journalLength ?? this.#loaded.journal.length
    const undo = blocked ? undefined : attempt?.undoOf(cause)
    const target = {
      ...this.#draft.targetOfAttempt(journalLength),
      answers: attempt === undefined ? this.#draft.answers : none,
      append: undo === undefined ? none : [printEntry(undo)],
    }
    const { blocked: _, ...before } = this.#draft.body
    const waiting = { due: shard.timeAfter(delay) }
    const body: Body = {
      ...before,
      failures,
      ...(this.#wake === undefined ? {} : { wake: this.#wake }),
      waiting,
      backoff: true,
      ...(kind.timeouts.iteration === undefined || this.#began === undefined ? {} : { began: this.#began }),
      error: error.message.slice(0, 2_000),
      ...(blocked ? { blocked: error.message.slice(0, 2_000) } : {}),
    }
    // the begin of an iteration that has recorded nothing else is in the body now: it is not under way, and news may still change it (D4)
    const journal = attempt?.onlyBegan === true ? "clear" : "keep"
    const parked = nextOf(waiting, this.#draft.deadlines(body.began))
    const held = blocked && this.#runner.reserve(shard, this.#what)
    let lookAt: number | undefined
    try {
      const { revision, reply } = await writeRun(shard, target, body, held ? { phase: "active" } : parked, journal)
      const { run: ends = waiting.due, iteration: late = waiting.due } = this.#draft.deadlines(body.began)
      lookAt = reply.lastMessage > target.seen ? 0 : Math.min(waiting.due, ends, late)
      this.#resident.revision = revision
      this.#resident.inbox = undefined
    } finally {
      if (held) this.#runner.hold(shard, this.#what, lookAt)
    }
  }

  #report(event: RuntimeEvent): void {
    this.#runner.options.onEvent(event)
  }

  /** The attempt was stopped by force: by the pool, a terminate, a refused write, or a mismatch. */
  async #died(reason: Error, attempt: Attempt): Promise<void> {
    if (blocks(reason)) return this.#fail(reason, attempt)
    throw reason
  }

  #end(outcome: Outcome, attempt?: Attempt, body = this.#draft.body): Promise<void> {
    const { shard } = this.#resident
    const { resultRetentionMs } = this.#runner.options.limits
    const pending = this.#draft.inbox.unread()
    const unread = pending.length === 0 ? none : pending.filter((message) => message.kind === "signal")
    const listed = unread.length === 0 ? outcome : { ...outcome, unread: unread.map((message) => message.name).slice(0, 100) }
    return writeRun(
      shard,
      this.#draft.target(attempt?.journalLength, this.#draft.answersOfEnd(pending)),
      endedBody(body),
      { phase: "ended", outcome: JSON.stringify(listed), retention: resultRetentionMs, ifUnseen: "refuse" },
      "clear",
    ).then(({ reply }) => {
      if (reply.status === "ok") return this.#ended(outcome, attempt)
      return this.#draft.loadUnseen(reply).then(() => this.#end(outcome, attempt, body))
    })
  }

  #ended(outcome: Outcome, attempt: Attempt | undefined): void {
    const { kind, key, run } = this.#resident
    attempt?.abandon(`the run ${run} of ${this.#what} has ended: the result of this try counts no more.`)
    this.#report({ type: "ended", kind: kind.kind, key, run, outcome: outcome.type })
    this.#runner.ended(this.#resident)
  }
}

const none: ReadonlyArray<never> = []
/** What a handler gave that did not end in time. */
const forced = Symbol("forced")
/** What it gave when it was to leave memory. */
const leaving = Symbol("leaving")
