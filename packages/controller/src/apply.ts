/**
 * Applies the actions of a plan through the engine's client verbs: idempotent, fenced by the controller's attempt (K2), each bound to the run
 * and spec that were observed. An action that is refused because these changed is no failure: the next pass looks again.
 */
import { InboxFull, StoreUnavailable } from "@ponos/sdk"
import type { Control, MessageItem, MessageReply, StartItem, StartReply, TerminateItem, TerminateReply } from "@ponos/sdk/internal"
import { eachBounded } from "./bounded.ts"
import type { Target } from "./observed.ts"
import type { Action, CreateAction, StopAction, UpdateAction } from "./plan.ts"
import { sumsOf } from "./spec.ts"

export type StopMode = "cancel" | "terminate"

export interface ApplyOptions {
  readonly stop: StopMode
  /** Calls in flight. */
  readonly parallelism: number
  readonly inboxLimit: number
  readonly inboxReserve: number
  readonly requestRetentionMs: number
  readonly resultRetentionMs: number
}

/** A desired input in the form in which it is stored. */
export interface PreparedInput {
  readonly spec: string
  readonly sums: readonly [number, number]
  /** JSON text of the encoded input. */
  readonly input: string
  /** Body of a new run. */
  readonly body: string
}

export interface ApplyContext extends Target {
  /** 19 digits. */
  readonly fence: string
  readonly options: ApplyOptions
  /** Throws when the row is no longer what it was at planning. */
  readonly prepare: (action: CreateAction | UpdateAction) => PreparedInput
  readonly abortSignal: AbortSignal
}

export type Applied =
  | { readonly status: "done" }
  /** Run or spec are not what was observed. */
  | { readonly status: "changed" }
  | { readonly status: "failed"; readonly error: string }

export interface ApplyResult {
  readonly action: Action
  readonly applied: Applied
}

/** A newer controller exists: this one ends its pass. */
export class Superseded extends Error {
  readonly _tag = "Superseded"
  constructor() {
    super("a newer attempt of this controller writes to the pool")
  }
}

/** One store call (B2). */
const batchSize = 200

const done: Applied = { status: "done" }
const changed: Applied = { status: "changed" }

let runs = 0
const runPrefix = `${crypto.randomUUID().slice(0, 8)}${Math.floor(performance.timeOrigin).toString(36)}`
/** A run id never used before. The letter keeps it apart from those of clients. */
const newRunId = (): string => `c${runPrefix}${(runs++).toString(36)}`

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

class Applier {
  readonly #context: ApplyContext
  readonly #onResult: (result: ApplyResult) => void

  constructor(context: ApplyContext, onResult: (result: ApplyResult) => void) {
    this.#context = context
    this.#onResult = onResult
  }

  /** All actions of one verb. */
  async all<A extends Action, Item, Reply>(
    actions: ReadonlyArray<A>,
    item: (action: A) => Item,
    call: (items: ReadonlyArray<Item>) => Promise<ReadonlyArray<Reply>>,
    judge: (reply: Reply, action: A) => Applied,
  ): Promise<void> {
    const batches = Array.from({ length: Math.ceil(actions.length / batchSize) }, (_, n) =>
      actions.slice(n * batchSize, (n + 1) * batchSize),
    )
    const send = async (batch: ReadonlyArray<A>): Promise<void> => {
      this.#context.abortSignal.throwIfAborted()
      let replies: ReadonlyArray<Reply>
      try {
        replies = await call(batch.map(item))
      } catch (error) {
        // the store is away: no tenant's fault, and the attempt's own retry waits for it
        if (StoreUnavailable.is(error)) throw error
        const [first] = batch
        if (first === undefined) return
        if (batch.length === 1) return this.#onResult({ action: first, applied: { status: "failed", error: messageOf(error) } })
        // one of them cannot be written: halve until it stands alone, so that it stops no other
        const middle = Math.ceil(batch.length / 2)
        await send(batch.slice(0, middle))
        return await send(batch.slice(middle))
      }
      for (const [n, action] of batch.entries()) {
        const reply = replies[n]
        if (reply !== undefined) this.#onResult({ action, applied: judge(reply, action) })
      }
    }
    await eachBounded(batches, this.#context.options.parallelism, send)
  }

  #control(address: string, spec: string, sums: readonly [number, number]): Control {
    return { controller: this.#context.controller, fence: this.#context.fence, spec, sums }
  }

  start = (action: CreateAction): StartItem => {
    const { spec, body, sums } = this.#context.prepare(action)
    const { shard, address } = action
    return { shard, address, run: newRunId(), body, control: this.#control(address, spec, sums) }
  }

  input = (action: UpdateAction): MessageItem => {
    const { options, fence } = this.#context
    const { spec, input, sums } = this.#context.prepare(action)
    const { shard, address } = action
    return {
      shard,
      address,
      run: action.run,
      kind: "input",
      name: "input",
      // the fence makes it another request when a spec comes back to what it once was
      id: `input:${action.run}:${fence}`,
      payload: input,
      inboxLimit: options.inboxLimit + options.inboxReserve,
      retention: options.requestRetentionMs,
      control: this.#control(address, spec, sums),
      expectSpec: action.from,
    }
  }

  cancel = (action: StopAction): MessageItem => {
    const { options, controller } = this.#context
    return {
      shard: action.shard,
      address: action.address,
      run: action.run,
      kind: "cancel",
      name: "cancel",
      // the same for all passes: a run that takes its time is asked once
      id: `stop:${action.run}`,
      payload: JSON.stringify(stopReason(controller)),
      inboxLimit: options.inboxLimit + options.inboxReserve,
      retention: options.requestRetentionMs,
      // with the observed spec: the run counts in the digest until it ends
      control: this.#control(action.address, action.from, sumsOf(action.address, action.from)),
      expectSpec: action.from,
    }
  }

  terminate = (action: StopAction): TerminateItem => {
    const { options, controller, fence } = this.#context
    return {
      shard: action.shard,
      address: action.address,
      run: action.run,
      outcome: JSON.stringify({ type: "terminated", reason: stopReason(controller) }),
      newRevision: `t.${action.run}`,
      retention: options.resultRetentionMs,
      control: { controller, fence },
      expectSpec: action.from,
    }
  }
}

const stopReason = (controller: string): string => `no longer desired (controller ${controller})`

const judgeStart = ({ status }: StartReply): Applied => {
  switch (status) {
    case "started":
      return done
    case "running":
    case "ended":
      return changed
    case "fenced":
      throw new Superseded()
    case "forbidden":
      // only starts by jobs are
      return changed
  }
}

const judgeMessage = ({ status }: MessageReply, action: Action): Applied => {
  switch (status) {
    case "accepted":
    case "duplicate":
      return done
    case "absent":
    case "ended":
    case "replaced":
      return changed
    case "full":
      return { status: "failed", error: new InboxFull(`the inbox of ${action.address} is full: let the job read its messages`).message }
    case "fenced":
      throw new Superseded()
  }
}

const judgeTerminate = ({ status }: TerminateReply): Applied => {
  switch (status) {
    case "terminated":
      return done
    case "absent":
    case "ended":
    case "replaced":
      return changed
    case "fenced":
      throw new Superseded()
  }
}

/** Applies all actions but `foreign`. Throws `Superseded`, `StoreUnavailable` or the reason of the abort; what is left is for the next pass. */
export const apply = async (
  context: ApplyContext,
  actions: ReadonlyArray<Action>,
  onResult: (result: ApplyResult) => void,
): Promise<void> => {
  const { engine, pool, options } = context
  const applier = new Applier(context, onResult)
  const creates = actions.filter((action) => action.type === "create")
  const updates = actions.filter((action) => action.type === "update")
  const stops = actions.filter((action) => action.type === "stop")
  if (creates.length > 0) await engine.addKinds(pool, [context.kind])
  await applier.all(creates, applier.start, (items) => engine.start(pool, items), judgeStart)
  await applier.all(updates, applier.input, (items) => engine.message(pool, items), judgeMessage)
  if (options.stop === "cancel") await applier.all(stops, applier.cancel, (items) => engine.message(pool, items), judgeMessage)
  else await applier.all(stops, applier.terminate, (items) => engine.terminate(pool, items), judgeTerminate)
}
