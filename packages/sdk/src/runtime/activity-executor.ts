/** Runs activity tries: decodes, calls the handler, and writes the result to the shard as a message; only then the task is over (T1). */
import type { ShardBatcher } from "../engine/shard-batcher.ts"
import type { MessageItem, MessageReply } from "../engine/engine.ts"
import { ActivityTimeout, PayloadTooLarge } from "../errors.ts"
import type { Options } from "../options.ts"
import type { Work } from "../pool/work.ts"
import { runAs } from "../pool/work.ts"
import type { TriesMeasured } from "../telemetry/activity-metrics.ts"
import { missed } from "./activity-deadline.ts"
import { Heart } from "./activity-heart.ts"
import type { ErrorData, FailedTry } from "./body.ts"
import { encodeError, isDeclared } from "./body.ts"
import type { ActivityHandlers, OperationSchemas } from "./contract.ts"
import { codecOf } from "./contract.ts"
import type { Effects } from "./effects.ts"
import { errorOf } from "./host.ts"
import type { WorkInterceptor } from "./interceptors.ts"
import { intercepted } from "./interceptors.ts"
import { checkBytes } from "./size.ts"
import type { Beat, Task, TaskControl } from "./task.ts"
import { decodeValue } from "./value.ts"

export type TaskResult = (
  | { readonly ok: unknown }
  | {
      readonly error: ErrorData
      readonly retry: boolean
      readonly missed?: FailedTry["missed"]
      /** Encoded details of the last heartbeat. */
      readonly last?: unknown
    }
) & {
  readonly worker?: string
  /** From its start to its end, ms. */
  readonly ran?: number
}

export interface ExecutorOptions {
  readonly handlers: ReadonlyMap<string, ActivityHandlers<any>>
  readonly effects: Effects
  readonly messages: ShardBatcher<MessageItem, MessageReply>
  /** Tells the owner of the run how a try is. Volatile. */
  readonly beat: (task: Task, beat: Beat) => void
  readonly interceptors: ReadonlyArray<WorkInterceptor>
  /** Host and process id. */
  readonly worker: string
  readonly tries: (kind: string, name: string) => TriesMeasured | undefined
  /** A try failed here, or with another worker that died; a declared error is an answer. */
  readonly onFailed: (task: Task, error: Error) => void
  readonly limits: Pick<Options, "payloadBytes" | "inboxLimit" | "inboxReserve" | "requestRetentionMs">
}

export const executeTask = async (options: ExecutorOptions, task: Task, control: TaskControl): Promise<void> => {
  const result = await runTask(options, task, control)
  await writeResult(options, task, result)
}

/** Tells the owner that the worker of a try is gone: the try failed, and its retry policy decides. */
export const reportLost = (options: ExecutorOptions, task: Task): Promise<void> => {
  const message = `the worker that ran try ${task.try} of activity ${task.name} went away`
  options.onFailed(task, Object.assign(new Error(message), { name: "WorkerLost" }))
  return writeResult(options, task, { error: { tag: "WorkerLost", message }, retry: true })
}

const writeResult = async (options: ExecutorOptions, task: Task, result: TaskResult): Promise<void> => {
  const { limits } = options
  await options.messages.add({
    shard: task.shard,
    address: task.address,
    run: task.run,
    kind: "result",
    name: task.id,
    id: `task.${task.id}`,
    payload: JSON.stringify(result),
    inboxLimit: limits.inboxLimit + limits.inboxReserve,
    retention: limits.requestRetentionMs,
  })
}

const runTask = async (options: ExecutorOptions, task: Task, control: TaskControl): Promise<TaskResult> => {
  const { worker } = options
  const job = options.handlers.get(task.kind)
  const schemas = job?.contract.schemas.activities[task.name]
  const handler = job?.handlers[task.name]
  const what = `activity ${task.name} of ${task.kind}`
  if (schemas === undefined || handler === undefined)
    return {
      error: { tag: "HandlerMissing", message: `${what} has no handler in the worker that took it: register it, or stop that worker` },
      retry: true,
      worker,
    }
  const late = new AbortController()
  let of: FailedTry["missed"]
  const miss = (deadline: "close" | "heartbeat"): void => {
    of ??= deadline
    const { timeout, heartbeatTimeout } = task
    const limits = { timeout, heartbeatTimeout, startTimeout: 0, totalTimeout: undefined }
    late.abort(new ActivityTimeout(missed(deadline, limits, `try ${task.try} of ${what}`), { missed: deadline }))
  }
  const timer = setTimeout(() => miss("close"), task.timeout)
  const heart = new Heart({ task, worker, send: (beat) => options.beat(task, beat), onSilent: () => miss("heartbeat") })
  const abortSignal = AbortSignal.any([control.abortSignal, late.signal])
  const measured = options.tries(task.kind, task.name)
  let failed = false
  measured?.began()
  try {
    const ok = await call(options, task, schemas, handler, heart, abortSignal)
    return { ok, worker, ran: heart.elapsed }
  } catch (error) {
    // declared errors are answers, and what is too large stays so: neither is tried again
    const declared = isDeclared(error, schemas.errors)
    const final = declared || PayloadTooLarge.is(error)
    failed = !declared
    if (failed) options.onFailed(task, errorOf(error))
    return {
      error: encodeError(error, schemas.errors),
      retry: !final,
      worker,
      ran: heart.elapsed,
      ...(of === undefined ? {} : { missed: of }),
      ...(heart.details === undefined ? {} : { last: heart.details }),
    }
  } finally {
    clearTimeout(timer)
    heart.stop()
    measured?.ended(heart.elapsed, failed)
  }
}

/** Gives the encoded result. Rejects with the reason of the abort, also when the handler does not heed it. */
const call = async (
  options: ExecutorOptions,
  task: Task,
  schemas: OperationSchemas,
  handler: (call: any, input: any) => unknown,
  heart: Heart,
  abortSignal: AbortSignal,
): Promise<unknown> => {
  const what = `activity ${task.name} of ${task.kind}`
  const input = codecOf(schemas.in).decode(task.input, `the input of ${what}`)
  const context = {
    key: task.key,
    kind: task.kind,
    id: task.activity,
    attempt: task.try,
    fence: BigInt(task.fence),
    abortSignal,
    lastHeartbeat: task.last === undefined ? undefined : decodeValue(task.last),
    heartbeat: (details?: unknown) => heart.beat(details),
  }
  const aborted = new Promise<never>((_, reject) =>
    abortSignal.addEventListener("abort", () => reject(abortSignal.reason as Error), { once: true }),
  )
  aborted.catch(() => undefined)
  if (abortSignal.aborted) throw abortSignal.reason as Error
  const work: Work = { kind: task.kind, key: task.key, step: task.name }
  const value = await Promise.race([
    Promise.resolve(
      runAs(work, () =>
        intercept(options, task, abortSignal, () => options.effects.settle(handler(context, input), { signal: abortSignal })),
      ),
    ),
    aborted,
  ])
  const ok = codecOf(schemas.out).encode(value, `the result of ${what}`)
  checkBytes(JSON.stringify(ok), options.limits.payloadBytes, `the result of ${what}`)
  return ok
}

const intercept = ({ interceptors, effects }: ExecutorOptions, task: Task, abortSignal: AbortSignal, run: () => unknown): unknown => {
  if (interceptors.length === 0) return run()
  const { kind, key, run: id, name, headers = {} } = task
  const call = { type: "activity" as const, kind, key, run: id, iteration: undefined, attempt: task.try, name, headers, abortSignal }
  return intercepted(interceptors, call, run, effects)
}
