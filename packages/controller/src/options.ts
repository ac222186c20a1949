/** Options of `createController`, checked in one place. */
import { BadOption } from "@ponos/sdk"
import type { DurationInput } from "@ponos/sdk/define"
import { internals, type JobClientInternals, refuseUnknown, toMillis } from "@ponos/sdk/internal"
import type { StopMode } from "./apply.ts"
import type { DesiredJobClient } from "./desired.ts"
import type { ControllerEvent } from "./event.ts"
import type { GuardOptions } from "./guard.ts"
import type { Plan } from "./pass.ts"
import { type Desired, type Source, toSource } from "./sources/source.ts"

/** A job of a generated client, as in `ponos.tenantFeed`. */
export interface ControlledJob {
  start(input: any, ...rest: ReadonlyArray<any>): Promise<unknown>
}
/** Input type of a job of a generated client. */
export type InputOf<J extends ControlledJob> = Parameters<J["start"]>[0]

export interface ControllerOptions<J extends ControlledJob> {
  /** The job to keep running once per tenant: a member of a generated client. */
  readonly job: J
  /** Where tenants come from; read from its beginning at each pass. */
  readonly desired: Desired<InputOf<J>>
  /**
   * Stable name, lower case, digits and dashes; default: the job's kind. Runs carry it: a controller touches only runs of its name, so
   * another name is another controller, which regards the runs of the old one as foreign.
   */
  readonly name?: string
  /** Time between passes; default 10 seconds. */
  readonly every?: DurationInput
  readonly guard?: {
    /** Highest share of the running jobs that one plan may stop without approval, 0 to 1; default 0.2. */
    readonly maxStopRatio?: number
    /** Highest number of jobs that one plan may stop without approval; default: only the ratio counts. */
    readonly maxStopCount?: number
  }
  /** Store calls in flight (each of up to 200 actions), and shards listed at a time; default 4. */
  readonly parallelism?: number
  /** How a job that is no longer desired ends: asked, so that it may clean up (default), or at once. */
  readonly stop?: StopMode
  /** Sees the plan of each pass before it is applied; for logs. What it throws is reported as an event. */
  readonly onPlan?: (plan: Plan) => void
  /** Sees bad rows, held-back stops, failed actions; default: one line each on stderr for new ones. */
  readonly onEvent?: (event: ControllerEvent) => void
}

const names = ["job", "desired", "name", "every", "guard", "parallelism", "stop", "onPlan", "onEvent"] as const
const minEveryMs = 100

export interface ReadOptions {
  readonly job: DesiredJobClient
  readonly source: Source<unknown>
  readonly name: string
  readonly everyMs: number
  readonly guard: GuardOptions
  readonly parallelism: number
  readonly stop: StopMode
  readonly onPlan: (plan: Plan) => void
  readonly onEvent: ((event: ControllerEvent) => void) | undefined
}

const show = (value: unknown): string => JSON.stringify(value) ?? typeof value

const readNumber = (name: string, value: unknown, check: (value: number) => boolean, expected: string): number => {
  if (typeof value === "number" && check(value)) return value
  throw new BadOption(`expected ${name} to be ${expected}, got: ${show(value)}`, { option: name, value })
}

const readJob = (job: unknown): DesiredJobClient => {
  const client = job as { readonly [internals]?: JobClientInternals; get(key: unknown): { readonly key: string } }
  const inner = typeof job === "object" && job !== null ? client[internals] : undefined
  if (inner !== undefined) return { internals: inner, keyOf: (fields) => client.get(fields).key }
  throw new BadOption("expected job to be a member of a generated client, as in `createClient({ pool }).tenantFeed`, got something else", {
    option: "job",
  })
}

const readFunction = <F>(name: string, value: unknown): F | undefined => {
  if (value === undefined || typeof value === "function") return value as F | undefined
  throw new BadOption(`expected ${name} to be a function, got: ${show(value)}`, { option: name, value })
}

const readGuard = (given: NonNullable<ControllerOptions<ControlledJob>["guard"]>): GuardOptions => {
  if (typeof given !== "object")
    throw new BadOption(`expected guard to be an object such as { maxStopRatio: 0.2 }, got: ${show(given)}`, { option: "guard" })
  refuseUnknown(given, ["maxStopRatio", "maxStopCount"], "guard")
  const { maxStopRatio = 0.2, maxStopCount } = given
  return {
    maxStopRatio: readNumber("guard.maxStopRatio", maxStopRatio, (n) => n >= 0 && n <= 1, "a number from 0 to 1"),
    maxStopCount:
      maxStopCount === undefined
        ? undefined
        : readNumber("guard.maxStopCount", maxStopCount, (n) => Number.isInteger(n) && n >= 0, "an integer from 0 on"),
  }
}

export const readOptions = (given: ControllerOptions<ControlledJob>): ReadOptions => {
  if (typeof given !== "object" || given === null)
    throw new BadOption(`expected createController to get an object with job and desired, got: ${show(given)}`, {})
  refuseUnknown(given, names, "createController")
  const job = readJob(given.job)
  const name = given.name ?? job.internals.contract.kind
  if (typeof name !== "string" || !/^[a-z0-9][a-z0-9-]{0,49}$/.test(name))
    throw new BadOption(`expected name to have 1 to 50 lower-case letters, digits or "-", got: ${show(name)}`, {
      option: "name",
      value: name,
    })
  const everyMs = toMillis(given.every ?? "10 seconds", "every")
  if (everyMs < minEveryMs)
    throw new BadOption(`expected every to be at least ${minEveryMs} ms, got: ${everyMs}`, { option: "every", value: everyMs })
  const stop = given.stop ?? "cancel"
  if (stop !== "cancel" && stop !== "terminate")
    throw new BadOption(`expected stop to be "cancel" or "terminate", got: ${show(stop)}`, { option: "stop", value: stop })
  return {
    job,
    source: toSource(given.desired),
    name,
    everyMs,
    guard: readGuard(given.guard ?? {}),
    parallelism: readNumber(
      "parallelism",
      given.parallelism ?? 4,
      (n) => Number.isInteger(n) && n >= 1 && n <= 64,
      "an integer from 1 to 64",
    ),
    stop,
    onPlan: readFunction<(plan: Plan) => void>("onPlan", given.onPlan) ?? (() => {}),
    onEvent: readFunction<(event: ControllerEvent) => void>("onEvent", given.onEvent),
  }
}
