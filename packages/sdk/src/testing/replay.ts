/**
 * `replay`: does this code still fit a history of production? For a test in CI, from a file that `handle.history()` gave. Nothing live begins and
 * nothing is written; code between the durable calls runs, and so do `open` and `close`: give the job fakes.
 */
import type { Layer } from "effect"
import { fromHistory } from "../client/history.ts"
import type { History } from "../client/options.ts"
import { BadInput, BadOption } from "../errors.ts"
import { defaults, refuseUnknown } from "../options.ts"
import { firstField } from "../key.ts"
import type { OwnedShard } from "../pool/consumer.ts"
import { applyUpdate } from "../runtime/answers.ts"
import { Attempt } from "../runtime/attempt.ts"
import { parseBody } from "../runtime/body.ts"
import { JobContext } from "../runtime/context.ts"
import type { JobHandlers } from "../runtime/contract.ts"
import { Effects } from "../runtime/effects.ts"
import { errorOf } from "../runtime/host.ts"
import { Inbox } from "../runtime/inbox.ts"
import { parseJournal } from "../runtime/journal.ts"
import { jobKind } from "../runtime/kind.ts"
import { LazyAbort } from "../runtime/lazy-abort.ts"
import { StateHolder } from "../runtime/state-holder.ts"
import { loadState } from "../runtime/state.ts"
import { Shares, Uses } from "../runtime/shares.ts"
import type { TaskQueue } from "../runtime/task.ts"

export interface ReplayOptions {
  /** Services that handlers need. */
  readonly layer?: Layer.Layer<any, any>
}

export interface Replayed {
  /** Entries of the journal that the code met. */
  readonly entries: number
  /** `waits`: it goes on beyond the history, or rests where the history does. */
  readonly handler: "returned" | "threw" | "waits"
  /** What it threw. */
  readonly error?: unknown
}

/** A shard on which time stands still and nothing may be written. */
const still = (time: number): OwnedShard => ({
  shard: 0,
  session: "replay",
  epoch: 0,
  abortSignal: new AbortController().signal,
  trusted: () => true,
  confirmed: () => undefined,
  nextFence: () => 0n,
  nextRevision: () => "",
  commit: () => Promise.reject(new BadOption("expected a replay to write nothing")),
  write: (source) => source.refused(new BadOption("expected a replay to write nothing")),
  reload: () => undefined,
  now: () => time,
  timeAfter: (ms) => Math.ceil(time + ms),
})

const noTasks: TaskQueue = {
  add: () => Promise.resolve(),
  mayLose: false,
  cancel: () => undefined,
  serve: () => Promise.resolve(),
  pending: 0,
  nextWake: Number.POSITIVE_INFINITY,
  timeMoved: () => undefined,
  drain: () => Promise.resolve(),
}

/**
 * Replays the iteration of a history with these handlers. Throws `ReplayMismatch`, with the call, what the journal has and what the code asks
 * for, if they do not fit; then a run like it would wait, `blocked`, under this code.
 */
export const replay = async (history: History, job: JobHandlers<any>, options: ReplayOptions = {}): Promise<Replayed> => {
  refuseUnknown(options, ["layer"], "replay")
  const loaded = fromHistory(history)
  const kind = jobKind(job)
  if (kind.kind !== history.kind) throw new BadInput(`expected handlers of kind ${history.kind}, got those of ${kind.kind}`)
  const body = parseBody(loaded.body)
  const entries = parseJournal(loaded.address, loaded.journal)
  const effects = new Effects(options.layer)
  const input = kind.input.decode(body.input, `the input of ${loaded.address}`)
  const holder = new StateHolder(loadState(kind, body, input, loaded.address))
  const life = new LazyAbort()
  const shard = still(entries[0]?.b ?? 0)
  const shares = new Shares({ effects, onCloseFailed: () => undefined })
  const uses = new Uses()
  const rested = Promise.withResolvers<Error | undefined>()
  const wake = entries[0]?.w ?? body.wake ?? { by: "start" as const }
  const attempt = new Attempt({
    shard,
    kind,
    address: loaded.address,
    key: history.key,
    run: loaded.run,
    revision: loaded.revision,
    work: { kind: kind.kind, key: history.key },
    body,
    entries,
    wake,
    inbox: new Inbox(loaded.consumed, loaded.inbox, body.read),
    life,
    effects,
    tasks: noTasks,
    reach: undefined,
    interceptors: [],
    limits: defaults,
    deadlines: { run: undefined, iteration: undefined },
    onForced: () => undefined,
    applyUpdate: (message) => applyUpdate(kind, holder, { key: history.key, run: loaded.run, input }, message, defaults.payloadBytes),
    onReplayed: rested.resolve,
  })
  const tenant = firstField(history.key, kind.contract.key.length)
  const context = new JobContext({
    source: {
      key: history.key,
      kind,
      run: history.run,
      life,
      attempt: () => attempt,
      use: (shared, abortSignal) => shares.use(shared, tenant, shard, uses, abortSignal),
    },
    holder,
    input,
    iteration: body.iteration ?? 1,
    tries: (body.failures ?? 0) + 1,
    wake,
  })
  let resource: { readonly value: unknown } | undefined
  const handle = async (): Promise<Pick<Replayed, "handler" | "error">> => {
    if (kind.handlers.open !== undefined)
      resource = { value: await context.opening(() => effects.settle(kind.handlers.open?.(context), life)) }
    attempt.messages()
    try {
      await effects.settle(kind.handlers.run(context, resource?.value), attempt.abort)
      return { handler: "returned" }
    } catch (error) {
      return { handler: "threw", error }
    }
  }
  try {
    const end = await Promise.race([handle(), rested.promise.then((leftover) => ({ handler: "waits" as const, leftover }))])
    const mismatch = attempt.dead ?? ("leftover" in end ? end.leftover : await attempt.finish(true))
    if (mismatch !== undefined) throw errorOf(mismatch)
    return { entries: entries.length, handler: end.handler, ...("error" in end ? { error: end.error } : {}) }
  } finally {
    attempt.die(new BadOption("the replay is over"))
    if (resource !== undefined) await effects.settle(kind.handlers.close?.(resource.value), new LazyAbort())
    await shares.close(shard, new BadOption("the replay is over"))
    await effects.dispose()
  }
}
