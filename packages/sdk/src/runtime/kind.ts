/** A kind as a worker serves it: contract, definition and handlers, with its codecs at hand. */
import type { Job, RetryPolicy } from "../define/index.ts"
import type { AnyHandlers, Codec, JobContract, JobHandlers } from "./contract.ts"
import { codecOf } from "./contract.ts"
import type { ActivityPlan } from "./activity-limits.ts"
import { activityPlan } from "./activity-limits.ts"
import { jobRetry } from "./retry.ts"
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
  /** All jobs of its definition file, by name. */
  readonly jobs: Readonly<Record<string, JobContract>>
  readonly retry: RetryPolicy
  readonly timeouts: KindTimeouts
  readonly stateVersion: number
  readonly activities: ActivityPlan
  readonly input: Codec
  readonly state: Codec | undefined
  readonly result: Codec
}

export const jobKind = (job: JobHandlers<any>): JobKind => {
  const { contract, definition, handlers, kind, jobs } = job
  return {
    kind,
    contract,
    definition,
    handlers,
    jobs,
    retry: definition.retry ?? jobRetry,
    timeouts: timeoutsOf(definition),
    stateVersion: contract.stateVersion ?? 1,
    activities: activityPlan(definition),
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
