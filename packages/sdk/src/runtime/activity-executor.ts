/** Runs activity tries: decodes, calls the handler, and writes the result to the shard as a message; only then the task is over (T1). */
import type { Batcher } from "../engine/batcher.ts"
import type { MessageItem, MessageReply } from "../engine/engine.ts"
import { ActivityTimeout, PayloadTooLarge } from "../errors.ts"
import type { Options } from "../options.ts"
import type { Work } from "../pool/work.ts"
import { runAs } from "../pool/work.ts"
import type { ErrorData } from "./body.ts"
import { encodeError, isDeclared } from "./body.ts"
import type { ActivityHandlers } from "./contract.ts"
import { codecOf } from "./contract.ts"
import type { Effects } from "./effects.ts"
import { checkBytes } from "./size.ts"
import type { Task, TaskControl } from "./task.ts"

export type TaskResult = { readonly ok: unknown } | { readonly error: ErrorData; readonly retry: boolean }

export interface ExecutorOptions {
  readonly handlers: ReadonlyMap<string, ActivityHandlers<any>>
  readonly effects: Effects
  readonly messages: Batcher<MessageItem, MessageReply>
  readonly limits: Pick<Options, "payloadBytes" | "inboxLimit" | "inboxReserve" | "requestRetentionMs">
}

export const executeTask = async (options: ExecutorOptions, task: Task, control: TaskControl): Promise<void> => {
  const result = await runTask(options, task, control)
  await writeResult(options, task, result)
}

/** Tells the owner that the worker of a try is gone: the try failed, and its retry policy decides. */
export const reportLost = (options: ExecutorOptions, task: Task): Promise<void> =>
  writeResult(options, task, {
    error: { tag: "WorkerLost", message: `the worker that ran try ${task.try} of activity ${task.name} went away` },
    retry: true,
  })

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
  const job = options.handlers.get(task.kind)
  const schemas = job?.contract.schemas.activities[task.name]
  const handler = job?.handlers[task.name]
  const what = `activity ${task.name} of ${task.kind}`
  if (schemas === undefined || handler === undefined)
    return {
      error: { tag: "HandlerMissing", message: `${what} has no handler in the worker that took it: register it, or stop that worker` },
      retry: true,
    }
  const late = new ActivityTimeout(
    `try ${task.try} of ${what} did not end within ${task.timeout} ms. It was aborted: raise its timeout, or heed call.abortSignal.`,
  )
  const timeout = new AbortController()
  const timer = setTimeout(() => timeout.abort(late), task.timeout)
  const abortSignal = AbortSignal.any([control.abortSignal, timeout.signal])
  try {
    const input = codecOf(schemas.in).decode(task.input, `the input of ${what}`)
    const call = {
      key: task.key,
      kind: task.kind,
      id: task.activity,
      attempt: task.try,
      fence: BigInt(task.fence),
      abortSignal,
      heartbeat: (details?: unknown) => control.heartbeat(details),
    }
    const work: Work = { kind: task.kind, key: task.key, step: task.name }
    const aborted = new Promise<never>((_, reject) =>
      abortSignal.addEventListener("abort", () => reject(abortSignal.reason as Error), { once: true }),
    )
    aborted.catch(() => undefined)
    const value = await Promise.race([
      Promise.resolve(runAs(work, () => options.effects.settle(handler(call, input), { signal: abortSignal }))),
      aborted,
    ])
    const ok = codecOf(schemas.out).encode(value, `the result of ${what}`)
    checkBytes(JSON.stringify(ok), options.limits.payloadBytes, `the result of ${what}`)
    return { ok }
  } catch (error) {
    // declared errors are answers, and what is too large or ill-typed stays so: neither is tried again
    const final = isDeclared(error, schemas.errors) || PayloadTooLarge.is(error)
    return { error: encodeError(error, schemas.errors), retry: !final }
  } finally {
    clearTimeout(timer)
  }
}
