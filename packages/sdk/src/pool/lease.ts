/**
 * The lease of a session, as a pure core: (state, event) → actions. No clock and no I/O: every event carries the time on the monotonic
 * clock of this process, in ms. Two halves: how long I may believe in myself, and whom I have seen silent for too long.
 *
 * - L1 Trust ends `leaseMs` after the SENDING of the last renewal that was answered `alive`, never after its answer (S2).
 * - L2 `abort` comes `abortGraceMs` before the end of trust, at most once until the next `resume`, so that handlers can settle within trust.
 * - L3 `depose` comes at the end of trust, or at once when a renewal is answered "dead"; the latter is for ever (S1).
 * - L4 A session whose trust ended unseen by the others may go on after a later renewal: `resume`; it holds nothing then and claims anew.
 * - L5 `markDead` names the counter that was seen unchanged for the other's lease + `marginMs` on my own clock; it is a compare-and-set on
 *   it (S3). As the other's trust began before the counter changed, its trust has ended before mine of it does.
 * - L6 A counter is never judged across a gap in my own watching: after `leaseMs` without a reading all are seen anew (a frozen watcher
 *   that thaws must give the others time to show themselves).
 * - L7 The watchers are the three living sessions with the lowest ids; all others judge too, with what their renewals bring, only later.
 */

export interface LeaseOptions {
  readonly leaseMs: number
  readonly abortGraceMs: number
}

/** How much longer than its lease another session must be silent: covers the pace of two clocks over one lease. */
export const marginMs = 100
const watchers = 3

export type LeasePhase = "held" | "aborting" | "deposed" | "dead"

interface Seen {
  counter: number
  since: number
  /** Asked to be marked at this counter; asked again only after another lease, when the answer got lost. */
  marked: boolean
}

export interface LeaseState {
  readonly session: string
  readonly options: LeaseOptions
  phase: LeasePhase
  trustUntil: number
  /** Last reading of the counters. */
  readAt: number
  readonly seen: Map<string, Seen>
  /** Leases of the others, from their member records. */
  leases: ReadonlyMap<string, number>
}

export type LeaseEvent =
  | {
      readonly type: "renewed"
      readonly sentAt: number
      readonly at: number
      readonly alive: boolean
      readonly counters: ReadonlyMap<string, number>
    }
  | { readonly type: "watched"; readonly at: number; readonly counters: ReadonlyMap<string, number> }
  | { readonly type: "members"; readonly leases: ReadonlyMap<string, number> }
  | { readonly type: "tick"; readonly at: number }

export type LeaseAction =
  | { readonly type: "abort" }
  | { readonly type: "depose"; readonly why: "trust ended" | "marked dead" }
  | { readonly type: "resume" }
  | { readonly type: "markDead"; readonly session: string; readonly counter: number }

/** `sentAt`: when the join that made the session was sent. */
export const beginLease = (session: string, options: LeaseOptions, sentAt: number): LeaseState => ({
  session,
  options,
  phase: "held",
  trustUntil: sentAt + options.leaseMs,
  readAt: sentAt,
  seen: new Map(),
  leases: new Map(),
})

export const isTrusted = (state: LeaseState, at: number): boolean =>
  at < state.trustUntil && (state.phase === "held" || state.phase === "aborting")

/** When `tick` has something to do next. */
export const nextTick = (state: LeaseState): number => {
  if (state.phase === "held") return state.trustUntil - state.options.abortGraceMs
  return state.phase === "aborting" ? state.trustUntil : Number.POSITIVE_INFINITY
}

export const isWatcher = (state: LeaseState): boolean => {
  let lower = 0
  for (const session of state.seen.keys()) if (session < state.session && ++lower >= watchers) return false
  return true
}

const tick = (state: LeaseState, at: number): Array<LeaseAction> => {
  const actions: Array<LeaseAction> = []
  if (state.phase === "held" && at >= state.trustUntil - state.options.abortGraceMs) {
    state.phase = "aborting"
    actions.push({ type: "abort" })
  }
  if (state.phase === "aborting" && at >= state.trustUntil) {
    state.phase = "deposed"
    actions.push({ type: "depose", why: "trust ended" })
  }
  return actions
}

const observe = (state: LeaseState, at: number, counters: ReadonlyMap<string, number>): Array<LeaseAction> => {
  const actions: Array<LeaseAction> = []
  const gap = at - state.readAt >= state.options.leaseMs
  state.readAt = at
  for (const session of state.seen.keys()) if (!counters.has(session)) state.seen.delete(session)
  for (const [session, counter] of counters) {
    if (session === state.session) continue
    const seen = state.seen.get(session)
    if (seen === undefined || seen.counter !== counter || gap) {
      state.seen.set(session, { counter, since: at, marked: false })
      continue
    }
    const silent = (state.leases.get(session) ?? state.options.leaseMs) + marginMs
    if (at - seen.since < silent * (seen.marked ? 2 : 1)) continue
    if (seen.marked) seen.since = at - silent
    seen.marked = true
    actions.push({ type: "markDead", session, counter })
  }
  return actions
}

export const stepLease = (state: LeaseState, event: LeaseEvent): ReadonlyArray<LeaseAction> => {
  if (state.phase === "dead") return []
  switch (event.type) {
    case "members":
      state.leases = event.leases
      return []
    case "tick":
      return tick(state, event.at)
    case "watched": {
      const actions = tick(state, event.at)
      return [...actions, ...observe(state, event.at, event.counters)]
    }
    case "renewed": {
      if (!event.alive) {
        const deposed = state.phase === "deposed"
        state.phase = "dead"
        return deposed ? [] : [{ type: "depose", why: "marked dead" }]
      }
      // An end of trust is judged before the answer is believed: a late one does not hide it (L1). Within trust the answer comes first.
      const ended = event.at >= state.trustUntil ? tick(state, event.at) : []
      state.trustUntil = Math.max(state.trustUntil, event.sentAt + state.options.leaseMs)
      const actions = [...ended, ...tick(state, event.at)]
      if (state.phase !== "held" && event.at < state.trustUntil - state.options.abortGraceMs) {
        state.phase = "held"
        actions.push({ type: "resume" })
      }
      return [...actions, ...observe(state, event.at, event.counters)]
    }
  }
}
