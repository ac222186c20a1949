/**
 * The lease of a session, as a pure core: (state, event) → actions. No clock and no I/O: every event carries the time on the monotonic
 * clock of this process, in ms. Two halves: how long I may believe in myself, and whom I have seen silent or gone for too long.
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
 *   Only watchers probe.
 * - L8 A session that lost all that its life names (S8) aborts at three quarters of its grace and is deposed at its end, unless a new life
 *   was confirmed before: from the end on others may judge it dead, and the last quarter is for handlers to settle. Losing a part only
 *   stops it from taking work and shards. A confirmation counts whenever it comes: once it is written nobody can mark that life dead.
 * - L9 `markDead` by probe names a life that was found dead by every probe over its owner's grace, from the answer of the first one to the
 *   sending of the last one, and the counter of that time: a compare-and-set on both (S7). One `alive` or `unknown` (so also: another life
 *   of the server), a counter that moved, another life or a lost probe begins anew.
 * - L10 A pause in probing of a whole grace, mine or theirs, begins anew (as L6): a watcher that was frozen gives the others their time.
 * - L11 A renewal is sent only while the data path completed a round trip within half a lease (S4): renewals that have a connection of their own
 *   must not keep a worker alive that can do nothing else. It is judged at the last beat of the main loop: a loop that stalls cannot see
 *   the answers that have come meanwhile, and what its stall may cost is L12's to say.
 * - L12 A renewal is sent only while the main loop's last beat is younger than `maxStallMs` (S4): renewals that have a thread of their own must not
 *   keep a worker alive whose loop is blocked. So a blocked loop loses its lease between `leaseMs - renewMs` and `leaseMs` after `maxStallMs`.
 * - L13 `renewedAt` is when the last renewal that was answered `alive` was sent: whatever was doubted before it is proven by it (S6).
 */

export interface LeaseOptions {
  readonly leaseMs: number
  readonly abortGraceMs: number
  readonly reconnectGraceMs: number
  readonly maxStallMs: number
}

/** What another session's member record says of how to judge it. */
export interface Peer {
  readonly leaseMs: number
  readonly graceMs: number
  /** As the store has it: a mark by probe compares it. */
  readonly record: string
  /** "": it cannot be probed, its counter alone decides. */
  readonly life: string
}

/** How much longer than its lease another session must be silent: covers the pace of two clocks over one lease. */
export const marginMs = 100
const watchers = 3
/** Part of the grace after which a session without its connections aborts (L8). */
const abortShare = 0.75

export type LeasePhase = "held" | "aborting" | "deposed" | "dead"

interface Seen {
  counter: number
  since: number
  /** Asked to be marked at this counter; asked again only after another lease, when the answer got lost. */
  marked: boolean
}

/** A life that probes find dead. */
interface Absent {
  readonly life: string
  readonly counter: number
  /** Answer of the first probe that found it dead, and of the last one. */
  since: number
  lastAt: number
  /** As in `Seen`. */
  marked: boolean
}

/** Of what this session registered: all is there and confirmed, a part, nothing. A session that cannot be probed is `whole`. */
export type OwnLife = "whole" | "partly" | "lost"

export interface LeaseState {
  readonly session: string
  readonly options: LeaseOptions
  phase: LeasePhase
  trustUntil: number
  /** Last reading of the counters. */
  readAt: number
  /** L13. */
  renewedAt: number
  /** Last beat of the main loop, and last round trip of the data path. */
  beatAt: number
  dataAt: number
  life: OwnLife
  /** Since when `life` is `lost`. */
  lostAt: number
  readonly seen: Map<string, Seen>
  readonly absent: Map<string, Absent>
  peers: ReadonlyMap<string, Peer>
}

export interface Finding {
  /** What was probed. */
  readonly life: string
  readonly found: "alive" | "dead" | "unknown"
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
  /** One probe of all other sessions that can be probed. */
  | { readonly type: "probed"; readonly sentAt: number; readonly at: number; readonly findings: ReadonlyMap<string, Finding> }
  | { readonly type: "members"; readonly peers: ReadonlyMap<string, Peer> }
  /** What is known of the main loop and the data path. */
  | { readonly type: "health"; readonly beatAt: number; readonly dataAt: number }
  | { readonly type: "life"; readonly at: number; readonly life: OwnLife }
  | { readonly type: "tick"; readonly at: number }

export type LeaseAction =
  | { readonly type: "abort"; readonly why: "trust ends" | "connections lost" }
  | { readonly type: "depose"; readonly why: "trust ended" | "connections lost" | "marked dead" }
  | { readonly type: "resume" }
  /** With `life`: by probe (L9). */
  | { readonly type: "markDead"; readonly session: string; readonly counter: number; readonly life?: string }

/** `sentAt`: when the join that made the session was sent. */
export const beginLease = (session: string, options: LeaseOptions, sentAt: number): LeaseState => ({
  session,
  options,
  phase: "held",
  trustUntil: sentAt + options.leaseMs,
  readAt: sentAt,
  renewedAt: sentAt,
  beatAt: sentAt,
  dataAt: sentAt,
  life: "whole",
  lostAt: Number.POSITIVE_INFINITY,
  seen: new Map(),
  absent: new Map(),
  peers: new Map(),
})

const abortAt = ({ trustUntil, lostAt, options }: LeaseState): number =>
  Math.min(trustUntil - options.abortGraceMs, lostAt + options.reconnectGraceMs * abortShare)
/** When trust ends, as far as is known now. */
export const endAt = ({ trustUntil, lostAt, options }: LeaseState): number => Math.min(trustUntil, lostAt + options.reconnectGraceMs)

export const isTrusted = (state: LeaseState, at: number): boolean =>
  at < endAt(state) && (state.phase === "held" || state.phase === "aborting")

/** Shards may be claimed and runs taken: trust is open and not about to end, and others see all of this session (L8). */
export const mayTake = (state: LeaseState, at: number): boolean => state.phase === "held" && state.life === "whole" && at < endAt(state)

/** L11, L12. */
export const mayRenew = ({ beatAt, dataAt, options }: LeaseState, at: number): boolean =>
  at - beatAt < options.maxStallMs && beatAt - dataAt < options.leaseMs / 2

/** When `tick` has something to do next. */
export const nextTick = (state: LeaseState): number => {
  if (state.phase === "held") return abortAt(state)
  return state.phase === "aborting" ? endAt(state) : Number.POSITIVE_INFINITY
}

export const isWatcher = (state: LeaseState): boolean => {
  let lower = 0
  for (const session of state.seen.keys()) if (session < state.session && ++lower >= watchers) return false
  return true
}

const tick = (state: LeaseState, at: number): Array<LeaseAction> => {
  const actions: Array<LeaseAction> = []
  if (state.phase === "held" && at >= abortAt(state)) {
    state.phase = "aborting"
    actions.push({ type: "abort", why: at >= state.trustUntil - state.options.abortGraceMs ? "trust ends" : "connections lost" })
  }
  if (state.phase === "aborting" && at >= endAt(state)) {
    state.phase = "deposed"
    actions.push({ type: "depose", why: at >= state.trustUntil ? "trust ended" : "connections lost" })
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
    const silent = (state.peers.get(session)?.leaseMs ?? state.options.leaseMs) + marginMs
    if (at - seen.since < silent * (seen.marked ? 2 : 1)) continue
    if (seen.marked) seen.since = at - silent
    seen.marked = true
    actions.push({ type: "markDead", session, counter })
  }
  return actions
}

const probe = (state: LeaseState, sentAt: number, at: number, findings: ReadonlyMap<string, Finding>): Array<LeaseAction> => {
  const actions: Array<LeaseAction> = []
  for (const session of state.absent.keys()) if (!findings.has(session)) state.absent.delete(session)
  for (const [session, { life, found }] of findings) {
    const counter = state.seen.get(session)?.counter
    const peer = state.peers.get(session)
    if (found !== "dead" || counter === undefined || peer?.life !== life || life === "") {
      state.absent.delete(session)
      continue
    }
    const { graceMs } = peer
    const absent = state.absent.get(session)
    const paused = absent !== undefined && sentAt - absent.lastAt >= Math.max(graceMs, state.options.reconnectGraceMs)
    if (absent === undefined || absent.life !== life || absent.counter !== counter || paused) {
      state.absent.set(session, { life, counter, since: at, lastAt: at, marked: false })
      continue
    }
    absent.lastAt = at
    if (sentAt - absent.since < graceMs * (absent.marked ? 2 : 1)) continue
    if (absent.marked) absent.since = sentAt - graceMs
    absent.marked = true
    actions.push({ type: "markDead", session, counter, life })
  }
  return actions
}

export const stepLease = (state: LeaseState, event: LeaseEvent): ReadonlyArray<LeaseAction> => {
  if (state.phase === "dead") return []
  switch (event.type) {
    case "members":
      state.peers = event.peers
      return []
    case "health":
      state.beatAt = Math.max(state.beatAt, event.beatAt)
      state.dataAt = Math.max(state.dataAt, event.dataAt)
      return []
    case "life":
      state.life = event.life
      state.lostAt = event.life === "lost" ? Math.min(state.lostAt, event.at) : Number.POSITIVE_INFINITY
      return tick(state, event.at)
    case "probed": {
      const actions = tick(state, event.at)
      return [...actions, ...probe(state, event.sentAt, event.at, event.findings)]
    }
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
      const ended = event.at >= endAt(state) ? tick(state, event.at) : []
      state.trustUntil = Math.max(state.trustUntil, event.sentAt + state.options.leaseMs)
      state.renewedAt = Math.max(state.renewedAt, event.sentAt)
      const actions = [...ended, ...tick(state, event.at)]
      if (state.phase !== "held" && event.at < abortAt(state)) {
        state.phase = "held"
        actions.push({ type: "resume" })
      }
      return [...actions, ...observe(state, event.at, event.counters)]
    }
  }
}
