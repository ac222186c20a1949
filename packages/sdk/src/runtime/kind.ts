/** A kind as a worker serves it: contract, definition and handlers, with its codecs at hand. */
import type { Job, RetryPolicy } from "../define/index.ts"
import type { AnyHandlers, Codec, JobContract, JobHandlers } from "./contract.ts"
import { codecOf } from "./contract.ts"
import { activityRetry, jobRetry } from "./retry.ts"
import { refuseUnknown, toMillis } from "../options.ts"

/** Limits in time of a run, ms; `define` says what they mean. */
export interface KindTimeouts {
  readonly run: number | undefined
  readonly iteration: number | undefined
  readonly cleanup: number
}

export interface JobKind {
  readonly kind: string
  readonly contract: JobContract
  readonly definition: Job
  readonly handlers: AnyHandlers
  readonly retry: RetryPolicy
  readonly timeouts: KindTimeouts
  readonly input: Codec
  readonly state: Codec | undefined
  readonly result: Codec
}

export const jobKind = (job: JobHandlers<any>): JobKind => {
  const { contract, definition, handlers, kind } = job
  return {
    kind,
    contract,
    definition,
    handlers,
    retry: definition.retry ?? jobRetry,
    timeouts: timeoutsOf(definition),
    input: codecOf(contract.schemas.input),
    state: contract.schemas.state === null ? undefined : codecOf(contract.schemas.state),
    result: codecOf(contract.schemas.result),
  }
}

const timeoutsOf = ({ kind, timeout = {} }: Job): KindTimeouts => {
  refuseUnknown(timeout, ["run", "iteration", "cleanup"], `timeout of ${kind}`)
  const { run, iteration, cleanup = 60_000 } = timeout
  return {
    run: run === undefined ? undefined : toMillis(run, `timeout.run of ${kind}`),
    iteration: iteration === undefined ? undefined : toMillis(iteration, `timeout.iteration of ${kind}`),
    cleanup: toMillis(cleanup, `timeout.cleanup of ${kind}`),
  }
}

export interface ActivityLimits {
  readonly retry: RetryPolicy
  /** Start to close, ms. */
  readonly timeout: number
  /** Schedule to start, ms. */
  readonly startTimeout: number
}

/** Deadlines and retry of one activity, with the defaults of `define`. */
export const activityLimits = (definition: Job, name: string): ActivityLimits => {
  const options = definition.activities[name]?.options ?? {}
  return {
    retry: options.retry ?? activityRetry,
    timeout: options.timeout === undefined ? 60_000 : toMillis(options.timeout, `timeout of activity ${name}`),
    startTimeout: options.startTimeout === undefined ? 300_000 : toMillis(options.startTimeout, `startTimeout of activity ${name}`),
  }
}
