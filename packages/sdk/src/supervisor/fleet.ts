/**
 * What a supervisor does about its worker processes, as a pure core: (state, event) → (state, actions). No clock, no processes: the loop
 * (supervisor.ts) carries out the actions and reports back. A process is named by its number, 1 … n, and its life, 1, 2 …
 *
 * - F1 A number has at most one process: `start` comes only after its last life died.
 * - F2 While open, every number has a process or a `wait`: none is forgotten.
 * - F3 The nth death in a row waits `delaysMs[n - 1]`, the last of them from there on. `healthy` ends the row.
 * - F4 It gives up only while no process was ever healthy: at the first death that says it is hopeless, or when one number died `tries`
 *   times in a row. Afterwards the module is known to work, what fails is around it (a store that is away), and it goes on trying.
 * - F5 Once it stops, or gave up, it starts nothing; each living process gets one `drain`, and at the deadline or at `kill` one `kill`.
 * - F6 `end` comes once, when nothing lives any more. It is clean when it was asked to stop, did not give up, and every process that lived
 *   then ended with code 0; one that had started no worker yet may also end by a signal to end.
 * - F7 Events of an earlier life change nothing.
 * - F8 `scale`: numbers up to the new count are kept as F2 says; those above it get one `drain`, and at their `limit` one `kill`, and are
 *   forgotten when they have died. One that is wanted again meanwhile starts after its death (F1), at once, without a failure to its name.
 */

export interface FleetPolicy {
  /** How many are wanted. */
  readonly processes: number
  readonly tries: number
  /** Delay before the first, second … restart in a row. */
  readonly delaysMs: ReadonlyArray<number>
}

export type MemberPhase =
  /** Its module is loading, its worker is not there yet. */
  | "starting"
  | "running"
  /** Draining, because there are more processes than are wanted. */
  | "leaving"
  /** Dead, for the time of its back-off. */
  | "waiting"
  /** Dead for good. */
  | "gone"

export interface FleetMember {
  readonly number: number
  readonly life: number
  readonly phase: MemberPhase
  /** Deaths since it was last healthy. */
  readonly failures: number
  /** It did not drain in its time (F8). */
  readonly killed?: boolean
}

export interface Fault {
  readonly number: number
  readonly tries: number
  readonly why: string
}

export interface Fleet {
  readonly policy: FleetPolicy
  readonly phase: "open" | "draining" | "killing" | "ended"
  readonly members: ReadonlyArray<FleetMember>
  /** Last lives of numbers that were forgotten (F7, F8). */
  readonly lives: Readonly<Record<number, number>>
  /** Some process was healthy once. */
  readonly proven: boolean
  readonly clean: boolean
  /** Why it gave up. */
  readonly fault?: Fault
}

interface Named {
  readonly number: number
  readonly life: number
}

export type FleetEvent =
  | ({ readonly type: "ready" | "healthy" | "due" | "overdue" } & Named)
  | ({
      readonly type: "died"
      readonly code: number | null
      readonly signal: string | null
      readonly why: string
      /** Its start failed for a reason that no repetition changes. */
      readonly hopeless: boolean
    } & Named)
  | { readonly type: "scale"; readonly processes: number }
  | { readonly type: "stop" | "kill" | "deadline" }

export type FleetAction =
  | ({ readonly type: "start" } & Named)
  /** Answer with `due` after the delay. */
  | ({ readonly type: "wait"; readonly failures: number; readonly delayMs: number } & Named)
  | ({ readonly type: "drain" | "kill" } & Named)
  /** Answer with `overdue` when its time for draining is over. */
  | ({ readonly type: "limit" } & Named)
  /** Answer with `deadline` when the time for draining is over. */
  | { readonly type: "deadline" }
  | { readonly type: "end"; readonly clean: boolean; readonly fault?: Fault }

export type FleetStep = readonly [Fleet, ReadonlyArray<FleetAction>]

export const beginFleet = (policy: FleetPolicy): FleetStep => {
  const members = Array.from({ length: policy.processes }, (_, i): FleetMember => {
    return { number: i + 1, life: 1, phase: "starting", failures: 0 }
  })
  return [
    { policy, phase: "open", members, lives: {}, proven: false, clean: true },
    members.map(({ number, life }) => ({ type: "start", number, life })),
  ]
}

export const isAlive = ({ phase }: FleetMember): boolean => phase === "starting" || phase === "running" || phase === "leaving"

export const stepFleet = (fleet: Fleet, event: FleetEvent): FleetStep => {
  if (fleet.phase === "ended") return [fleet, []]
  switch (event.type) {
    case "scale":
      return fleet.phase === "open" ? scale(fleet, event.processes) : [fleet, []]
    case "stop":
      return fleet.phase === "open" ? close(fleet) : [fleet, []]
    case "deadline":
      return fleet.phase === "draining" ? kill(fleet) : [fleet, []]
    case "kill":
      return fleet.phase === "killing" ? [fleet, []] : kill(fleet)
    default:
      return stepMember(fleet, event)
  }
}

const stepMember = (fleet: Fleet, event: Extract<FleetEvent, Named>): FleetStep => {
  const member = fleet.members.find(({ number }) => number === event.number)
  if (member === undefined || member.life !== event.life) return [fleet, []]
  switch (event.type) {
    case "ready":
      return [member.phase === "starting" ? change(fleet, { ...member, phase: "running" }) : fleet, []]
    case "healthy":
      return [isAlive(member) && member.phase !== "leaving" ? { ...change(fleet, { ...member, failures: 0 }), proven: true } : fleet, []]
    case "due": {
      if (member.phase !== "waiting") return [fleet, []]
      const { number, life } = member
      return [change(fleet, { ...member, life: life + 1, phase: "starting" }), [{ type: "start", number, life: life + 1 }]]
    }
    case "overdue":
      if (member.phase !== "leaving" || member.killed === true || fleet.phase !== "open") return [fleet, []]
      return [change(fleet, { ...member, killed: true }), [{ type: "kill", number: member.number, life: member.life }]]
    case "died":
      if (!isAlive(member)) return [fleet, []]
      if (member.phase === "leaving" && fleet.phase === "open") return left(fleet, member)
      return fleet.phase === "open" ? bury(fleet, member, event) : count(fleet, member, event)
  }
}

const scale = (fleet: Fleet, processes: number): FleetStep => {
  const actions: Array<FleetAction> = []
  const members: Array<FleetMember> = []
  const lives = { ...fleet.lives }
  for (const member of fleet.members) {
    const { number, life } = member
    if (number <= processes || member.phase === "leaving") members.push(member)
    else if (isAlive(member)) {
      members.push({ ...member, phase: "leaving" })
      actions.push({ type: "drain", number, life }, { type: "limit", number, life })
    } else lives[number] = life
  }
  for (let number = 1; number <= processes; number++) {
    if (members.some((member) => member.number === number)) continue
    const life = (lives[number] ?? 0) + 1
    members.push({ number, life, phase: "starting", failures: 0 })
    actions.push({ type: "start", number, life })
  }
  members.sort((a, b) => a.number - b.number)
  return [{ ...fleet, policy: { ...fleet.policy, processes }, members, lives }, actions]
}

/** It was too many; or it was, and is wanted again. */
const left = (fleet: Fleet, member: FleetMember): FleetStep => {
  const { number, life } = member
  if (number > fleet.policy.processes) {
    const members = fleet.members.filter((other) => other !== member)
    return [{ ...fleet, members, lives: { ...fleet.lives, [number]: life } }, []]
  }
  return [change(fleet, { number, life: life + 1, phase: "starting", failures: 0 }), [{ type: "start", number, life: life + 1 }]]
}

type Death = Extract<FleetEvent, { type: "died" }>

/** A death that nobody asked for: again after a while, or never again. */
const bury = (fleet: Fleet, member: FleetMember, { why, hopeless }: Death): FleetStep => {
  const { tries, delaysMs } = fleet.policy
  const { number, life } = member
  const failures = member.failures + 1
  if (!fleet.proven && (hopeless || failures >= tries))
    return close({ ...change(fleet, { ...member, phase: "gone", failures }), clean: false, fault: { number, tries: failures, why } })
  const delayMs = delaysMs[Math.min(failures, delaysMs.length) - 1] ?? 0
  return [change(fleet, { ...member, phase: "waiting", failures }), [{ type: "wait", number, life, failures, delayMs }]]
}

/** A death that was asked for. */
const count = (fleet: Fleet, member: FleetMember, { code, signal }: Death): FleetStep => {
  const well = code === 0 || (member.phase === "starting" && (signal === "SIGTERM" || signal === "SIGINT"))
  return settle({ ...change(fleet, { ...member, phase: "gone" }), clean: fleet.clean && well }, [])
}

const close = (fleet: Fleet): FleetStep => {
  const living = fleet.members.filter(isAlive)
  const members = fleet.members.map((member): FleetMember => (isAlive(member) ? member : { ...member, phase: "gone" }))
  const drains = living.filter(({ phase }) => phase !== "leaving").map(({ number, life }): FleetAction => ({ type: "drain", number, life }))
  return settle({ ...fleet, phase: "draining", members }, living.length === 0 ? [] : [...drains, { type: "deadline" }])
}

const kill = (fleet: Fleet): FleetStep => {
  const members = fleet.members.map((member): FleetMember => (isAlive(member) ? member : { ...member, phase: "gone" }))
  const kills = members
    .filter((member) => isAlive(member) && member.killed !== true)
    .map(({ number, life }): FleetAction => ({ type: "kill", number, life }))
  return settle({ ...fleet, phase: "killing", members, clean: false }, kills)
}

const settle = (fleet: Fleet, actions: ReadonlyArray<FleetAction>): FleetStep => {
  if (fleet.members.some(isAlive)) return [fleet, actions]
  const { clean, fault } = fleet
  return [{ ...fleet, phase: "ended" }, [...actions, { type: "end", clean, ...(fault === undefined ? {} : { fault }) }]]
}

const change = (fleet: Fleet, member: FleetMember): Fleet => ({
  ...fleet,
  members: fleet.members.map((other) => (other.number === member.number ? member : other)),
})
