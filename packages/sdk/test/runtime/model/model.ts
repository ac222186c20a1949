/**
 * The model: what a program gives by the documented meaning of its calls, with nothing durable behind them. Time is virtual, promises are all
 * there is of concurrency, and a failed attempt is a wait: everything before its failure would be given back as it was.
 */
import { Chance, outside } from "./chance.ts"
import { Clock } from "./clock.ts"
import type { Handler, Ways } from "./handler.ts"
import { combine, failOrNot, Handler as ProgramHandler, labelOf, Sight } from "./handler.ts"
import { ModelChildren } from "./model-children.ts"
import { ModelJob, plain } from "./model-job.ts"
import { settledIn } from "./model-branches.ts"
import type { Action, Again, Case, Program, Signal } from "./program.ts"
import { attempts, backOffMs, cleanupMs, leastCleanupMs, restMs } from "./program.ts"

export interface Message {
  readonly name: Signal
  readonly payload?: string
}

export interface Outcome {
  readonly type: string
  /** The result, the tag of the error, or which limit passed. */
  readonly value: string | undefined
  readonly unread: ReadonlyArray<string>
}

export interface Observed {
  readonly outcome: Outcome | undefined
  readonly state: unknown
  /** Steps whose results the handler got, and when. */
  readonly steps: Readonly<Record<string, number>>
  readonly undone: ReadonlyArray<string>
  /** Of the updates, in order. */
  readonly answers: ReadonlyArray<string>
  /** How children ended, by key. */
  readonly children: Readonly<Record<string, string>>
}

export interface Expected {
  readonly observed: Observed
  /** Why the case says nothing. */
  readonly chance: string | undefined
  /** Times depend on where workers die. */
  readonly faultsTell: boolean
  /** A step waits for its next try: where a shard moves then, as it may when a frozen worker is back, it is tried at once. */
  readonly stepWaits: boolean
}

export interface State {
  count: number
  log: ReadonlyArray<string>
}

export type Wake = { readonly by: string; readonly name?: string }

/** A wait of the handler, which an end rejects. */
export interface Wait {
  readonly cancel: (error: Error) => void
  /** The iteration is over. */
  readonly drop: () => void
  /** Takes a signal if it waits for it. */
  readonly offer?: (message: Message) => boolean
  readonly wants?: (message: Message) => boolean
}

export class Model {
  readonly clock = new Clock()
  readonly chance = new Chance(this.clock)
  readonly children = new ModelChildren(this.clock, this.chance)
  readonly sight = new Sight(() => this.clock.now)
  readonly #program: Program
  readonly #handler: Handler
  /** What the handler works on. */
  state: State = { count: 0, log: [] }
  /** What a run that ends badly leaves. */
  #kept: State = this.state
  iteration = 1
  attempt = 1
  wake: Wake = { by: "start" }
  readonly waits = new Set<Wait>()
  unread: Array<Message> = []
  /** In this iteration. */
  hasRead = false
  /** At the state. */
  hasLooked = false
  /** In a handler, in its back-off, or neither. */
  #phase: "parked" | "handling" | "backing off" = "parked"
  /** Wakes a parked run. */
  #wakeBy: ((wake: Wake) => void) | undefined
  #on: ReadonlyArray<string> = []
  ending: { readonly type: string; readonly value: string | undefined } | undefined
  #outcome: Outcome | undefined
  readonly #limits: Array<() => void> = []
  readonly #answers: Array<string> = []
  /** Updates that came in a back-off. */
  #pending: Array<{ readonly by: number; readonly apply: () => void }> = []
  /** The iteration has written something; it has a poll that it has not written, a result that it may write later. */
  #journaled = false
  #polled = false
  #deferred = false

  constructor(program: Program) {
    this.#program = program
    this.#handler = new ProgramHandler(program, this.sight, this.#ways)
  }

  get over(): boolean {
    return this.#outcome !== undefined
  }

  get #isLimited(): boolean {
    return Object.values(this.#program.timeout).some((ms) => ms !== undefined)
  }

  /** Something is about to be written while the handler waits: the begin of the attempt, updates that came in its back-off, what children do. */
  get writesBeside(): boolean {
    const { now } = this.clock
    return (this.#isLimited && !this.#journaled && now === this.#began) || now === this.#applied || now === this.children.wrote
  }
  /** When the attempt began. */
  #began = 0
  #applied: number | undefined

  readonly #ways: Ways = {
    together: (_, op, branches) =>
      combine(
        op,
        settledIn(this, op, branches, (path) => new ModelJob(this, path)),
      ).then((value) => {
        if (op !== "race") this.chance.joined(branches.map(({ path }) => path))
        return value
      }),
    flaky: async (job, node, handler, path) => {
      for (;;) {
        try {
          return await failOrNot(job, node, handler, path)
        } catch (error) {
          if (this.ending !== undefined || this.attempt >= attempts) throw error
          await this.#backOff()
        }
      }
    },
  }

  async #backOff(): Promise<void> {
    // a poll that was not written is made anew, and what else waits or runs meets the next attempt in an order that depends on the journal
    if (this.#polled || this.waits.size > 0 || this.chance.branches > 0) this.chance.find("an attempt fails beside something else")
    // it may have been written with the begin of its iteration
    if (this.#deferred && !this.#journaled && this.#isLimited) this.chance.find("an attempt fails with a result that it may have written")
    this.chance.touch("state", "")
    this.#phase = "backing off"
    this.#deferred = false
    await this.clock.after(backOffMs)
    this.#phase = "handling"
    this.attempt++
    this.#began = this.clock.now
    if (this.#pending.length > 0) this.#applied = this.clock.now
    // applied while the handler waits, if it waits before it ends
    for (const { by, apply } of this.#pending.splice(0)) {
      this.chance.touch("state", outside)
      apply()
      if (by > 0) this.#kept = { ...this.#kept, count: this.#kept.count + by }
    }
  }

  /** Something was written, and what was deferred with it. */
  wrote(): void {
    this.#journaled = true
    this.#polled = false
    this.#deferred = false
  }
  deferred(): void {
    this.#deferred = true
  }
  polled(): void {
    this.#polled = true
  }
  /** Before a body that may depend on what was deferred. */
  settled(): void {
    if (this.#deferred) this.wrote()
  }

  async #life(): Promise<void> {
    const { after, timeout, iterations } = this.#program
    if (after !== undefined) await this.clock.after(after)
    if (timeout.run !== undefined) this.#limit(timeout.run, "run")
    for (const { again } of iterations) {
      const last = this.iteration === iterations.length
      const result = await this.#iterate()
      if (this.over) return
      this.chance.over()
      if (this.#pending.length > 0) this.chance.find("an update is left")
      this.chance.touch("state", "")
      if ("error" in result) return this.#end(this.ending ?? failure(result.error))
      this.#kept = this.state
      if (last) return this.#end({ type: "done", value: result.value })
      if (this.ending !== undefined) return this.#end(this.ending)
      await this.#park(again)
    }
  }

  async #iterate(): Promise<{ readonly value: string } | { readonly error: unknown }> {
    const { iteration } = this.#program.timeout
    this.#phase = "handling"
    this.#began = this.clock.now
    this.attempt = 1
    this.hasRead = false
    this.hasLooked = false
    this.#journaled = false
    this.#polled = false
    this.#deferred = false
    const stop = iteration === undefined ? () => undefined : this.#limit(iteration, "iteration")
    this.state = structuredClone(this.#kept)
    try {
      await this.#handler.run(new ModelJob(this, ""))
      return { value: this.state.log.at(-1)?.replace(/^\w*:/, "") ?? "" }
    } catch (error) {
      return { error }
    } finally {
      stop()
      for (const wait of this.waits) wait.drop()
      this.waits.clear()
    }
  }

  /** Until the next iteration. */
  async #park({ after, on = [] }: Again): Promise<void> {
    this.iteration++
    this.#phase = "parked"
    const known = this.unread.find(({ name }) => on.includes(name))
    if (known !== undefined) this.wake = { by: "message", name: known.name }
    else if (after === undefined && on.length === 0) this.wake = { by: "again" }
    else {
      this.#on = on
      this.wake = await new Promise<Wake>((resolve) => {
        const stop = after === undefined ? undefined : this.clock.at(this.clock.now + after, () => resolve({ by: "time" }))
        this.#wakeBy = (wake) => {
          stop?.()
          resolve(wake)
        }
      })
      this.#on = []
      this.#wakeBy = undefined
    }
  }

  #limit(ms: number, of: string): () => void {
    const stop = this.clock.at(this.clock.now + ms, () => {
      this.chance.alone("a limit in time")
      this.#ask({ type: "timedOut", value: of })
    })
    this.#limits.push(stop)
    return stop
  }

  /** Asks the run to end: at once where no handler can clean up. */
  #ask(ending: NonNullable<Model["ending"]>): void {
    if (this.ending !== undefined) return
    // such an end lists signals as unread that the journal has as read
    if (this.#phase === "backing off" && this.hasRead) this.chance.find("a run ends in a back-off after it read a signal")
    if (this.#phase !== "handling") return this.#end(ending)
    this.wrote()
    this.ending = ending
    for (const stop of this.#limits.splice(0)) stop()
    this.#limits.push(
      this.clock.at(this.clock.now + cleanupMs, () => {
        this.chance.alone("the end of the time to clean up")
        // who takes over in the end gives a little more
        if (this.chance.happenedWithin(leastCleanupMs)) this.chance.faultsTell = true
        this.#end(ending)
      }),
    )
    for (const wait of this.waits) wait.cancel(plain(ending.type === "cancelled" ? "Cancelled" : "TimedOut"))
  }

  #end({ type, value }: NonNullable<Model["ending"]>): void {
    this.#outcome = { type, value, unread: this.unread.map(({ name }) => name) }
    this.children.parentEnds()
    this.clock.clear()
    for (const _ of this.#pending) this.#answers.push("RunEnded")
  }

  /** What the client does. */
  act(action: Action): void {
    this.chance.alone(action.do)
    switch (action.do) {
      case "cancel":
        if (!this.over) this.#ask({ type: "cancelled", value: undefined })
        break
      case "note":
      case "stop":
        if (!this.over) this.#signal(action.do === "stop" ? { name: "stop" } : { name: "note", payload: action.text })
        break
      case "add":
        this.#update(action.by)
        break
      case "history":
        break
    }
  }

  #signal(message: Message): void {
    const wanting = [...this.waits].filter((wait) => wait.wants?.(message))
    if (wanting.length > 1) this.chance.find("several branches wait for one signal")
    if (this.#phase === "handling" && wanting[0]?.offer?.(message) === true) {
      this.hasRead = true
      return
    }
    this.unread.push(message)
    if (this.#on.includes(message.name)) this.#wakeBy?.({ by: "message", name: message.name })
  }

  #update(by: number): void {
    if (this.over) return void this.#answers.push("RunEnded")
    const added = (state: State): State => ({ ...state, count: state.count + by })
    const answer = (state: State): unknown => this.#answers.push(by < 0 ? "Rejected" : String(state.count))
    const apply = (): void => {
      if (by > 0) this.state = added(this.state)
      answer(this.state)
    }
    if (this.#phase === "handling") {
      apply()
      // what was answered stays, also where the iteration ends badly
      if (by > 0) this.#kept = added(this.#kept)
      return this.wrote()
    }
    if (this.#phase === "backing off" && this.#journaled) return void this.#pending.push({ by, apply })
    // nothing of the iteration is written: what its handler did to the state is done again, and what it saw of it is seen anew
    if (by > 0 && this.#phase === "backing off" && this.hasLooked) this.chance.find("an update changes what was seen before a failure")
    if (by > 0) this.#kept = added(this.#kept)
    if (by > 0) this.state = added(this.state)
    answer(this.#kept)
    if (this.#on.includes("add")) this.#wakeBy?.({ by: "message", name: "add" })
  }

  async run(script: ReadonlyArray<Action>): Promise<Expected> {
    void this.#life()
    await this.clock.rest()
    let time = 0
    for (const action of [...script, { do: "cancel", gap: restMs } as const]) {
      time += action.gap
      await this.#until(time)
      this.act(action)
      await this.clock.rest()
    }
    await this.#until(time + restMs)
    return {
      observed: {
        outcome: this.#outcome,
        state: this.#kept,
        steps: Object.fromEntries([...this.sight.seen].map(([id, { at }]) => [id, at])),
        undone: [...this.sight.undone].toSorted(),
        answers: this.#answers,
        children: this.children.outcomes(),
      },
      chance: this.chance.found,
      faultsTell: this.chance.timesTell,
      stepWaits: this.chance.hasWaited,
    }
  }

  async #until(time: number): Promise<void> {
    while (this.clock.next < time) await this.clock.step()
    this.clock.now = time
  }
}

const failure = (error: unknown): NonNullable<Model["ending"]> => ({ type: "failed", value: labelOf(error) })

export const expectedOf = ({ program, script }: Case): Promise<Expected> => new Model(program).run(script)
