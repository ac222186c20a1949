/**
 * Follows the assignment, and computes the next one when the member list has moved on. All members may compute it: the answer is the same,
 * and compare-and-set on both versions lets one write it and none bring a dead worker back (A1). They try in the order of their
 * session ids, a little apart, so that normally only one does the work.
 */
import type { AssignmentEntry, Engine } from "../engine/engine.ts"
import type { PoolEvent } from "./events.ts"
import { coalesce } from "./loop.ts"
import { assignmentFor, lackingKinds, placeable, type Membership } from "./membership.ts"
import { decodeAssignment, encodeAssignment, moves, type Assignment } from "./placement.ts"

export interface AssignerHost {
  readonly engine: Engine
  readonly pool: string
  readonly session: string
  readonly shards: number
  readonly settleMs: number
  readonly membership: Membership
  readonly clock: () => number
  readonly emit: (event: PoolEvent) => void
  /** A newer assignment, or newer members, are known. */
  readonly onChange: () => void
}

/** Between the tries of two members, and at most. */
const staggerMs = 20
const staggerMaxMs = 200

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

  ownerOf(shard: number): string {
    return this.#assignment?.ownerOf[shard] ?? ""
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
    return this.#entry !== undefined && this.#entry.memberVersion !== this.#host.membership.revision
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

  /** Orphans are placed at once, joins settle first (A3). */
  #plan(): void {
    const { membership, session, settleMs, clock } = this.#host
    const present = [...membership.entries.values()].filter((member) => !member.leaving)
    const groups = new Set(present.map((member) => member.group))
    const here = new Set(present.map((member) => member.session))
    const orphans =
      this.#assignment === undefined ||
      this.#assignment.ownerOf.some((owner, shard) =>
        owner === "" ? groups.has(this.#assignment?.groupOf[shard] ?? "") : !here.has(owner),
      )
    const rank = [...membership.entries.keys()].filter((other) => other < session).length
    const at = clock() + (orphans ? 0 : settleMs) + Math.min(rank * staggerMs, staggerMaxMs)
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

  async #compute(): Promise<void> {
    this.#computeAt = Number.POSITIVE_INFINITY
    const { engine, pool, shards, membership, emit } = this.#host
    const [entry, kinds] = await Promise.all([engine.assignment(pool), engine.kinds(pool), membership.load()])
    if (this.#stopped || entry.memberVersion === membership.revision) return this.#check()
    const previous = decodeAssignment(entry.value)
    const next = assignmentFor(shards, membership.entries, kinds, previous)
    const written = await engine.assign(pool, {
      expectVersion: entry.version,
      memberVersion: membership.revision,
      value: encodeAssignment(next),
    })
    if (written && !this.#stopped) {
      emit({ type: "assigned", moved: previous === undefined ? 0 : moves(previous, next) })
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
