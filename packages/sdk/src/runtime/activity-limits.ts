/** What definitions say of activities, checked and with defaults: deadlines, retries, and the queues in which they wait. */
import type { ActivityOptions, DurationInput, Job, RetryPolicy } from "../define/index.ts"
import { BadOption } from "../errors.ts"
import { refuseUnknown, toMillis } from "../options.ts"
import { activityRetry } from "./retry.ts"

/** Deadlines in ms; `define` says what they mean. */
export interface ActivityLimits {
  readonly retry: RetryPolicy
  readonly timeout: number
  readonly startTimeout: number
  readonly totalTimeout: number | undefined
  readonly heartbeatTimeout: number | undefined
  readonly delay: number
  readonly priority: number
  /** Name of its queue. */
  readonly queue: string
}

export interface QueueLimits {
  /** At most `max` starts in `perMs`. */
  readonly rate: { readonly max: number; readonly perMs: number } | undefined
  /** Tries at the same time in one worker; absent: as the worker says. */
  readonly concurrency: number | undefined
}

export interface ActivityPlan {
  readonly limits: Readonly<Record<string, ActivityLimits>>
  readonly queues: ReadonlyMap<string, QueueLimits>
}

const known = [
  "retry",
  "timeout",
  "startTimeout",
  "totalTimeout",
  "heartbeatTimeout",
  "queue",
  "priority",
  "delay",
  "rateLimit",
  "concurrency",
]

const refuse = (option: string, expected: string, value: unknown): never => {
  throw new BadOption(`expected ${option} to be ${expected}, got: ${JSON.stringify(value) ?? typeof value}`, { option, value })
}

const integer = (value: number, max: number, min: number, option: string): number =>
  Number.isInteger(value) && value >= min && value <= max ? value : refuse(option, `an integer from ${min} to ${max}`, value)

/** What one call wants otherwise. */
export interface ActivityRequest {
  readonly delay?: DurationInput
  readonly priority?: number
}

export const priorityMax = 1_000_000

/** The limits of one call. Throws `BadOption`. */
export const limitsOfCall = (own: ActivityLimits, name: string, request: ActivityRequest): ActivityLimits => {
  const what = `of the call of activity ${name}`
  refuseUnknown(request, ["delay", "priority"], `the call of activity ${name}`)
  const { delay, priority } = request
  return {
    ...own,
    ...(delay === undefined ? {} : { delay: toMillis(delay, `delay ${what}`) }),
    ...(priority === undefined ? {} : { priority: integer(priority, priorityMax, 0, `priority ${what}`) }),
  }
}

/** All activities of a job, and their queues. Throws `BadOption`. */
export const activityPlan = (definition: Job): ActivityPlan => {
  const limits: Record<string, ActivityLimits> = {}
  const queues = new Map<string, QueueLimits>()
  for (const [name, { options }] of Object.entries(definition.activities)) {
    const what = `of activity ${name} of ${definition.kind}`
    refuseUnknown(options, known, `activity ${name} of ${definition.kind}`)
    const own = queueLimits(options, what)
    const queue = queueName(definition.kind, name, options)
    limits[name] = { ...deadlines(options, what), queue, priority: integer(options.priority ?? 0, priorityMax, 0, `priority ${what}`) }
    queues.set(queue, merge(queues.get(queue), own, queue))
  }
  return { limits, queues }
}

const deadlines = (options: ActivityOptions, what: string): Omit<ActivityLimits, "queue" | "priority"> => {
  const positive = (given: DurationInput | undefined, option: string): number | undefined => {
    if (given === undefined) return undefined
    const ms = toMillis(given, `${option} ${what}`)
    return ms >= 1 ? ms : refuse(`${option} ${what}`, "1 ms or longer", given)
  }
  return {
    retry: options.retry ?? activityRetry,
    timeout: positive(options.timeout, "timeout") ?? 60_000,
    startTimeout: positive(options.startTimeout, "startTimeout") ?? 300_000,
    totalTimeout: positive(options.totalTimeout, "totalTimeout"),
    heartbeatTimeout: positive(options.heartbeatTimeout, "heartbeatTimeout"),
    delay: options.delay === undefined ? 0 : toMillis(options.delay, `delay ${what}`),
  }
}

/** The job's own queue, or one within it: no other job has its name. Never a colon, which BullMQ refuses. */
const queueName = (kind: string, name: string, { queue, rateLimit, concurrency }: ActivityOptions): string => {
  if (queue !== undefined) {
    if (typeof queue !== "string" || !/^[A-Za-z0-9_-]{1,64}$/.test(queue))
      refuse(`queue of activity ${name} of ${kind}`, "1 to 64 letters, digits, _ or -", queue)
    return `${kind}.${queue}`
  }
  return rateLimit === undefined && concurrency === undefined ? kind : `${kind}.${encodeURIComponent(name)}`
}

const queueLimits = ({ rateLimit, concurrency }: ActivityOptions, what: string): QueueLimits => {
  if (rateLimit !== undefined) refuseUnknown(rateLimit, ["max", "per"], `rateLimit ${what}`)
  const rate =
    rateLimit === undefined
      ? undefined
      : {
          max: integer(rateLimit.max, 1_000_000, 1, `rateLimit.max ${what}`),
          perMs: Math.max(1, toMillis(rateLimit.per, `rateLimit.per ${what}`)),
        }
  return { rate, concurrency: concurrency === undefined ? undefined : integer(concurrency, 10_000, 1, `concurrency ${what}`) }
}

/** A queue has one limit of each sort: whoever names it may leave it to another activity of the group. */
const merge = (before: QueueLimits | undefined, own: QueueLimits, queue: string): QueueLimits => {
  if (before === undefined) return own
  const { rate = own.rate, concurrency = own.concurrency } = before
  const differs =
    (own.rate !== undefined && (own.rate.max !== rate?.max || own.rate.perMs !== rate.perMs)) ||
    (own.concurrency !== undefined && own.concurrency !== concurrency)
  if (differs)
    throw new BadOption(
      `expected the activities of queue ${queue} to have one rateLimit and one concurrency, got different ones. They belong to the queue: give them once, or name another queue.`,
      { queue },
    )
  return { rate, concurrency }
}
