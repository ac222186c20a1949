/**
 * Follows the assignment, and computes the next one when the member list has moved on. All members may compute it: the answer is the same,
 * and compare-and-set on both versions lets one write it and none bring a dead worker back (A1). They try in the order of their
 * session ids, a little apart, so that normally only one does the work.
 */
import type { AssignmentEntry, Engine } from "../engine/engine.ts"
import type { PoolEvent } from "./events.ts"
import { coalesce } from "./loop.ts"
import { assignmentFor, lackingKinds, placeable, type Membership } from "./membership.ts"
import { decodeAssignment, encodeAssignment, hasOrphans, heirs, moves, type Assignment } from "./placement.ts"
import type { ConfigMap } from "./pool-config.ts"
import type { MemberRecord } from "./record.ts"

export interface AssignerHost {
  readonly engine: Engine
  readonly pool: string
  readonly session: string
  readonly shards: number
  readonly settleMs: number
  readonly membership: Membership
  readonly config: ConfigMap
  readonly clock: () => number
  readonly emit: (event: PoolEvent) => void
  /** A newer assignment, or newer members, are known. */
  readonly onChange: () => void
}

/** Between the tries of two members, and at most. */
const staggerMs = 20
const staggerMaxMs = 200

/** Who drains runs on with what it has, but not for long (session.ts). */
const settleLeaveMaxMs = 500

/** Why it is to be computed: a shard has nobody, or its assignee drains, or only the balance changes. */
export type Cause = "orphans" | "leaving" | "balance"

/**
 * How long after a change it is computed, by a member that `rank` others come before: orphans are placed at once, all else settles (A3), so
 * that those who join and leave together, as in a restart, are one rebalancing.
 */
export const computeAfter = (cause: Cause, settleMs: number, rank: number): number => {
  const settle = { orphans: 0, leaving: Math.min(settleMs, settleLeaveMaxMs), balance: settleMs }[cause]
  return settle + Math.min(rank * staggerMs, staggerMaxMs)
}

export class Assigner {
  readonly #host: AssignerHost
  readonly #check: () => void
  #entry: AssignmentEntry | undefined
  #assignment: Assignment | undefined
  #announced = 0
  #timer: NodeJS.Timeout | undefined
  #computeAt = Number.POSITIVE_INFINITY
  #reported = ""
  #stopped = false

  constructor(host: AssignerHost) {
    this.#host = host
    // A failed read is repeated by the next reading of the versions, which comes with every renewal.
    this.#check = coalesce(
      () => this.#refresh(),
      () => {},
    )
  }

  get assignment(): Assignment | undefined {
    return this.#assignment
  }

  /** Of the assignment that is followed. */
  get version(): number {
    return this.#entry?.version ?? 0
  }

  ownerOf(shard: number): string {
    return this.#assignment?.ownerOf[shard] ?? ""
  }

  /** Who may claim the shard in place of its assignee, in this order (A4). */
  heirs(shard: number): ReadonlyArray<string> {
    return this.#assignment === undefined ? [] : heirs(this.#assignment, this.#present(), shard)
  }

  #present(): ReadonlyArray<MemberRecord> {
    return [...this.#host.membership.entries.values()].filter((member) => !member.leaving)
  }

  /** Versions seen somewhere: catches up with them, also back to those of a store that was rolled back (O4). */
  announce(memberVersion: number, assignmentVersion: number): void {
    const known = this.#entry?.version ?? -1
    if (assignmentVersion > this.#announced || assignmentVersion < known) this.#announced = assignmentVersion
    if (memberVersion !== this.#host.membership.revision || this.#announced !== known || this.#isOld()) this.#check()
  }

  /** Something changed, it is not known what. */
  refresh(): void {
    this.#announced = Math.max(this.#announced, (this.#entry?.version ?? 0) + 1)
    this.#host.membership.announce(this.#host.membership.revision + 1)
    this.#check()
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }

  #isOld(): boolean {
    return this.#entry !== undefined && this.#differs(this.#entry, this.#assignment)
  }

  /** Computed from other members, or from another configuration, than those known now. */
  #differs(entry: AssignmentEntry, assignment: Assignment | undefined): boolean {
    const { membership, config } = this.#host
    return entry.memberVersion !== membership.revision || (assignment?.config ?? 0) !== config.config.revision
  }

  async #refresh(): Promise<void> {
    const { engine, pool, membership } = this.#host
    const [entry] = await Promise.all([engine.assignment(pool), membership.load()])
    if (this.#stopped) return
    if (this.#entry === undefined || entry.version !== this.#entry.version) {
      this.#entry = entry
      this.#assignment = decodeAssignment(entry.value)
    }
    this.#announced = entry.version
    this.#host.onChange()
    if (this.#isOld()) this.#plan()
    else this.#computeAt = Number.POSITIVE_INFINITY
  }

  #plan(): void {
    const { membership, session, settleMs, clock } = this.#host
    const rank = [...membership.entries.keys()].filter((other) => other < session).length
    const at = clock() + computeAfter(this.#cause(), settleMs, rank)
    if (at >= this.#computeAt) return
    this.#computeAt = at
    clearTimeout(this.#timer)
    this.#timer = setTimeout(
      () => {
        this.#compute().catch(() => this.#check())
      },
      Math.max(0, at - clock()),
    )
  }

  #cause(): Cause {
    const candidates = this.#present()
    const present = this.#host.membership.entries
    if (this.#assignment === undefined || candidates.length === 0 || hasOrphans(this.#assignment, candidates, present)) return "orphans"
    return this.#assignment.ownerOf.some((owner) => present.get(owner)?.leaving === true) ? "leaving" : "balance"
  }

  async #compute(): Promise<void> {
    this.#computeAt = Number.POSITIVE_INFINITY
    const { engine, pool, shards, membership, config, emit } = this.#host
    const [entry, kinds] = await Promise.all([engine.assignment(pool), engine.kinds(pool), membership.load(), config.map.refresh()])
    const previous = decodeAssignment(entry.value)
    if (this.#stopped || !this.#differs(entry, previous)) return this.#check()
    const next = assignmentFor({ shards, members: membership.entries, kinds, config: config.config, previous })
    const written = await engine.assign(pool, {
      expectVersion: entry.version,
      memberVersion: membership.revision,
      value: encodeAssignment(next),
    })
    if (written && !this.#stopped) {
      const workers = [...new Set(next.ownerOf)].filter((owner) => owner !== "")
      emit({ type: "assigned", moved: previous === undefined ? 0 : moves(previous, next), workers })
      this.#reportLacking(kinds)
    }
    this.refresh()
  }

  #reportLacking(kinds: ReadonlyArray<string>): void {
    const { membership, emit } = this.#host
    const members = [...membership.entries.values()]
    const able = new Set(placeable(members, kinds))
    const lacking = members.filter((member) => !member.leaving && !able.has(member))
    const text = lacking.map((member) => member.session).join()
    if (text === this.#reported) return
    this.#reported = text
    for (const member of lacking) emit({ type: "lacking", session: member.session, kinds: lackingKinds(member, kinds) })
  }
}
