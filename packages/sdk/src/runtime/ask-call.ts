/**
 * A durable call that asks something of another run (X1): what is asked is recorded, then sent until there is an answer, under an id by which it
 * counts once, then the answer is recorded. A refusal is an answer.
 *
 * - A1 Nothing is sent before its question is in the journal, so that each attempt that may send it knows of it.
 * - A2 Questions to one address are sent in the order of the calls, one after another.
 * - A3 A question whose id the other side may have forgotten is not sent again: `OutcomeUnknown`.
 */
import type { Message } from "../engine/engine.ts"
import { OutcomeUnknown, StoreUnavailable } from "../errors.ts"
import type { Attempt, Started } from "./attempt.ts"
import type { Waiting } from "./body.ts"
import type { DurableCall } from "./call.ts"
import { interceptedAsk } from "./intercepted-ask.ts"
import type { Entry } from "./journal.ts"
import { delivery } from "./live.ts"
import type { Outstanding } from "./outstanding.ts"
import type { Answer, Question } from "./question.ts"
import { errorOf, refusal } from "./question.ts"
import type { Reach } from "./reach.ts"
import { atTime } from "./timer.ts"

const retryMs = 250
/** Of the retention of ids: the clock here is an estimate, and a call takes its time. */
const safeShare = 0.9

/** Questions of one attempt under way, by address (A2). */
export type Lines = Map<string, Promise<void>>

export const ask = <A>(attempt: Attempt, iteration: number, lines: Lines, question: Question<A>): DurableCall<A> =>
  attempt.start<A>("ask", question.name, (started) => new AskCall({ attempt, iteration, lines, question, started }))

interface AskCallOptions {
  readonly attempt: Attempt
  readonly iteration: number
  readonly lines: Lines
  readonly question: Question<unknown>
  readonly started: Started
}

class AskCall implements Outstanding {
  readonly cancellable: boolean
  readonly #options: AskCallOptions
  readonly #id: string
  #at: number
  #settled: boolean
  /** The answer comes by message, which brings the run back. */
  #waits = false
  #stop: (() => void) | undefined
  /** For interceptors of what is answered later. */
  #end: PromiseWithResolvers<void> | undefined

  constructor(options: AskCallOptions) {
    this.#options = options
    const { attempt, iteration, lines, question, started } = options
    const { generation, shard } = attempt
    this.cancellable = question.repeatable
    this.#id = `${attempt.options.run}.${iteration}.${started.index}${generation === 0 ? "" : `r${generation}`}`
    this.#settled = started.entries.some((entry) => entry.t === "told")
    const recorded = started.entries[0]
    this.#at = recorded?.t === "ask" ? recorded.at : Math.ceil(shard.now())
    if (this.#settled) return
    const noted = recorded === undefined ? attempt.note({ t: "ask", c: started.index, n: question.name, at: this.#at }) : undefined
    const before = lines.get(question.to)
    lines.set(
      question.to,
      Promise.all([noted, before]).then(() => this.#send()),
    )
  }

  get #over(): boolean {
    return this.#settled || this.#options.attempt.over
  }

  /** Never rejects: what follows in the line goes on. */
  async #send(): Promise<void> {
    const { attempt, question } = this.#options
    const { reach, inbox } = attempt.options
    while (reach !== undefined && !this.#over) {
      // after a crash the answer may be in the inbox already: it is about to be offered
      if (inbox.unread().some((message) => message.kind === "result" && message.name === this.#id)) return void (this.#waits = true)
      if (!question.repeatable && attempt.shard.now() >= this.#at + safeShare * reach.limits.requestRetentionMs)
        return this.#tell(this.#lost())
      const doubt = attempt.shard.confirmed()
      if (doubt !== undefined) await doubt
      if (this.#over || !attempt.shard.trusted()) return
      try {
        return this.#tell(await this.#ask(reach))
      } catch (error) {
        if (!StoreUnavailable.is(error)) return this.#fail(error)
      }
      await new Promise<void>((resolve) => {
        this.#stop = () => (stop(), resolve())
        const stop = atTime(attempt, attempt.shard.timeAfter(retryMs), resolve)
      })
    }
  }

  #ask(reach: Reach): Promise<Answer> {
    const { attempt, iteration, question } = this.#options
    const { interceptors, body } = attempt.options
    if (interceptors.length === 0) return question.ask(reach, this.#id, body.headers)
    this.#end ??= Promise.withResolvers<void>()
    this.#end.promise.catch(() => undefined)
    return interceptedAsk(reach, { attempt, iteration, question, id: this.#id, end: this.#end.promise })
  }

  #lost(): Answer {
    const { name } = this.#options.question
    return refusal("OutcomeUnknown", `whether ${name} was done is not known any more: it was asked for when the worker died, too long ago.`)
  }

  /** A fault of the store: nothing is recorded, and the next attempt asks again. */
  #fail(error: unknown): void {
    if (this.#over) return
    this.#settled = true
    this.#reject(error)
  }

  #reject(error: unknown): void {
    this.#options.started.reject(error)
    this.#end?.reject(error)
  }

  #tell(answer: Answer): void {
    if (this.#over || answer === "over") return
    if (answer === "later") {
      this.#waits = true
      return
    }
    this.#record({ t: "told", c: this.#options.started.index, ...answer })
  }

  #record(entry: Entry): void {
    this.#settled = true
    this.#options.attempt.record(
      entry,
      delivery(() => this.settle(entry)),
    )
  }

  settle(entry: Entry): void {
    if (entry.t !== "told") return
    try {
      this.#options.started.resolve(this.#read(entry))
      this.#end?.resolve()
    } catch (error) {
      this.#reject(error)
    }
  }

  #read({ e, m, v }: Extract<Entry, { t: "told" }>): unknown {
    const { question, attempt } = this.#options
    if (e !== undefined) throw errorOf(e)
    if (m === undefined) return question.read(v)
    const message = attempt.options.inbox.get(m)
    if (message === undefined) throw new OutcomeUnknown(`the answer to ${question.name} is missing from the inbox.`)
    return question.read(JSON.parse(message.payload))
  }

  reject(error: unknown): void {
    this.#settled = true
    this.#reject(error)
  }

  offer(message: Message): boolean {
    if (this.#settled || message.kind !== "result" || message.name !== this.#id) return false
    this.#record({ t: "told", c: this.#options.started.index, m: message.number })
    return true
  }

  wakes(): Waiting | undefined {
    return this.#waits && !this.#settled ? {} : undefined
  }

  busy(): boolean {
    return !this.#waits && !this.#settled
  }

  stop(): void {
    this.#stop?.()
    this.#end?.resolve()
  }
}
