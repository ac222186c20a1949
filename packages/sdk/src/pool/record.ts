/**
 * The member record: what a session says of itself (S1). JSON in the store; fields are only ever added.
 */
import { randomBytes } from "node:crypto"
import { readFileSync } from "node:fs"
import { hostname } from "node:os"

export interface MemberRecord {
  readonly session: string
  readonly group: string
  readonly weight: number
  readonly kinds: ReadonlyArray<string>
  /** Gets no shards and gives up those that it has. */
  readonly leaving: boolean
  /** Others judge its silence by this (S3). */
  readonly leaseMs: number
  /** By which others see its process die (E8), and how long they wait for it to come back; absent: by its silence alone. */
  readonly life: string | undefined
  readonly reconnectGraceMs: number | undefined
  /** Weights of groups as this member was configured; the youngest member that says something counts. */
  readonly groups: Readonly<Record<string, number>> | undefined
  /** Store time. */
  readonly joinedAt: number
  readonly host: string
  readonly bootId: string
  readonly pid: number
  /** Store time at which the process started, about: tells two processes with one pid apart. */
  readonly processStart: number
}

/** Of workers that name none. */
export const defaultGroup = "default"

/** Never used again (S1), and in the order of joining as far as the store's clock goes: the watchers are those that live longest. */
export const newSession = (storeNow: number): string => `${storeNow.toString(36).padStart(9, "0")}-${randomBytes(5).toString("hex")}`

/** "" where the system has none: then two boots cannot be told apart, and the counter decides. */
const bootId = (() => {
  let id: string | undefined
  return (): string => {
    if (id !== undefined) return id
    try {
      id = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()
    } catch {
      id = ""
    }
    return id
  }
})()

export const describeSelf = (
  session: string,
  joinedAt: number,
  given: Pick<MemberRecord, "group" | "weight" | "kinds" | "leaseMs" | "reconnectGraceMs" | "groups">,
): MemberRecord => ({
  session,
  group: given.group,
  weight: given.weight,
  kinds: given.kinds,
  leaving: false,
  leaseMs: given.leaseMs,
  reconnectGraceMs: given.reconnectGraceMs,
  life: undefined,
  groups: given.groups,
  joinedAt,
  host: hostname(),
  bootId: bootId(),
  pid: process.pid,
  processStart: Math.round(joinedAt - process.uptime() * 1_000),
})

export const encodeRecord = (record: MemberRecord): string => JSON.stringify(record)

/** Fields that a record may lack. */
type Added = "groups" | "life" | "reconnectGraceMs"

export const decodeRecord = (text: string): MemberRecord => {
  const record = JSON.parse(text) as Omit<MemberRecord, Added> & Partial<Pick<MemberRecord, Added>>
  // Encoded again it is the same text, which `markDead` compares: nothing is added that JSON would keep.
  return { ...record, groups: record.groups, life: record.life, reconnectGraceMs: record.reconnectGraceMs }
}
