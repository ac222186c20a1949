/**
 * The controller's own job (K1): a run of a pool of its own with one shard, so that exactly one process runs it, the others stand by, and its
 * fence grows with every attempt. Its definition and contract are written by hand, in the form that ponos-gen prints.
 */
import { Schema } from "effect"
import { defineJob, retry, type, update } from "@ponos/sdk/define"
import { type JobContract, type JobHandlers, makeStub } from "@ponos/sdk/gen"
import { type ControllerState, ControllerStateSchema, firstState } from "./report.ts"

export interface ControllerInput {
  /** Name of the controller: the key. */
  readonly name: string
}
export interface Pass {
  /** Passes completed when the update was applied. */
  readonly passes: number
}

export const controllerJob = defineJob({
  kind: "ponos-controller",
  input: type<ControllerInput>(),
  key: "name",
  state: type<ControllerState>(),
  updates: {
    pause: update<{ reason: string }, Pass>(),
    resume: update<void, Pass>(),
    approve: update<{ hash: string }, Pass>(),
    reconcile: update<{ full: boolean }, Pass>(),
  },
  retry: retry.exponential({ first: "500 millis", max: "30 seconds", jitter: true }),
})

const PassSchema = Schema.Struct({ passes: Schema.Finite })
const operation = (input: Schema.Codec<any, any, never, never> | null) => ({ in: input, out: PassSchema, errors: {} })

export const controllerContract: JobContract = {
  name: "controller",
  kind: "ponos-controller",
  key: ["name"],
  version: "controller-1",
  schemas: {
    input: Schema.Struct({ name: Schema.String }),
    state: ControllerStateSchema,
    result: null,
    errors: {},
    signals: {},
    queries: {},
    updates: {
      pause: operation(Schema.Struct({ reason: Schema.String })),
      resume: operation(null),
      approve: operation(Schema.Struct({ hash: Schema.String })),
      reconcile: operation(Schema.Struct({ full: Schema.Boolean })),
    },
    activities: {},
  },
  failures: {},
}

/**
 * The pool in which a controller runs. One for each controller, because all workers of a pool must serve the same kinds (A2), and two
 * controllers may live in different processes.
 */
export const controlPool = (pool: string, name: string): string => `${pool}.control.${name}`

/** What the handlers use of the runtime's context. */
interface RunContext {
  state: ControllerState
  readonly fence: bigint
  readonly abortSignal: AbortSignal
  again(options: { readonly after?: number; readonly on: ReadonlyArray<string> }): unknown
}
interface UpdateContext {
  state: ControllerState
  readonly now: Date
}

export interface PassRunner {
  /** Runs a pass; gives the state after it. */
  run(state: ControllerState, fence: bigint, abortSignal: AbortSignal): Promise<ControllerState>
  /** Delay before the next pass, ms. */
  next(state: ControllerState): number
}

const change = (job: UpdateContext, fields: Partial<ControllerState>): Pass => {
  job.state = { ...job.state, ...fields }
  return { passes: job.state.passes }
}

export const controllerHandlers = (runner: PassRunner): JobHandlers =>
  makeStub(controllerJob, controllerContract).implement({
    init: firstState,
    run: async (job: RunContext) => {
      // a pause has no timer: it costs nothing until somebody resumes
      if (job.state.paused !== null) return job.again({ on: ["resume"] })
      const before = job.state
      const after = await runner.run(before, job.fence, job.abortSignal)
      // what an operator said during the pass is for the next one
      const { paused, approval, fullNext } = job.state
      job.state = {
        ...after,
        paused,
        ...(approval === before.approval ? {} : { approval }),
        ...(fullNext === before.fullNext ? {} : { fullNext }),
      }
      return job.again({ after: runner.next(job.state), on: ["pause", "approve", "reconcile"] })
    },
    updates: {
      pause: (job: UpdateContext, { reason }: { readonly reason: string }) => change(job, { paused: { reason, at: job.now.getTime() } }),
      resume: (job: UpdateContext) => change(job, { paused: null }),
      approve: (job: UpdateContext, { hash }: { readonly hash: string }) => change(job, { approval: hash }),
      reconcile: (job: UpdateContext, { full }: { readonly full: boolean }) => change(job, full ? { fullNext: true } : {}),
    },
  }) as JobHandlers
