/**
 * One attempt: one try of an iteration under one epoch. It replays the journal, then goes on live. All writes of a run go through here, one after
 * another, so that the journal's order is the order in which the handler saw things happen (R2).
 */
import type { Message } from "../engine/engine.ts"
import { Deposed, NotAllowed, ReplayMismatch } from "../errors.ts"
import type { OwnedShard } from "../pool/consumer.ts"
import { AskedEnd } from "./asked-end.ts"
import type { AttemptOptions } from "./attempt-options.ts"
import type { Waiting } from "./body.ts"
import type { DurableCall } from "./call.ts"
import { durableCall } from "./call.ts"
import type { Ending } from "./ending.ts"
import type { CallKind, Entry } from "./journal.ts"
import type { JournalWriterHost } from "./journal-writer.ts"
import { JournalWriter } from "./journal-writer.ts"
import { effective } from "./journal.ts"
import { LazyAbort } from "./lazy-abort.ts"
import type { Live } from "./live.ts"
import { handleMessages } from "./messages.ts"
import { Replay } from "./replay.ts"
import type { Outstanding } from "./outstanding.ts"
import { OutstandingCalls } from "./outstanding.ts"
import type { PendingActivity } from "./pending-activity.ts"
import type { Beat } from "./task.ts"
import type { Wait } from "./timer.ts"
import { currentTurn } from "./turn.ts"

export interface Started {
  readonly index: number
  readonly entries: ReadonlyArray<Entry>
  readonly resolve: (value: any) => void
  readonly reject: (error: unknown) => void
}

export interface Numbered {
  readonly index: number
  readonly entries: ReadonlyArray<Entry>
}

/** How long a handler may rest between two recorded calls before its code is taken to have changed, ms. */
const stallMs = 10_000
/** How long it has to make the calls that an earlier attempt made, before it is told of its end, ms. */
const catchUpMs = 1_000
/** The same where a test replays a history. */
const replayStallMs = 1_000
/** Its `then` is a microtask without the resource that `queueMicrotask` makes for each. */
const turn = Promise.resolve()
/** A call beyond the history that is replayed: it never settles. */
const beyond = (reject: (error: unknown) => void): Outstanding => ({ settle: () => undefined, reject, cancellable: false })

interface Failure {
  readonly error: unknown
  readonly index: number
  readonly made: number
}

const none: ReadonlyArray<never> = []

export class Attempt implements JournalWriterHost {
  readonly options: AttemptOptions
  readonly shard: OwnedShard
  readonly fence: bigint
  /** Grows when a failed attempt took a failure back: part of the ids of activities. */
  readonly generation: number
  /** Entries that count. */
  readonly #entries: ReadonlyArray<Entry>
  readonly #replay: Replay
  /** Failures that the handler saw, and how many calls it had made then. */
  #failures: ReadonlyArray<Failure> = none
  /** Calls that may have failed, and whose end is in the journal. */
  #settledInJournal: Set<number> | undefined
  readonly #outstanding = new OutstandingCalls()
  /** Calls that were outstanding at the end. */
  #left: ReadonlyArray<Outstanding> = none
  readonly abort = new LazyAbort()
  readonly #writer: JournalWriter
  #versions: Map<string, number> | undefined
  readonly #live: Array<Live> = []
  #pumpQueued = false
  /** The turn in which the handler made its last call: until it is over, code beside that call may still run, to a call of its own. */
  #stirred = -1
  #messagesQueued = false
  #stall: ReturnType<typeof setTimeout> | undefined
  #time: number
  /** When the iteration began. */
  readonly #base: number
  /** The begin of the iteration has an entry of its own. */
  #began: boolean
  #dead: Error | undefined
  #ended = false
  readonly #end: AskedEnd

  constructor(options: AttemptOptions) {
    this.options = options
    this.shard = options.shard
    this.fence = options.shard.nextFence()
    const { entries, generation } = effective(options.entries)
    this.generation = generation
    this.#entries = entries
    this.#replay = new Replay(options.address, entries)
    this.#end = new AskedEnd(this, this.#outstanding, this.#replay)
    for (const entry of entries) this.#noteSettled(entry)
    this.#time = options.entries[0]?.b ?? options.shard.now()
    this.#began = options.entries[0]?.t === "begin"
    this.#base = this.#time
    this.#writer = new JournalWriter(this)
    for (const entry of entries) if ("m" in entry && entry.m !== undefined && entry.m > 0) options.inbox.markRead(entry.m)
    if (options.life.aborted) this.die(options.life.reason)
    else options.life.onAbort = () => this.die(options.life.reason)
    const { deadlines } = options
    if (options.onReplayed !== undefined || (deadlines.run === undefined && deadlines.iteration === undefined)) return
    this.#end.watch(deadlines)
    // whoever takes over counts from the same begin; what is written in this turn carries it, else it is written by itself
    if (options.entries.length === 0) setImmediate(() => this.#noteBegin())
  }

  #noteBegin(): void {
    if (this.#writer.length > 0 || this.#writer.busy) return
    this.#began = true
    void this.note({ t: "begin", c: 0 })
  }

  beginning(): Pick<Entry, "b" | "w"> {
    return { b: this.#base, w: this.options.wake }
  }

  written(entries: ReadonlyArray<Entry>): void {
    for (const entry of entries) this.#noteSettled(entry)
    // the answer came in a turn of its own, in which the handler has done nothing yet
    if (!this.#pumpQueued) this.#pump()
  }

  #noteSettled(entry: Entry): void {
    if (entry.t === "end" || entry.t === "told" || ((entry.t === "step" || entry.t === "got") && entry.e !== undefined))
      (this.#settledInJournal ??= new Set()).add(entry.c)
  }

  /**
   * Who asks for it after the end of trust finds it aborted, even if nobody could tell yet (S5): in a process that was frozen, timers of user
   * code are due before the news that another owns its jobs.
   */
  get abortSignal(): AbortSignal {
    const refused = this.over ? undefined : this.#refusal()
    if (refused !== undefined) this.die(refused)
    return this.abort.signal
  }
  /** After a cancel, clean-up still goes on. */
  get stepSignal(): AbortSignal {
    return this.#end.ending === undefined ? this.abort.signal : this.options.life.signal
  }
  /** The same for the body of a step, which may be one of those from before the cancel that another attempt has begun. */
  signalOf(index: number): AbortSignal {
    return this.#end.isBefore(index) ? this.abort.signal : this.stepSignal
  }
  get revision(): string {
    return this.options.revision
  }
  get journalLength(): number {
    return this.#writer.length
  }
  /** Nothing is recorded but when the iteration began. */
  get onlyBegan(): boolean {
    return this.#began && this.#writer.length === 1
  }
  /** Why the run was asked to end, if so. */
  get ending(): Ending | undefined {
    return this.#end.ending
  }
  /** Why the attempt may not go on, if so. */
  get dead(): Error | undefined {
    return this.#dead
  }
  /** Nothing is recorded any more: nothing may be begun either. */
  get over(): boolean {
    return this.#ended || this.#dead !== undefined
  }
  get time(): number {
    return this.#time
  }
  /** Local waits for a time of the store's clock: looked at again when a test moves it. */
  get waits(): Set<Wait> {
    return (this.#waits ??= new Set())
  }
  #waits: Set<Wait> | undefined
  /** Grows with all that happens to the handler: two looks that find the same found it waiting in between. */
  moves = 0
  /** The step whose body runs in this very frame: what it calls is in no order that a replay could keep. */
  bodyOf: string | undefined
  /** The number of random values and ids drawn so far: they derive from it (J1). */
  draws = 0

  /** The attempt is over by force: outstanding calls reject, later ones throw, nothing more is written (S5). */
  die(reason: Error): void {
    if (this.#dead !== undefined || this.#ended) return
    this.#dead = reason
    this.abort.abort(reason)
    this.#stop(() => reason)
  }

  /** The handler settled; nothing is recorded any more. Gives a mismatch if recorded entries are left (R3), after the write under way. */
  finish(complete: boolean): Promise<Error | undefined> | Error | undefined {
    const ends = complete && this.#dead === undefined
    // it ended before it could be told of these, as it might have when they were recorded
    while (ends && this.#replay.momentIsNext) this.#deliver(this.#replay.next() as Entry)
    const mismatch = ends ? this.#replay.finish() : undefined
    this.#ended = true
    this.#stop(
      () =>
        new Deposed(
          `the iteration of ${this.options.address} has ended; this call was not awaited. Await every durable call before run returns.`,
        ),
    )
    this.options.life.onAbort = undefined
    const written = (): Error | undefined => {
      for (const live of this.#live.splice(0)) live.unseen?.()
      return mismatch
    }
    const { flushing } = this.#writer
    return flushing === undefined ? written() : flushing.then(written)
  }

  #stop(why: () => Error): void {
    clearTimeout(this.#stall)
    this.#end.stop()
    if (this.#outstanding.size === 0) return
    const reason = why()
    this.#left = this.#outstanding.clear()
    for (const call of this.#left) {
      call.stop?.()
      call.reject(reason)
    }
  }

  /** The attempt is over, and no other one follows: what was begun for it elsewhere should stop. */
  abandon(reason: string): void {
    for (const call of this.#left) call.abandon?.(reason)
    this.#left = none
  }

  /** A try was heard of. False: it counts no more; `undefined`: that cannot be told yet. */
  hear(beat: Beat): boolean | undefined {
    for (const call of this.#outstanding.all()) if (call.hear?.(beat) === true) return true
    return !this.over && this.#replay.exhausted && !this.abort.aborted ? false : undefined
  }

  /** Activities that have no result yet. */
  pendingActivities(): ReadonlyArray<PendingActivity> {
    return this.#outstanding
      .all()
      .map((call) => call.pending?.())
      .filter((pending) => pending !== undefined)
  }

  /** Makes a durable call. `begin` gets its recorded entries and starts the live part. */
  start<A>(kind: CallKind, name: string, begin: (started: Started) => Outstanding): DurableCall<A> {
    const { call, resolve, reject } = durableCall<A>()
    const numbered = this.number(kind, name)
    if (numbered instanceof Error) {
      reject(numbered)
      return call
    }
    const { index, entries } = numbered
    const done = (value: A): void => {
      this.settled(index)
      resolve(value)
    }
    const seen = (error: unknown): void => {
      this.failed(index, error)
      reject(error)
    }
    const live = entries.length === 0 && this.options.onReplayed !== undefined
    try {
      this.#made(index, live ? beyond(seen) : begin({ index, entries, resolve: done, reject: seen }))
    } catch (error) {
      reject(error)
    }
    return call
  }

  /** The same of a step, which begins after the handler has made the call, in the context in which it did. */
  begin(step: Outstanding & { readonly index: number; begin(): void }, { index, entries }: Numbered): void {
    this.#made(index, step)
    if (entries.length === 0 && this.options.onReplayed === undefined) void turn.then(() => step.begin())
  }

  /** The number of a new call and what is recorded of it, or why there can be none. */
  number(kind: CallKind, name: string): Numbered | Error {
    this.moves++
    const refused = this.#refusal()
    if (refused !== undefined) return refused
    if (this.bodyOf !== undefined) return this.#nested(kind, name)
    try {
      return this.#replay.call(kind, name)
    } catch (error) {
      if (ReplayMismatch.is(error)) this.die(error)
      return error as Error
    }
  }

  /** A replay does not run the body of a step again, and would miss the calls in it. */
  #nested(kind: CallKind, name: string): Error {
    return new NotAllowed(
      `expected the body of step ${JSON.stringify(this.bodyOf)} to make no durable calls, got: ${kind}${name === "" ? "" : ` ${JSON.stringify(name)}`}. ` +
        "It runs once, and a replay gives its result without it. Make the call in run, before or after the step.",
      { step: this.bodyOf, call: kind, name },
    )
  }

  #made(index: number, call: Outstanding): void {
    this.#outstanding.add(index, call)
    if (this.#end.ending !== undefined) this.#end.rejectWait(index, call)
    this.#stirred = currentTurn()
    if (this.#replay.replaying || this.#live.length > 0 || this.options.inbox.hasUnread || this.options.onReplayed !== undefined)
      this.#queuePump()
  }

  settled(index: number): void {
    this.#outstanding.delete(index)
  }

  /** The handler is about to see this failure. */
  failed(index: number, error: unknown): void {
    this.#outstanding.delete(index)
    this.#failures = [...this.#failures, { error, index, made: this.#replay.made }]
    this.tells(error)
  }

  /** The handler sees this error: from one that comes of its end it knows of that. */
  tells(error: unknown): void {
    this.#end.told(error)
  }

  /** Why a call must not wait now: it was made before the handler was asked to end, or by one that does not know of that yet. */
  mayNotWait(index: number): Error | undefined {
    return this.#end.mayNotWait(index)
  }

  /** The attempt failed with this error: the entry that takes back the failure of a call behind it, if that is in the journal. */
  undoOf(failure: unknown): Entry | undefined {
    for (let error: unknown = failure, depth = 0; error !== undefined && depth < 10; depth++) {
      const seen = this.#failures.find((candidate) => candidate.error === error)
      if (seen !== undefined)
        return this.#settledInJournal?.has(seen.index) === true ? { t: "undo", c: seen.index, made: seen.made } : undefined
      error = error instanceof Error ? error.cause : undefined
    }
    return undefined
  }

  #refusal(): Error | undefined {
    if (this.#dead !== undefined) return this.#dead
    if (this.#ended) return new Deposed(`the iteration of ${this.options.address} has ended: a durable call after it cannot be recorded.`)
    return this.shard.trusted()
      ? undefined
      : new Deposed(
          `this worker no longer owns shard ${this.shard.shard}: the attempt of ${this.options.address} ends here and goes on elsewhere.`,
        )
  }

  /** Reads an unread signal at once: recorded with the next write (J3). */
  poll(name: string): Message | undefined {
    const refused = this.#refusal()
    if (refused !== undefined) throw refused
    // It answers at once, so that it cannot wait for a renewal (S6): the attempt ends, and the run is brought again.
    if (this.shard.confirmed() !== undefined) {
      this.die(new Deposed(`this machine was suspended, and nobody knows yet whether this worker still owns shard ${this.shard.shard}.`))
      throw this.#dead
    }
    let call: ReturnType<Replay["call"]>
    try {
      call = this.#replay.call("poll", name)
    } catch (error) {
      this.die(error as Error)
      throw error
    }
    const recorded = call.entries[0]
    if (recorded?.t === "poll") return recorded.m === 0 ? undefined : this.options.inbox.get(recorded.m)
    this.#checkRecorded()
    const message = this.options.inbox.nextSignal(name)
    if (message !== undefined) this.options.inbox.markRead(message.number)
    this.#writer.add({ t: "poll", c: call.index, n: name, m: message?.number ?? 0 })
    return message
  }

  /** Which version of a change this iteration runs: the recorded one, `min` where the journal is older than the marker, else `max`. */
  version(name: string, min: number, max: number): number {
    const refused = this.#refusal()
    if (refused !== undefined) throw refused
    const version = this.#versions?.get(name) ?? this.#decideVersion(name, min, max)
    this.#versions ??= new Map()
    this.#versions.set(name, version)
    if (version >= min && version <= max) return version
    const error = new ReplayMismatch(
      `${this.options.address}: this iteration runs version ${version} of the change ${JSON.stringify(name)}, and this code knows ${min} to ${max}. ` +
        "The run waits, nothing is lost: deploy code that still has that version. The next iteration begins with the newest one.",
      { change: name, version, min, max },
    )
    this.die(error)
    throw error
  }

  #decideVersion(name: string, min: number, max: number): number {
    const call = this.#replay.marker(name)
    const recorded = call?.entries[0]
    if (recorded?.t === "version") return recorded.v
    if (call === undefined) return min
    this.#checkRecorded()
    this.#writer.add({ t: "version", c: call.index, n: name, v: max })
    return max
  }

  /** A replay ends where it would have to go on live. */
  #checkRecorded(): void {
    if (this.options.onReplayed !== undefined) throw new Deposed(`the history of ${this.options.address} ends here.`)
  }

  /** Records an entry that settles a call: it is delivered when its write was acknowledged, in order. */
  record(entry: Entry, live: Live): void {
    if (this.#dead !== undefined || this.#ended || this.options.onReplayed !== undefined) return live.unseen?.()
    this.#live.push(live)
    this.#writer.write(entry, live)
  }

  /**
   * Records what the handler is about to see; written with the next write, at the latest before the next body starts that is not deferred itself
   * (J2). Lost with the attempt, it is computed anew: failures, messages (J3), and results of steps that were declared to bear it.
   */
  recordDeferred(entry: Entry, live: Live): void {
    if (this.#dead !== undefined || this.#ended || this.options.onReplayed !== undefined) return live.unseen?.()
    live.acknowledged = true
    this.#live.push(live)
    this.#writer.defer(entry)
    this.#queuePump()
  }

  /** Records an entry that settles nothing; resolves when it is written. */
  async note(entry: Entry): Promise<void> {
    if (this.#dead !== undefined || this.#ended || this.options.onReplayed !== undefined) return
    this.#writer.write(entry)
    await this.#writer.flushing
  }

  /** Before a body starts: what it may depend on is written. */
  beforeBody(): Promise<void> | undefined {
    return this.#writer.settled()
  }

  #queuePump(): void {
    if (this.#pumpQueued) return
    this.#pumpQueued = true
    void turn.then(this.#pump)
  }

  /** Something can be delivered, and the handler may not have come to rest since its last call (R2). */
  get #stirring(): boolean {
    return this.#stirred === currentTurn() && (this.#replay.replaying || this.#live[0]?.acknowledged === true)
  }

  /** Delivers what can be delivered, one by one; the handler comes to rest before each (R2). */
  readonly #pump = (): void => {
    const doubt = this.shard.confirmed()
    if (doubt !== undefined) return void doubt.then(this.#pump)
    if (this.#stirring) return void setImmediate(this.#pump)
    this.#pumpQueued = false
    while (this.#dead === undefined && !this.#ended) {
      // An answer that waited while the loop stood still does not bring a handler back whose job may run elsewhere (S5).
      const refused = this.#refusal()
      if (refused !== undefined) return this.die(refused)
      const entry = this.#replay.next()
      if (entry !== undefined) this.#deliver(entry)
      else if (this.options.onReplayed !== undefined) return this.#armReplayed(this.options.onReplayed)
      else if (this.#replay.replaying) return this.#armStall()
      else {
        const live = this.#live[0]
        if (live === undefined) {
          if (this.options.inbox.hasUnread && !this.#messagesQueued) {
            this.#messagesQueued = true
            setImmediate(this.#handleMessages)
          }
          return
        }
        if (!live.acknowledged) return
        if (live.made > this.#replay.made) return this.#armCatchUp(live)
        this.#live.shift()
        live.deliver()
      }
      this.moves++
      clearTimeout(this.#stall)
      this.#stall = undefined
      if (this.#outstanding.size === 0 && this.options.onReplayed === undefined && !this.#replay.momentIsNext) return
      this.#pumpQueued = true
      setImmediate(this.#pump)
      return
    }
  }

  /** A handler that first waits for what is not durable is told all the same. */
  #armCatchUp(live: Live): void {
    this.#stall ??= setTimeout(() => {
      live.made = 0
      this.#queuePump()
    }, catchUpMs)
  }

  #armStall(): void {
    this.#stall ??= setTimeout(() => {
      // handlers may await things that are not durable (a resource): only calls that wait behind the recorded one prove a change
      if (this.#outstanding.size > 0) this.die(this.#replay.stalled())
    }, stallMs)
  }

  /** Each call that the handler makes comes by here: it rests when none came for a few turns, or, if something recorded is left, for longer. */
  #armReplayed(onReplayed: (leftover: Error | undefined) => void): void {
    clearTimeout(this.#stall)
    const leftover = this.#replay.finish()
    this.#stall = setTimeout(
      () => onReplayed(leftover === undefined ? undefined : this.#replay.stalled()),
      leftover === undefined ? 0 : replayStallMs,
    )
  }

  #deliver(entry: Entry): void {
    if (entry.t === "woke") this.#advance(entry.c)
    if (entry.t === "cancel" || entry.t === "late") return void this.#end.tell(entry)
    if (entry.t === "update") {
      const message = this.options.inbox.get(entry.m)
      if (message !== undefined) this.options.applyUpdate(message)
      return
    }
    this.#outstanding.get(entry.c)?.settle(entry)
  }

  /** Time moves on with durable sleeps, the same on replay. */
  #advance(call: number): void {
    const slept = this.#entries.find((entry) => entry.t === "sleep" && entry.c === call)
    if (slept?.t === "sleep") this.advanceTo(slept.due)
  }
  advanceTo(time: number): void {
    this.#time = Math.max(this.#time, time)
  }

  /** The handler is to be told of something that is recorded, whatever it does. */
  get hasNews(): boolean {
    return this.#replay.momentIsNext || this.options.inbox.hasUnread
  }

  /** New messages came in. */
  messages(): void {
    this.#queuePump()
  }

  /** The handler waits for something that a message may bring. */
  get expectsMessage(): boolean {
    for (const call of this.#outstanding.all()) if (call.cancellable) return true
    return false
  }

  /** Nothing is under way but waits: for a time, a message, a result, the next try of a step. */
  get resting(): boolean {
    if (this.#dead !== undefined || this.#ended || this.#outstanding.size === 0) return false
    if (this.#writer.busy || this.#pumpQueued || this.#messagesQueued || this.#live.length > 0 || this.#replay.replaying) return false
    for (const call of this.#outstanding.all()) if ((!call.cancellable && call.pausing?.() !== true) || call.busy?.() === true) return false
    return true
  }

  /** Has what gathered written, if anything did: false, and all that the handler has seen is in the journal (J2, J3). */
  writesFirst(): boolean {
    return this.#writer.flush()
  }

  /** What brings a handler back that does nothing but wait for it; `undefined`: something else is under way. */
  get wakes(): Waiting | undefined {
    if (!this.resting || this.ending !== undefined) return undefined
    let due = Number.POSITIVE_INFINITY
    const on: Array<string> = []
    for (const call of this.#outstanding.all()) {
      const wakes = call.wakes?.()
      if (wakes === undefined) return undefined
      due = Math.min(due, wakes.due ?? Number.POSITIVE_INFINITY)
      on.push(...(wakes.on ?? []))
    }
    return { ...(due === Number.POSITIVE_INFINITY ? {} : { due }), on }
  }

  readonly #handleMessages = (): void => {
    this.#messagesQueued = false
    if (this.#dead !== undefined || this.#ended || this.#live.length > 0 || this.#replay.replaying) return
    handleMessages({ attempt: this, calls: this.#outstanding, replay: this.#replay, writer: this.#writer, end: this.#end })
  }
}
