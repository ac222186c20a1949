/**
 * One job of the low-level pool while it runs here: what the user's loop gets, and what the desk (job-desk.ts) keeps of it.
 */
import type { CommitItem, CommitReply, LoadedRun, Message } from "../engine/engine.ts"
import { BadInput, Deposed, NotAllowed, PonosError, Terminated } from "../errors.ts"
import { splitAddress } from "../key.ts"
import type { OwnedShard } from "./consumer.ts"
import { checkPayload, doneOutcome, payloadOf, refusedOutcome, replyToOf, toBytes } from "./payload.ts"
import type { StartAnswer } from "./starts.ts"
import { handTo } from "./work.ts"

export interface Job extends Disposable {
  readonly key: string
  readonly payload: Uint8Array
  /** Fires when the job must end here: it was stopped, its worker leaves, or its shard was lost. Its reason is a tagged error. */
  readonly abortSignal: AbortSignal
  /** Grows with every time the job is handed out: pass it to other systems, which refuse what is lower. */
  readonly fence: bigint
  /** What `pool.notify` sends, in order. A notification counts as read when the next one is asked for; unread ones move with the job. */
  notifications(): AsyncIterableIterator<Uint8Array>
  /** Ends the job. Throws `Terminated` when it was stopped, `Deposed` when it goes on elsewhere. */
  done(result?: Uint8Array): Promise<void>
  /**
   * Ends a job that cannot be started here or anywhere: its dispatcher, if it waits for the start, gets `JobRefused` with the reason, and the
   * key is free. Call it before the loop goes on: then the job counts as started.
   */
  refuse(reason: string): Promise<void>
  /**
   * Says that this program has stopped working on the job, though it is not done: call it when abortSignal has fired, and the job goes on
   * elsewhere at once, not only after `abortGraceMs` (with `onOverrun: "exit"`: only after this process ended). Without abort, the job is handed out again after a second. `using job` calls it.
   */
  settle(): void
}

export interface ResidentHost {
  readonly payloadBytes: number
  readonly resultRetentionMs: number
  readonly abortGraceMs: number | undefined
  /** Tells who waits for the start. */
  readonly answer: (replyTo: string, answer: StartAnswer) => void
  /** The user's code is done with it, in one way or the other. */
  readonly onSettled: (resident: Resident) => void
  readonly onFault: (error: unknown) => void
}

/** `ask` comes before each answer of the signal: it may abort it. */
const askFirst = (signal: AbortSignal, ask: () => void): void => {
  Object.defineProperties(signal, {
    aborted: { get: () => (ask(), Reflect.get(AbortSignal.prototype, "aborted", signal)) },
    throwIfAborted: { value: () => (ask(), AbortSignal.prototype.throwIfAborted.call(signal)) },
  })
}

/** How long a job that its program has left undone waits. */
const againMs = 1_000

export class Resident implements Job {
  readonly key: string
  readonly payload: Uint8Array
  readonly fence: bigint
  readonly shard: OwnedShard
  readonly address: string
  readonly run: string
  /** When it became ready, unless it ran before. */
  readonly since: number | undefined
  /** A later run of the same key, or the same run under a newer epoch: begins when this one has settled (W5). */
  successor: { readonly shard: OwnedShard; readonly run: LoadedRun } | undefined
  /** The store has ended the run. */
  ended = false
  settled = false
  /** Counted as settled because it did not settle within `abortGraceMs`. */
  abandoned = false
  /** Handed to the user's loop. */
  yielded = false
  readonly #host: ResidentHost
  readonly #controller = new AbortController()
  #aborted = false
  readonly #body: string
  #revision: string
  #consumed: number
  #acked: number
  #last: number
  #inbox: Array<Message>
  #wake: (() => void) | undefined
  #writing: Promise<unknown> = Promise.resolve()
  #acking = false
  #finishing = false
  #answered = false
  #grace: NodeJS.Timeout | undefined

  constructor(host: ResidentHost, shard: OwnedShard, run: LoadedRun) {
    this.#host = host
    this.shard = shard
    this.address = run.address
    this.run = run.run
    this.since = run.since
    this.key = splitAddress(run.address).key
    this.payload = payloadOf(run.body)
    this.fence = shard.nextFence()
    this.#body = run.body
    this.#revision = run.revision
    this.#consumed = run.consumed
    this.#acked = run.consumed
    this.#inbox = [...run.inbox]
    this.#last = run.inbox.at(-1)?.number ?? run.consumed
    askFirst(this.#controller.signal, () => this.#checkTrust())
  }

  get abortSignal(): AbortSignal {
    this.#checkTrust()
    return this.#controller.signal
  }

  /**
   * Who looks at the signal after the end of trust finds it aborted, also one that it stored before, and even if nobody could tell yet (S5): in a
   * process that was frozen, timers of user code are due before the news that another owns its jobs.
   */
  #checkTrust(): void {
    if (this.#aborted || this.settled || this.shard.trusted()) return
    this.abort(new Deposed(`this worker no longer owns shard ${this.shard.shard}: the job "${this.key}" goes on elsewhere.`))
  }

  /** The user's code waits for a notification. */
  get expectsMessage(): boolean {
    return this.#wake !== undefined && !this.settled && !this.#aborted
  }

  // --- from the store ------------------------------------------------------------------------------------------------

  /** W4: applies only the next one; false when there is a gap. */
  receive(message: Message): boolean {
    if (message.number <= this.#last) return true
    if (message.number !== this.#last + 1) return false
    this.#last = message.number
    this.#inbox.push(message)
    this.#wake?.()
    return true
  }

  /** The same run, loaded again: brings what was missed. */
  refresh(run: LoadedRun): void {
    for (const message of run.inbox) this.receive(message)
  }

  abort(reason: unknown): void {
    if (this.#aborted) return
    this.#aborted = true
    this.#controller.abort(reason)
    this.#wake?.()
    if (this.settled) return
    if (!this.yielded) this.#settled()
    else if (this.#host.abortGraceMs !== undefined) this.#grace = setTimeout(() => this.#abandon(), this.#host.abortGraceMs)
  }

  stop(): void {
    this.ended = true
    this.abort(new Terminated(`the job "${this.key}" was stopped`, { key: this.key }))
  }

  // --- for the user --------------------------------------------------------------------------------------------------

  async *notifications(): AsyncIterableIterator<Uint8Array> {
    while (!this.abortSignal.aborted && !this.#finishing) {
      const message = this.#inbox.shift()
      if (message === undefined) {
        await new Promise<void>((resolve) => (this.#wake = resolve))
        this.#wake = undefined
        continue
      }
      if (message.kind === "signal") {
        handTo({ kind: splitAddress(this.address).kind, key: this.key })
        yield toBytes(message.payload)
      }
      this.#consumed = message.number
      this.#ack()
    }
  }

  async done(result: Uint8Array = new Uint8Array()): Promise<void> {
    checkPayload(result, this.#host.payloadBytes, `the result of "${this.key}"`)
    await this.#finish(doneOutcome(result))
    this.#answer({ run: this.run, status: "started", session: this.shard.session })
  }

  async refuse(reason: string): Promise<void> {
    if (typeof reason !== "string" || reason === "")
      throw new BadInput(`expected the reason why "${this.key}" is refused to be a text, got: ${JSON.stringify(reason)}`, { reason })
    checkPayload(new TextEncoder().encode(reason), this.#host.payloadBytes, `the reason why "${this.key}" is refused`)
    // JSON has no NUL, which the store does not keep.
    const text = reason.replaceAll("\0", "").toWellFormed()
    await this.#finish(refusedOutcome(text))
    this.#answer({ run: this.run, status: "refused", reason: text })
  }

  /** The loop that got it has gone on. */
  accepted(): void {
    if (!this.#finishing) this.#answer({ run: this.run, status: "started", session: this.shard.session })
  }

  #answer(answer: StartAnswer): void {
    const replyTo = replyToOf(this.#body)
    if (replyTo === undefined || this.#answered) return
    this.#answered = true
    this.#host.answer(replyTo, answer)
  }

  async #finish(outcome: string): Promise<void> {
    if (this.#finishing || this.settled) throw this.#over()
    this.#finishing = true
    this.#wake?.()
    try {
      const reply = await this.#write({ phase: "ended", outcome, retention: this.#host.resultRetentionMs })
      this.ended = true
      if (reply.status !== "ok") throw this.#over()
    } finally {
      this.#settled()
    }
  }

  settle(): void {
    if (this.#finishing || this.settled) return
    this.#finishing = true
    if (this.#aborted) {
      this.#settled()
      return
    }
    this.#write({ phase: "parked", due: { after: againMs }, on: [] })
      .catch((error: unknown) => {
        if (!Deposed.is(error)) this.#host.onFault(error)
      })
      .finally(() => this.#settled())
      .catch(this.#host.onFault)
  }

  [Symbol.dispose](): void {
    this.settle()
  }

  // --- inside --------------------------------------------------------------------------------------------------------

  #over(): Error {
    const reason: unknown = this.#controller.signal.reason
    if (reason instanceof PonosError) return reason
    if (this.ended) return new Terminated(`the job "${this.key}" was stopped or is done`, { key: this.key })
    return new NotAllowed(`the job "${this.key}" was left by settle() or done() before`, { key: this.key })
  }

  #abandon(): void {
    this.abandoned = true
    this.#settled()
  }

  #settled(): void {
    if (this.settled) return
    this.settled = true
    clearTimeout(this.#grace)
    this.#wake?.()
    this.#host.onSettled(this)
  }

  /** Tells the store what was read: one write at a time, for all that was read meanwhile. */
  #ack(): void {
    if (this.#acking || this.#finishing || this.#consumed === this.#acked) return
    this.#acking = true
    this.#write({ phase: "active" })
      .then(
        (reply) => {
          if (reply.status !== "ok") this.shard.reload([this.address])
        },
        (error: unknown) => {
          if (!Deposed.is(error)) this.#host.onFault(error)
        },
      )
      .finally(() => {
        this.#acking = false
        this.#ack()
      })
      .catch(this.#host.onFault)
  }

  #write(next: CommitItem["next"]): Promise<CommitReply> {
    const written = this.#writing.then(async () => {
      const newRevision = this.shard.nextRevision()
      const consumed = this.#consumed
      const item: CommitItem = {
        address: this.address,
        run: this.run,
        revision: this.#revision,
        newRevision,
        consumed,
        next,
        journalLength: 0,
        append: [],
        journal: "clear",
        seen: this.#last,
        answers: [],
        // Rewrites the record: only so the number of consumed messages is stored. The result of an ended job needs no payload beside it.
        body: next.phase === "ended" ? "" : this.#body,
      }
      // What was read counts as told, also when it was refused or not heard: the run is reloaded or gone then, and the next write tells it anew.
      const reply = await this.shard.commit(item).finally(() => (this.#acked = consumed))
      if (reply.status === "ok") this.#revision = newRevision
      return reply
    })
    this.#writing = written.catch(() => {})
    return written
  }
}
