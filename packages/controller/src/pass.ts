/**
 * One pass: read what is desired, compare digests, list what differs, plan, ask the guard, apply. A thin loop around pure parts; all that it
 * remembers is in the state it is given and returns (K3).
 */
import { setImmediate as turn } from "node:timers/promises"
import type { ShardDigest } from "@ponos/sdk/internal"
import { apply, type ApplyOptions, type ApplyResult, type PreparedInput, Superseded } from "./apply.ts"
import { Backoff } from "./backoff.ts"
import { eachBounded } from "./bounded.ts"
import { type DesiredJobClient, type DesiredSet, readDesired, type RowProblem } from "./desired.ts"
import type { ControllerEvent } from "./event.ts"
import { approvalAfter, guard, type GuardInput, type GuardOptions, type GuardVerdict } from "./guard.ts"
import { agrees, observeShard, readDigests, type Target } from "./observed.ts"
import {
  type Action,
  type CreateAction,
  type JoinedPlan,
  joinPlans,
  type PlanCounts,
  planShard,
  type ShardPlan,
  type UpdateAction,
} from "./plan.ts"
import type { ControllerState, PassReport } from "./report.ts"
import type { Source } from "./sources/source.ts"
import { specOf, sumsOf } from "./spec.ts"

/** A plan as data: it can be shown, approved and limited. */
export interface Plan {
  readonly controller: string
  readonly pool: string
  readonly kind: string
  /** What `approve` takes: hash of the runs that would stop. */
  readonly hash: string
  readonly counts: PlanCounts
  /** Sorted by shard and address; runs that stay as they are only counted. */
  readonly actions: ReadonlyArray<Action>
  /** Would its stops be applied? */
  readonly guard: GuardVerdict
  /** Live runs of this controller, those on their way out not counted. */
  readonly observed: number
  readonly desired: {
    readonly valid: number
    readonly invalid: number
    readonly unreadable: number
    readonly duplicates: number
    readonly complete: boolean
    readonly error: string | undefined
    readonly problems: ReadonlyArray<RowProblem>
  }
}

export interface PassContext extends Target {
  readonly shards: number
  readonly job: DesiredJobClient
  readonly source: Source<unknown>
  readonly guard: GuardOptions
  readonly parallelism: number
  readonly abortSignal?: AbortSignal
}

export interface PlanRequest {
  /** Raises the fence at every shard first (K2); undefined: only reads. */
  readonly fence: string | undefined
  /** Lists all shards, whatever the digests say. */
  readonly full: boolean
  readonly stopping: ReadonlySet<string>
  readonly approval: string | undefined
  /** Runs observed when stops were first held back, while they are (G-7). */
  readonly heldAt?: number | undefined
}

export interface Planned {
  readonly plan: Plan
  readonly desired: DesiredSet
  readonly guardInput: GuardInput
  readonly stopping: ReadonlyArray<string>
  readonly listed: number
  /** Shards that are not in the plan, because their server did not answer. */
  readonly unreachable: number
  /** A shard has seen a higher fence. */
  readonly superseded: boolean
}

/** Reported keys and problems in a state that is written at each pass. */
const maxShown = 20
/** Run ids kept of runs on their way out; beyond it they are asked again, which is answered as a repetition. */
const maxStopping = 10_000
/** K4: digests are proved once a day. */
const fullEveryMs = 86_400_000

const planDiffering = async (
  context: PassContext,
  request: PlanRequest,
  desired: DesiredSet,
  digests: ReadonlyArray<ShardDigest>,
): Promise<{ readonly joined: JoinedPlan; readonly observed: number; readonly listed: number }> => {
  const differing = digests.filter((digest) => request.full || !agrees(digest, desired.shards.get(digest.shard)))
  const plans = new Map<number, ShardPlan>()
  let observed = 0
  await eachBounded(differing, context.parallelism, async ({ shard }) => {
    context.abortSignal?.throwIfAborted()
    const wanted = desired.shards.get(shard)
    const seen = await observeShard(context, shard, wanted)
    const plan = planShard({
      shard,
      controller: context.controller,
      desired: wanted?.jobs ?? new Map(),
      invalid: wanted?.invalid ?? new Set(),
      observed: seen.observed,
      ended: seen.ended,
      stopping: request.stopping,
    })
    plans.set(shard, plan)
    observed += plan.unchanged + plan.actions.filter(({ type }) => type === "update" || type === "stop").length
    // the memory engine answers without leaving the event loop
    await turn()
  })
  let agreed = 0
  for (const { shard, count } of digests) if (!plans.has(shard)) agreed += count
  return { joined: joinPlans([...plans.values()], agreed), observed: observed + agreed, listed: differing.length }
}

/** Computes the plan; changes nothing but the fence, if one is given. */
export const makePlan = async (context: PassContext, request: PlanRequest): Promise<Planned> => {
  const shards = Array.from({ length: context.shards }, (_, shard) => shard)
  // the fence goes first: from here on an older controller writes nothing, so that what is read below stays true until it is acted on (K2)
  const digests = await readDigests(context, shards, request.fence)
  const unreachable = shards.length - digests.length
  const superseded = request.fence !== undefined && digests.some(({ fence }) => fence > (request.fence ?? ""))
  const desired = await readDesired(context.source, context.job, context.shards, context.abortSignal)
  const { joined, observed, listed } = await planDiffering(context, request, desired, digests)
  const { shards: _, ...described } = desired
  const guardInput: GuardInput = {
    stops: joined.counts.stop,
    observed: Math.min(observed, request.heldAt ?? observed),
    desired: desired.valid + desired.invalid,
    unreadable: desired.unreadable,
    complete: desired.complete,
    unreachable,
    hash: joined.hash,
    approval: request.approval,
  }
  const plan: Plan = {
    controller: context.controller,
    pool: context.pool,
    kind: context.kind,
    hash: joined.hash,
    counts: joined.counts,
    actions: joined.actions,
    guard: guard(guardInput, context.guard),
    observed,
    desired: described,
  }
  return { plan, desired, guardInput, stopping: joined.stopping, listed, unreachable, superseded }
}

/** Runs observed when stops were first held back; undefined when none are. */
export const heldAt = (state: ControllerState | undefined): number | undefined =>
  state?.last?.guard.reasons.some((reason) => reason !== "unreachable") === true && !state.last.guard.allowed
    ? state.baseline?.observed
    : undefined

export interface PassOptions {
  readonly fence: string
  /** Store time, and life of the store, at the beginning. */
  readonly now: number
  readonly incarnation: string
  /** Life of the store that this process has seen before, for when the state is gone with the store. */
  readonly known: string | undefined
  readonly apply: ApplyOptions
  readonly abortSignal: AbortSignal
  readonly onPlan: (plan: Plan) => void
  readonly onEvent: (event: ControllerEvent) => void
}

const tell = ({ plan, unreachable }: Planned, onEvent: (event: ControllerEvent) => void): void => {
  if (unreachable > 0)
    onEvent({
      type: "store",
      message: `${unreachable} shards of pool ${plan.pool} are on a server that does not answer: their jobs are left as they are until it does`,
    })
  if (plan.desired.error !== undefined) onEvent({ type: "source", message: `${plan.desired.error}. Nothing is stopped by this pass.` })
  for (const problem of plan.desired.problems) onEvent({ type: "row", problem, message: problem.message })
  if (!plan.guard.allowed)
    onEvent({ type: "guard", hash: plan.hash, stops: plan.counts.stop, reasons: plan.guard.reasons, message: plan.guard.message })
  for (const action of plan.actions) {
    if (action.type !== "foreign") continue
    const owner = action.owner === "" ? "a client" : `controller ${action.owner}`
    const message = `expected no run of ${action.address}, found ${action.run}, started by ${owner}. It is left alone: end it to have it controlled.`
    onEvent({ type: "foreign", address: action.address, owner: action.owner, message })
  }
}

class Tally {
  readonly counts = { create: 0, update: 0, stop: 0, changed: 0, failed: 0, delayed: 0 }
  readonly stopped: Array<string> = []
  readonly #backoff: Backoff
  readonly #onEvent: (event: ControllerEvent) => void

  constructor(backoff: Backoff, onEvent: (event: ControllerEvent) => void) {
    this.#backoff = backoff
    this.#onEvent = onEvent
  }

  /** What may be tried now: tenants in back-off wait, and hold up nobody else. */
  due(actions: ReadonlyArray<Action>, stopsAllowed: boolean): ReadonlyArray<Action> {
    return actions.filter((action) => {
      if (action.type === "foreign" || (action.type === "stop" && !stopsAllowed)) return false
      if (!this.#backoff.waits(action.address, action.type)) return true
      this.counts.delayed++
      return false
    })
  }

  add = ({ action, applied }: ApplyResult): void => {
    if (applied.status === "changed") this.counts.changed++
    else if (action.type === "foreign") return
    else if (applied.status === "failed") {
      this.counts.failed++
      this.#backoff.failed(action.address, action.type, applied.error)
      this.#onEvent({
        type: "action",
        action,
        message: `${action.type} ${action.address} failed and is tried again later: ${applied.error}`,
      })
    } else {
      this.counts[action.type]++
      if (action.type === "stop") this.stopped.push(action.run)
      // a job that ended by itself is started again, but not in a hot loop: each time it waits longer
      if (action.type === "create" && action.after !== undefined)
        this.#backoff.failed(action.address, "create", `run ${action.after} ended by itself`)
      else this.#backoff.succeeded(action.address, action.type)
    }
  }
}

const report = (planned: Planned, tally: Tally, backoff: Backoff, pass: PassOptions, started: number, superseded: boolean): PassReport => {
  const { plan } = planned
  const { error, problems, ...desired } = plan.desired
  return {
    at: pass.now,
    durationMs: Math.round(performance.now() - started),
    hash: plan.hash,
    counts: plan.counts,
    observed: plan.observed,
    desired: {
      ...desired,
      ...(error === undefined ? {} : { error }),
      problems: problems.slice(0, maxShown).map(({ key, ...problem }) => ({ ...problem, ...(key === undefined ? {} : { key }) })),
    },
    guard: plan.guard,
    applied: tally.counts,
    listedShards: planned.listed,
    ...(planned.unreachable === 0 ? {} : { unreachableShards: planned.unreachable }),
    superseded,
    foreign: plan.actions.flatMap((action) => (action.type === "foreign" ? [action.key] : [])).slice(0, maxShown),
    failures: backoff.table().slice(-maxShown),
  }
}

/** Encodes the row of an action again. Rows of an iterable are the caller's objects, who may have changed them since. */
const preparer =
  (context: PassContext, desired: DesiredSet) =>
  ({ shard, address }: CreateAction | UpdateAction): PreparedInput => {
    const prepared = context.job.internals.prepare(desired.shards.get(shard)?.jobs.get(address)?.value, context.shards)
    if (prepared.address !== address)
      throw new Error(`expected the row of ${address} to keep its key during a pass, got ${prepared.address}`)
    const spec = specOf(prepared.input)
    return { spec, sums: sumsOf(address, spec), input: prepared.input, body: prepared.body }
  }

/** Runs a pass and gives the state after it. Throws when the store is away or the attempt was aborted: the state before it still holds. */
export const runPass = async (context: PassContext, state: ControllerState, pass: PassOptions): Promise<ControllerState> => {
  const started = performance.now()
  const { onEvent } = pass
  const known = state.baseline?.incarnation ?? pass.known
  if (known !== undefined && known !== pass.incarnation)
    onEvent({
      type: "store",
      message: `the store of pool ${context.pool} was emptied or replaced: jobs are started anew from the desired set`,
    })
  const full = state.fullNext || pass.now - state.fullAt >= fullEveryMs
  const approval = state.approval ?? undefined
  const planned = await makePlan(context, { fence: pass.fence, full, stopping: new Set(state.stopping), approval, heldAt: heldAt(state) })
  const backoff = new Backoff(state.failures, pass.now)
  const tally = new Tally(backoff, onEvent)
  let { superseded } = planned
  if (!superseded) {
    tell(planned, onEvent)
    try {
      pass.onPlan(planned.plan)
    } catch (error) {
      onEvent({ type: "controller", message: `onPlan threw: ${String(error)}` })
    }
    const due = tally.due(planned.plan.actions, planned.plan.guard.allowed)
    const prepare = preparer(context, planned.desired)
    try {
      await apply({ ...context, fence: pass.fence, options: pass.apply, prepare, abortSignal: pass.abortSignal }, due, tally.add)
    } catch (error) {
      if (!(error instanceof Superseded)) throw error
      superseded = true
    }
  }
  if (superseded)
    onEvent({ type: "superseded", message: "a newer attempt of this controller writes to the pool: this pass ended without a change" })
  return {
    ...state,
    approval: superseded ? state.approval : (approvalAfter(planned.guardInput) ?? null),
    passes: state.passes + 1,
    fullAt: full && planned.unreachable === 0 ? pass.now : state.fullAt,
    fullNext: state.fullNext && planned.unreachable > 0,
    baseline: { incarnation: pass.incarnation, observed: planned.guardInput.observed },
    stopping: [...planned.stopping, ...tally.stopped].slice(-maxStopping),
    failures: backoff.table(),
    last: report(planned, tally, backoff, pass, started, superseded),
  }
}
