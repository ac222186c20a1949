/** What a pass makes of its run's record: the body, what was read of the inbox, and the answers that the next write takes along. */
import type { CommitReply, LoadedRun, Message } from "../engine/engine.ts"
import { Deposed } from "../errors.ts"
import type { Answer, Body, Waiting } from "./body.ts"
import { runEnded } from "./body.ts"
import type { Deadlines } from "./ending.ts"
import { applyUpdate } from "./answers.ts"
import type { IterationHost } from "./host.ts"
import { Inbox } from "./inbox.ts"
import type { Entry } from "./journal.ts"
import { effective, parseJournal } from "./journal.ts"
import { KeptUpdates } from "./kept-updates.ts"
import type { Resident } from "./resident.ts"
import { loadState } from "./state.ts"
import { StateHolder } from "./state-holder.ts"
import type { WriteTarget } from "./writes.ts"

type Answers = NonNullable<WriteTarget["answers"]>

export class RunDraft {
  readonly #host: IterationHost
  readonly #resident: Resident
  readonly #loaded: LoadedRun
  readonly inbox: Inbox
  body: Body
  /** Of updates that the next write answers. */
  answers: Answers = none
  readonly #updates = new KeptUpdates()

  constructor(host: IterationHost, resident: Resident, loaded: LoadedRun, body: Body) {
    this.#host = host
    this.#resident = resident
    this.#loaded = loaded
    this.body = body
    this.inbox = new Inbox(loaded.consumed, loaded.inbox, body.read)
    // between iterations no activity is pending: an answer that comes now belongs to a try that was given up
    if (!this.underWay) this.dropResults()
  }

  /** Its iteration has recorded something. */
  get underWay(): boolean {
    return this.#loaded.journal.length > 0
  }

  dropResults(): void {
    for (const message of this.inbox.unread()) if (message.kind === "result") this.inbox.markRead(message.number)
  }

  /** What an earlier attempt read, and wrote down, is no unread signal of the end, and updates were answered: no attempt comes that would know. */
  recallJournal(): void {
    const { entries } = effective(parseJournal(this.#loaded.address, this.#loaded.journal))
    for (const entry of entries) if ("m" in entry && entry.m !== undefined && entry.m > 0) this.inbox.markRead(entry.m)
    this.recallUpdates(entries)
  }

  recallUpdates(entries: ReadonlyArray<Entry>): void {
    this.#updates.recall(entries, this.inbox)
  }

  /** The state with which the iteration began, and the decoded input. */
  open(): { readonly holder: StateHolder; readonly input: unknown } {
    const { kind } = this.#resident
    const what = this.#loaded.address
    const input = kind.input.decode(this.body.input, `the input of ${what}`)
    return { holder: new StateHolder(loadState(kind, this.body, input, what)), input }
  }

  /** What a run leaves that ends badly. */
  kept(): Body {
    if (!this.#updates.any) return this.body
    const { holder, input } = this.open()
    for (const message of this.#updates.inOrder()) this.#apply(holder, message, input)
    return this.withState(holder)
  }

  /** An update inside an iteration: its answer is the journal's matter. */
  applyInside(holder: StateHolder, message: Message, input: unknown): Answer {
    const answer = this.#apply(holder, message, input)
    if (!("error" in answer)) this.#updates.keep(message)
    return answer
  }

  /** An update before an iteration: the next write answers it. */
  applyBefore(holder: StateHolder, message: Message, input: unknown): void {
    this.inbox.markRead(message.number)
    this.answers = [...this.answers, { id: message.id, answer: JSON.stringify(this.#apply(holder, message, input)) }]
  }

  #apply(holder: StateHolder, message: Message, input: unknown): Answer {
    const { kind, key, run } = this.#resident
    return applyUpdate(kind, holder, { key, run, input }, message, this.#host.options.limits.payloadBytes)
  }

  takeInput(message: Message): void {
    this.inbox.markRead(message.number)
    this.body = { ...this.body, input: JSON.parse(message.payload) as unknown, changed: true }
  }

  /** A cancel that the journal does not have: it is taken. */
  takeUntoldCancel(entries: ReadonlyArray<Entry>): Message | undefined {
    for (let number = this.#loaded.consumed + 1; number <= this.inbox.last; number++) {
      const message = this.inbox.get(number)
      if (message?.kind !== "cancel" || entries.some((entry) => entry.t === "cancel" && entry.m === number)) continue
      this.inbox.markRead(number)
      return message
    }
    return undefined
  }

  /** Of the run, and of the iteration that began then. */
  deadlines(began: number | undefined): Deadlines {
    const { iteration } = this.#resident.kind.timeouts
    return { run: this.body.until, iteration: iteration === undefined || began === undefined ? undefined : began + iteration }
  }

  /** What the run waits for: as its body says, or, before its first iteration, the delay of its start. */
  get waits(): Waiting | undefined {
    const { due } = this.#loaded
    return this.body.waiting ?? (due === undefined ? undefined : { due })
  }

  /** The body with the holder's state in it. */
  withState(holder: StateHolder): Body {
    const { kind } = this.#resident
    if (kind.state === undefined) return this.body
    const state = kind.state.encode(holder.state, `the state of ${this.#loaded.address}`)
    const { sv: _, ...body } = this.body
    return { ...body, state, version: kind.contract.version, ...(kind.stateVersion === 1 ? {} : { sv: kind.stateVersion }) }
  }

  /** A write of all that was read. */
  target(journalLength = this.#loaded.journal.length, answers = this.answers): WriteTarget & { readonly read: ReadonlyArray<number> } {
    const { consumed, read } = this.inbox.settle()
    const { address, run } = this.#loaded
    const { revision } = this.#resident
    return { address, run, revision, consumed, read, seen: this.inbox.last, journalLength, answers }
  }

  /** A write of an attempt that will be repeated: messages that it read without a recorded write are unread again. */
  targetOfAttempt(journalLength: number): WriteTarget {
    const { address, run, consumed } = this.#loaded
    const { revision } = this.#resident
    return { address, run, revision, consumed: Math.max(consumed, this.inbox.consumed), seen: this.inbox.last, journalLength }
  }

  /** What is answered with the end: what was answered before, and updates that nobody will apply. */
  answersOfEnd(pending: ReadonlyArray<Message>): Answers {
    const refused = pending.length === 0 ? none : pending.filter((message) => message.kind === "update")
    if (refused.length === 0) return this.answers
    return [...this.answers, ...refused.map(({ id }) => ({ id, answer: runEnded(this.#loaded.address, this.#resident.run) }))]
  }

  /** A message came that the run has not seen: it is loaded, so that the outcome names it (W6). */
  async loadUnseen(reply: CommitReply): Promise<void> {
    const { engine, pool } = this.#host.options
    const { address } = this.#loaded
    const [run] = await engine.read(pool, [{ shard: this.#resident.shard.shard, address }], { full: true })
    if (run === undefined || run.run !== this.#resident.run || !this.inbox.add(run.inbox) || this.inbox.last < reply.lastMessage)
      throw new Deposed(`${address} was changed while it ended: it is loaded again.`)
  }
}

const none: ReadonlyArray<never> = []
