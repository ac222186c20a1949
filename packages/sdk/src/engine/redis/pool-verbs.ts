/** Settings, members and assignment of a pool: one slot, small, rarely written. */
import { randomUUID } from "node:crypto"
import { PoolMismatch } from "../../errors.ts"
import type { AssignmentEntry, MarkReply, MemberEntry, PoolInfo, PoolSettings, RenewReply } from "../engine.ts"
import type { PoolKeys } from "./keys.ts"
import { scripts } from "./scripts.ts"
import type { Caller } from "./servers.ts"

/** A pool as these verbs need it. */
export interface PoolStore {
  readonly link: Caller
  readonly keys: PoolKeys
  readonly now: string
}

const number = (value: unknown): number => Number(value ?? 0)
const text = (value: unknown): string => (typeof value === "string" ? value : "")
const list = (reply: unknown): ReadonlyArray<unknown> => (Array.isArray(reply) ? reply : [])

export async function openPool(pool: string, { link, keys, now }: PoolStore, settings: PoolSettings): Promise<PoolInfo> {
  const reply = await link.run(scripts.open_pool, [keys.settings], [now, String(settings.shards), randomUUID()])
  const [shards, incarnation, time] = list(reply)
  if (number(shards) !== settings.shards) {
    throw new PoolMismatch(
      `expected pool "${pool}" to have ${settings.shards} shards, got: ${number(shards)}, as it was first opened. ` +
        `The number is fixed for the life of a pool: use shards: ${number(shards)}, or another pool.`,
      { pool, expected: settings.shards, got: number(shards) },
    )
  }
  return { shards: number(shards), incarnation: text(incarnation), now: number(time) }
}

export async function poolInfo({ link, keys, now }: PoolStore): Promise<PoolInfo | undefined> {
  const [shards, incarnation, time] = list(await link.run(scripts.pool_info, [keys.settings], [now]))
  return typeof shards === "string" ? { shards: number(shards), incarnation: text(incarnation), now: number(time) } : undefined
}

export async function addKinds({ link, keys }: PoolStore, kinds: ReadonlyArray<string>): Promise<void> {
  if (kinds.length > 0) await link.command("sadd", [keys.kinds, ...kinds])
}

export async function kinds({ link, keys }: PoolStore): Promise<ReadonlyArray<string>> {
  return (list(await link.command("smembers", [keys.kinds])) as string[]).toSorted()
}

const memberKeys = (keys: PoolKeys) => [keys.settings, keys.members, keys.counters, keys.channel("members")]

export async function join({ link, keys, now }: PoolStore, member: MemberEntry): Promise<{ readonly memberVersion: number }> {
  return { memberVersion: number(await link.run(scripts.join, memberKeys(keys), [now, member.session, member.record])) }
}

export async function updateMember({ link, keys, now }: PoolStore, member: MemberEntry, from = ""): Promise<boolean> {
  return (await link.run(scripts.update_member, memberKeys(keys), [now, member.session, member.record, from])) === 1
}

export async function leave({ link, keys, now }: PoolStore, session: string): Promise<void> {
  await link.run(scripts.leave, memberKeys(keys), [now, session])
}

export async function renew({ link, keys, now }: PoolStore, session: string | undefined): Promise<RenewReply> {
  const reply = list(await link.run(scripts.renew, [keys.settings, keys.counters], [now, session ?? ""]))
  const counters = new Map<string, number>()
  for (let n = 5; n < reply.length; n += 2) counters.set(text(reply[n]), number(reply[n + 1]))
  return {
    alive: reply[0] === 1,
    counters,
    memberVersion: number(reply[2]),
    assignmentVersion: number(reply[3]),
    incarnation: text(reply[4]),
    now: number(reply[1]),
  }
}

const markReplies = ["refused", "marked", "gone"] as const satisfies ReadonlyArray<MarkReply>

export async function markDead({ link, keys, now }: PoolStore, session: string, counter: number, record = ""): Promise<MarkReply> {
  const reply = await link.run(scripts.mark_dead, memberKeys(keys), [now, session, String(counter), record])
  return markReplies[number(reply)] ?? "refused"
}

export async function members({ link, keys, now }: PoolStore): Promise<{ memberVersion: number; members: ReadonlyArray<MemberEntry> }> {
  const reply = list(await link.run(scripts.members, [keys.settings, keys.members], [now]))
  const found: MemberEntry[] = []
  for (let n = 1; n < reply.length; n += 2) found.push({ session: text(reply[n]), record: text(reply[n + 1]) })
  return { memberVersion: number(reply[0]), members: found.toSorted((a, b) => (a.session < b.session ? -1 : 1)) }
}

export async function assignment({ link, keys, now }: PoolStore): Promise<AssignmentEntry> {
  const [version, memberVersion, value] = list(await link.run(scripts.assignment, [keys.settings, keys.assignment], [now]))
  return { version: number(version), memberVersion: number(memberVersion), value: text(value) }
}

export async function assign(
  { link, keys, now }: PoolStore,
  next: { readonly expectVersion: number; readonly memberVersion: number; readonly value: string },
): Promise<boolean> {
  const args = [now, String(next.expectVersion), String(next.memberVersion), next.value]
  return (await link.run(scripts.assign, [keys.settings, keys.assignment, keys.channel("members")], args)) === 1
}
