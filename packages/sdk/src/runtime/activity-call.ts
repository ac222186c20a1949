/** An activity as its run sees it: scheduled durably, run by any worker, answered by a message; its tries and deadlines are kept here (T1). */
import type { Message } from "../engine/engine.ts"
import { ActivityFailed, ActivityTimeout } from "../errors.ts"
import type { Deadline } from "./activity-deadline.ts"
import { addAgainMs, deadlineOf, missed } from "./activity-deadline.ts"
import type { TaskResult } from "./activity-executor.ts"
import { failedTry, withTry } from "./activity-history.ts"
import type { ActivityLimits, ActivityRequest } from "./activity-limits.ts"
import { limitsOfCall } from "./activity-limits.ts"
import type { Attempt, Started } from "./attempt.ts"
import type { ErrorData, FailedTry, Waiting } from "./body.ts"
import { activityFailed, decodeError, encodeError, runFailed } from "./body.ts"
import type { DurableCall } from "./call.ts"
import type { OperationSchemas } from "./contract.ts"
import { codecOf } from "./contract.ts"
import type { Entry } from "./journal.ts"
import { delivery } from "./live.ts"
import type { Outstanding } from "./outstanding.ts"
import type { PendingActivity } from "./pending-activity.ts"
import { retryDelay } from "./retry.ts"
import { checkBytes } from "./size.ts"
import type { Beat, Task } from "./task.ts"
import { atTime } from "./timer.ts"

export const startActivity = (
  attempt: Attempt,
  iteration: number,
  name: string,
  input: unknown,
  request: ActivityRequest | undefined,
): DurableCall<unknown> => {
  const { kind, limits } = attempt.options
  const declared = kind.activities.limits[name]
  // the handler gives the same again on replay: only the time that came of it is in the journal
  const own = declared === undefined || request === undefined ? declared : limitsOfCall(declared, name, request)
  return attempt.start("activity", name, (started) => {
    const schemas = kind.contract.schemas.activities[name]
    if (schemas === undefined || own === undefined)
      throw new ActivityFailed(`${kind.kind} has no activity ${JSON.stringify(name)}: declare it and generate again`)
    const encoded = codecOf(schemas.in).encode(input, `the input of activity ${name}`)
    checkBytes(JSON.stringify(encoded), limits.payloadBytes, `the input of activity ${name}`)
    return new ActivityCall({ attempt, iteration, name, input: encoded, schemas, limits: own, started })
  })
}

interface ActivityCallOptions {
  readonly attempt: Attempt
  readonly iteration: number
  readonly name: string
  /** Encoded. */
  readonly input: unknown
  readonly schemas: OperationSchemas
  readonly limits: ActivityLimits
  readonly started: Started
}

/** What is known of a failed try besides its error. */
interface Failing {
  readonly message?: Message
  readonly worker?: string | undefined
  readonly started?: number | undefined
  readonly missed?: FailedTry["missed"]
  readonly last?: unknown
}

class ActivityCall implements Outstanding {
  readonly cancellable = true
  readonly #options: ActivityCallOptions
  readonly #attempt: Attempt
  readonly #limits: ActivityLimits
  readonly #id: string
  #tries: ReadonlyArray<FailedTry> = []
  #lastError: string | undefined
  /** The try that runs, waits or comes next. */
  #try = 1
  #scheduled: number
  #due: number
  #resumed: number | undefined
  /** It was given to the queue. */
  #isPending = false
  /** What it waits for is in the journal. */
  #isNoted = false
  #begun: number | undefined
  #beat: number | undefined
  #worker: string | undefined
  /** Encoded details of the last heartbeat. */
  #details: unknown
  #settled = false
  /** Ends the wait for its due time or deadline, and that for the next time it is added to its queue. */
  #stop: (() => void) | undefined
  #stopAdding: (() => void) | undefined

  constructor(options: ActivityCallOptions) {
    this.#options = options
    this.#attempt = options.attempt
    this.#limits = options.limits
    const { attempt, iteration, name, started } = options
    const { generation, shard } = attempt
    this.#id = `${attempt.options.run}.${iteration}.${started.index}${generation === 0 ? "" : `r${generation}`}`
    this.#scheduled = shard.timeAfter(0)
    this.#due = this.#scheduled + this.#limits.delay
    for (const entry of started.entries) this.#recall(entry)
    if (started.entries.length === 0) {
      const due = this.#limits.delay === 0 ? {} : { due: this.#due }
      this.#after({ t: "act", c: started.index, n: name, at: this.#scheduled, ...due })
    } else if (!this.#settled) {
      this.#resumed = shard.now()
      this.#schedule()
    }
  }

  #recall(entry: Entry): void {
    if (entry.t === "end") this.#settled = true
    if (entry.t === "act") {
      this.#scheduled = entry.at ?? this.#scheduled
      this.#due = entry.due ?? this.#scheduled
    }
    if (entry.t !== "retry") return
    const f = entry.f ?? failedTry(entry.try - 1, entry.e, { started: undefined, failed: entry.due, worker: undefined, missed: undefined })
    this.#tries = withTry(this.#tries, f)
    this.#lastError = entry.e.message
    this.#try = entry.try
    this.#due = entry.due
    this.#details = entry.h ?? this.#details
  }

  get #task(): string {
    return `${this.#id}.${this.#try}`
  }
  get #what(): string {
    return `try ${this.#try} of activity ${this.#options.name}`
  }

  /** Writes an entry, then goes on with what it says. */
  #after(entry: Entry): void {
    this.#isNoted = false
    void this.#attempt.note(entry).then(() => this.#settled || this.#attempt.over || this.#schedule())
  }

  #schedule(): void {
    const { shard } = this.#attempt
    this.#isNoted = true
    const isDelayed = this.#due !== this.#scheduled
    if (!isDelayed || this.#due <= shard.now()) return this.#dispatch()
    const total = this.#limits.totalTimeout === undefined ? undefined : this.#scheduled + this.#limits.totalTimeout
    if (total === undefined || this.#due < total) this.#stop = atTime(this.#attempt, this.#due, () => this.#dispatch())
    else this.#stop = atTime(this.#attempt, total, () => this.#late("total"))
  }

  #dispatch(): void {
    const { attempt, name, input } = this.#options
    const { body, inbox, kind, address, key, run, tasks } = attempt.options
    this.#isPending = true
    // after a crash the answer may be in the inbox already: it is about to be offered
    if (inbox.unread().some((message) => message.kind === "result" && message.name === this.#task)) return
    const { heartbeatTimeout, timeout, queue, priority } = this.#limits
    const task: Task = {
      id: this.#task,
      queue,
      priority,
      kind: kind.kind,
      name,
      shard: attempt.shard.shard,
      address,
      key,
      run,
      activity: this.#id,
      try: this.#try,
      fence: attempt.fence.toString(),
      input,
      timeout,
      ...(heartbeatTimeout === undefined ? {} : { heartbeatTimeout }),
      ...(this.#details === undefined ? {} : { last: this.#details }),
      ...(body.headers === undefined ? {} : { headers: body.headers }),
    }
    tasks.add(task).catch((error: unknown) => this.#task === task.id && this.#failed(encodeError(error, {}), {}))
    this.#arm()
    if (tasks.mayLose) this.#addAgain(task, addAgainMs)
  }

  /** A known id is ignored (T2): it runs once more only if its result is not heard of for so long. */
  #addAgain(task: Task, after: number): void {
    const attempt = this.#attempt
    this.#stopAdding = atTime(attempt, attempt.shard.timeAfter(after), () => {
      if (!this.#isPending || this.#begun !== undefined) return
      attempt.options.tasks.add(task).catch(() => undefined)
      this.#addAgain(task, 2 * after)
    })
  }

  #stopWaits(): void {
    this.#stop?.()
    this.#stopAdding?.()
  }

  /** Waits for the deadline that comes first. */
  #arm(): void {
    this.#stop?.()
    const { at, of } = deadlineOf(this.#limits, {
      scheduled: this.#scheduled,
      due: this.#due,
      resumed: this.#resumed,
      started: this.#begun,
      beat: this.#beat,
    })
    this.#stop = atTime(this.#attempt, at, () => this.#late(of))
  }

  #late(of: Deadline["of"]): void {
    if (this.#settled) return
    const text = missed(of, this.#limits, this.#what)
    this.#giveUp(text)
    this.#failed(encodeError(new ActivityTimeout(text, { missed: of }), {}), { missed: of, worker: this.#worker, started: this.#begun })
  }

  #giveUp(reason: string): void {
    if (this.#isPending) this.#attempt.options.tasks.cancel({ id: this.#task, queue: this.#limits.queue }, reason)
    this.#isPending = false
  }

  #failed(data: ErrorData, failing: Failing): void {
    if (this.#settled) return
    this.#stopWaits()
    const { name, started, schemas } = this.#options
    const now = this.#attempt.shard.timeAfter(0)
    const { message, worker, missed: of } = failing
    const f = failedTry(this.#try, data, { started: failing.started, failed: message?.at ?? now, worker, missed: of })
    this.#tries = withTry(this.#tries, f)
    this.#lastError = data.message
    this.#details = failing.last ?? this.#details
    const m = message === undefined ? {} : { m: message.number }
    const due = this.#nextDue(data, now, of)
    if (due === undefined) {
      this.#settled = true
      const error: ErrorData = { ...data, message: `${this.#gaveUp(data, of)}: ${data.message}`, tries: this.#tries }
      return this.#attempt.record(
        { t: "end", c: started.index, e: error, ...m },
        delivery(() => started.reject(this.#toError(error, schemas, name))),
      )
    }
    this.#try++
    this.#due = due
    this.#isPending = false
    this.#resumed = undefined
    this.#begun = undefined
    this.#beat = undefined
    this.#worker = undefined
    const h = this.#details === undefined ? {} : { h: this.#details }
    this.#after({ t: "retry", c: started.index, try: this.#try, due, e: data, f, ...h, ...m })
  }

  /** When the next try may start; `undefined`: there is none. */
  #nextDue(data: ErrorData, now: number, of: Failing["missed"]): number | undefined {
    const delay = of === "total" ? undefined : retryDelay(this.#limits.retry, this.#try, this.#id, data.tag)
    if (delay === undefined) return undefined
    const due = Math.ceil(now + delay)
    const { totalTimeout } = this.#limits
    return totalTimeout !== undefined && due >= this.#scheduled + totalTimeout ? undefined : due
  }

  #gaveUp({ tag }: ErrorData, of: Failing["missed"]): string {
    const { retry, totalTimeout } = this.#limits
    const last = `${this.#try} ${this.#try === 1 ? "try" : "tries"} failed, the last one with`
    if (retry.except?.includes(tag) === true) return `try ${this.#try} failed with an error that is not tried again (retry.except)`
    const isLast = retry.kind === "none" || (retry.attempts !== undefined && this.#try >= retry.attempts)
    return isLast || of === "total" || totalTimeout === undefined
      ? last
      : `no time is left of the ${totalTimeout} ms that it may take in all (totalTimeout); ${last}`
  }

  #toError(data: ErrorData, schemas: OperationSchemas, name: string): Error {
    return decodeError(data, schemas.errors, this.#attempt.options.kind.contract.failures, activityFailed(name))
  }

  #read(result: TaskResult): void {
    const { started, schemas, name } = this.#options
    try {
      if ("error" in result) return started.reject(this.#toError(result.error, schemas, name))
      started.resolve(codecOf(schemas.out).decode(result.ok, `the result of activity ${name}`))
    } catch (error) {
      // a worker with another version of the contract gave it
      started.reject(error)
    }
  }

  settle(entry: Entry): void {
    if (entry.t !== "end") return
    const { started, schemas, name, attempt } = this.#options
    if (entry.e !== undefined) return started.reject(this.#toError(entry.e, schemas, name))
    const message = entry.m === undefined ? undefined : attempt.options.inbox.get(entry.m)
    if (message !== undefined) return this.#read(JSON.parse(message.payload) as TaskResult)
    const lost: ErrorData = { tag: "StoreFault", message: `the result of activity ${name} is missing from the inbox` }
    started.reject(runFailed(attempt.options.address)(lost))
  }

  reject(error: unknown): void {
    this.#settled = true
    this.#options.started.reject(error)
  }

  offer(message: Message): boolean {
    if (this.#settled || message.kind !== "result" || message.name !== this.#task) return false
    this.#isPending = false
    const result = JSON.parse(message.payload) as TaskResult
    if ("error" in result && result.retry) {
      const { error, worker = this.#worker, missed: of, last, ran } = result
      this.#failed(error, { message, worker, missed: of, last, started: ran === undefined ? this.#begun : message.at - ran })
      return true
    }
    this.#settled = true
    this.#stopWaits()
    this.#attempt.record(
      { t: "end", c: this.#options.started.index, m: message.number },
      delivery(() => this.#read(result)),
    )
    return true
  }

  hear(beat: Beat): boolean {
    if (this.#settled || !this.#isPending || beat.id !== this.#task) return false
    const now = this.#attempt.shard.now()
    this.#begun = Math.round(now - beat.elapsed)
    if (beat.age !== undefined) this.#beat = Math.round(now - beat.age)
    this.#details = beat.details ?? this.#details
    this.#worker = beat.worker
    this.#stopAdding?.()
    this.#arm()
    return true
  }

  /** Between two tries nothing is under way: the run may leave memory until the next one is due. */
  wakes(): Waiting | undefined {
    return this.#isPending || !this.#isNoted || this.#settled ? undefined : { due: this.#due }
  }

  pending(): PendingActivity | undefined {
    if (this.#settled) return undefined
    return {
      call: this.#options.started.index,
      name: this.#options.name,
      attempt: this.#try,
      scheduled: this.#scheduled,
      due: this.#due,
      started: this.#begun,
      worker: this.#worker,
      beat: this.#beat,
      details: this.#details,
      lastError: this.#lastError,
    }
  }

  stop(): void {
    this.#stopWaits()
  }

  abandon(reason: string): void {
    this.#giveUp(reason)
  }
}
