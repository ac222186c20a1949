/**
 * What to do, as data. Pure: (desired, observed) → actions, no clock and no store. A plan is made shard by shard, so that a pass over a
 * million tenants never holds the event loop for long, and joined.
 *
 * - P-1 At most one action per address.
 * - P-2 A run that another has started (a client, another controller) is never updated or stopped: it is `foreign`.
 * - P-3 Only a run whose address is neither desired nor protected is stopped. Protected: named by a row that could not be read whole.
 * - P-4 A run is created only where no live run was observed.
 * - P-5 Updates and stops carry the observed run and spec: the store refuses them when these changed (K2).
 * - P-6 The same sets in any order give the same plan and the same hash: actions are sorted by (shard, address).
 * - P-7 A plan that was applied whole is followed by one without actions, `foreign` apart.
 * - P-8 A run that was already asked to stop is counted as `stopping`, not stopped again: it may take its time.
 */
import { hash } from "node:crypto"

export interface DesiredJob {
  readonly address: string
  readonly spec: string
}

export interface ObservedRun {
  readonly address: string
  readonly run: string
  readonly spec: string
  /** Name of the controller that started it; "" when a client did. */
  readonly owner: string
}

interface Subject {
  readonly address: string
  readonly key: string
  readonly shard: number
}
export interface CreateAction extends Subject {
  readonly type: "create"
  readonly spec: string
  /** The run of the key that ended by itself, while it is retained. */
  readonly after?: string
}
export interface UpdateAction extends Subject {
  readonly type: "update"
  readonly run: string
  /** Spec as observed. */
  readonly from: string
  readonly spec: string
}
export interface StopAction extends Subject {
  readonly type: "stop"
  readonly run: string
  readonly from: string
}
/** Desired, but its live run was started by `owner` ("": a client): not touched. */
export interface ForeignAction extends Subject {
  readonly type: "foreign"
  readonly run: string
  readonly owner: string
}
export type Action = CreateAction | UpdateAction | StopAction | ForeignAction

export interface ShardInput {
  readonly shard: number
  readonly controller: string
  readonly desired: ReadonlyMap<string, DesiredJob>
  /** Addresses of rows that do not match the input type. */
  readonly invalid: ReadonlySet<string>
  /** Live runs: the controller's own, and others at desired addresses. */
  readonly observed: ReadonlyArray<ObservedRun>
  /** Ended runs that the controller started, by address. */
  readonly ended: ReadonlyMap<string, string>
  /** Runs that were asked to stop in an earlier pass. */
  readonly stopping: ReadonlySet<string>
}

export interface ShardPlan {
  readonly actions: ReadonlyArray<Action>
  readonly unchanged: number
  /** Runs on their way out, by id (P-8). */
  readonly stopping: ReadonlyArray<string>
}

export interface PlanCounts {
  readonly create: number
  readonly update: number
  readonly stop: number
  readonly unchanged: number
  readonly foreign: number
  readonly stopping: number
}

const subject = (address: string, shard: number): Subject => ({ address, key: address.slice(address.indexOf("/") + 1), shard })

const byAddress = (a: { readonly address: string }, b: { readonly address: string }): number =>
  a.address < b.address ? -1 : a.address > b.address ? 1 : 0

/** Plan of one shard. */
export const planShard = (input: ShardInput): ShardPlan => {
  const { shard, controller, desired, invalid } = input
  const actions: Array<Action> = []
  const stopping: Array<string> = []
  const live = new Set<string>()
  let unchanged = 0
  for (const { address, run, spec, owner } of input.observed) {
    // a page of a listing may bring a run twice
    if (live.has(address)) continue
    live.add(address)
    const wanted = desired.get(address)
    if (owner !== controller) {
      if (wanted !== undefined || invalid.has(address)) actions.push({ type: "foreign", ...subject(address, shard), run, owner })
    } else if (wanted !== undefined) {
      if (wanted.spec === spec) unchanged++
      else actions.push({ type: "update", ...subject(address, shard), run, from: spec, spec: wanted.spec })
    } else if (invalid.has(address)) unchanged++
    else if (input.stopping.has(run)) stopping.push(run)
    else actions.push({ type: "stop", ...subject(address, shard), run, from: spec })
  }
  for (const { address, spec } of desired.values()) {
    if (live.has(address)) continue
    const after = input.ended.get(address)
    actions.push({ type: "create", ...subject(address, shard), spec, ...(after === undefined ? {} : { after }) })
  }
  return { actions: actions.sort(byAddress), unchanged, stopping: stopping.sort() }
}

export interface JoinedPlan {
  readonly counts: PlanCounts
  readonly actions: ReadonlyArray<Action>
  readonly stopping: ReadonlyArray<string>
  readonly hash: string
}

/** Joins the plans of shards; `unchanged` counts the runs of shards that were not listed, because their digests agree. */
export const joinPlans = (plans: ReadonlyArray<ShardPlan>, unchanged: number): JoinedPlan => {
  const actions = plans.flatMap((plan) => plan.actions).sort((a, b) => a.shard - b.shard || byAddress(a, b))
  const stopping = plans.flatMap((plan) => plan.stopping)
  const counts = { create: 0, update: 0, stop: 0, unchanged, foreign: 0, stopping: stopping.length }
  for (const plan of plans) counts.unchanged += plan.unchanged
  for (const action of actions) counts[action.type]++
  return { counts, actions, stopping, hash: stopHash(actions) }
}

/**
 * What an approval is bound to: exactly these runs stop, and no others. Creations and updates are not part of it: they need no approval, go
 * on while stops are held back, and would make the hash another one at each pass.
 */
export const stopHash = (actions: ReadonlyArray<Action>): string => {
  const stops = actions.filter((action) => action.type === "stop").map(({ address, run }) => `${address}\n${run}`)
  return hash("sha256", stops.sort().join("\n\n"), "base64url").slice(0, 16)
}
