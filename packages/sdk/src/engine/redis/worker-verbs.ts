/** Verbs of a shard's owner: each carries (session, epoch) and begins with the fence (E2, O3). */
import type {
  ClaimItem,
  ClaimReply,
  CommitGroup,
  CommitItem,
  CommitReply,
  LoadedRun,
  ReleaseItem,
  ShardOwner,
  TakeGroup,
  TakeReply,
} from "../engine.ts"
import { writesText } from "./audit-verbs.ts"
import { batched, maxItems, type Store } from "./batch.ts"
import { headerText, onText, padding, parseHeader, parseLoaded, phaseOf } from "./record.ts"
import { scripts } from "./scripts.ts"

/** `auditLength`: entries that the shard's audit keeps. */
export const claim = (store: Store, pool: string, items: ReadonlyArray<ClaimItem>, auditLength: number) =>
  batched<ClaimItem, ClaimReply>(store, pool, items, {
    script: scripts.claim,
    shard: (item) => item.shard,
    joins: () => false,
    encode: ([item], out) => {
      if (!item) return
      const { session, epoch } = item.from
      // A shard that was never claimed has no header.
      const from = session === "" && epoch === 0 ? "" : headerText(session, epoch)
      out.push(from, item.session, String(item.knownEpoch), padding, String(auditLength))
    },
    decode: ([granted, detail, ...active], [item]) => [
      granted === 1
        ? { status: "claimed", epoch: Number(detail), active: active as string[] }
        : { status: "refused", header: parseHeader(item?.shard ?? 0, detail) },
    ],
  })

const ownHeader = (owner: ShardOwner): string => headerText(owner.session, owner.epoch)

export const release = (store: Store, pool: string, items: ReadonlyArray<ReleaseItem>, auditLength: number) =>
  batched<ReleaseItem, "released" | "stale">(store, pool, items, {
    script: scripts.release,
    shard: (item) => item.shard,
    joins: () => false,
    encode: ([item], out) => {
      if (!item) return
      out.push(ownHeader(item), headerText("", item.epoch), String(item.epoch), String(auditLength), writesText(item.writes))
    },
    decode: () => [],
    refused: (reply) => (reply === "released" || reply === "stale" ? [reply] : undefined),
  })

export const trim = (store: Store, pool: string, groups: ReadonlyArray<ShardOwner & { readonly limit: number }>) =>
  batched<ShardOwner & { readonly limit: number }, number | "stale">(store, pool, groups, {
    script: scripts.trim,
    shard: (item) => item.shard,
    joins: () => false,
    // B2: a trim ends at 8 shards and 200 items, because it removes much for a short call.
    size: () => trimSize,
    encode: ([item], out) => {
      if (item) out.push(ownHeader(item), String(Math.min(item.limit, maxItems)))
    },
    decode: ([removed]) => [Number(removed)],
    refused: (reply) => (reply === "stale" ? ["stale"] : undefined),
  })
/** An eighth of a call. */
const trimSize = 32 * 1024

/** `take`: a group with more addresses than a call may have items goes as several, of which only the first takes anything new. */
export async function take(store: Store, pool: string, groups: ReadonlyArray<TakeGroup>): Promise<ReadonlyArray<TakeReply>> {
  const parts: (TakeGroup & { readonly of: number })[] = []
  for (const [of, group] of groups.entries()) {
    const addresses = group.addresses ?? []
    parts.push({ ...group, limit: Math.min(group.limit, maxItems), addresses: addresses.slice(0, maxItems), of })
    for (let at = maxItems; at < addresses.length; at += maxItems) {
      parts.push({ ...group, limit: 0, timers: false, addresses: addresses.slice(at, at + maxItems), of })
    }
  }
  const taken = await batched<(typeof parts)[number], TakeReply>(store, pool, parts, {
    script: scripts.take,
    shard: (group) => group.shard,
    joins: () => false,
    size: (group) => 64 * (group.addresses?.length ?? 0),
    encode: ([group], out) => {
      if (group) out.push(ownHeader(group), String(group.limit), group.timers ? "1" : "0", ...(group.addresses ?? []))
    },
    decode: (reply, [group], now) => {
      const runs: LoadedRun[] = []
      for (let n = 2; n < reply.length; n += 3) {
        const address = String(reply[n])
        runs.push(parseLoaded(address, String(reply[n + 1]), true, reply[n + 2], group?.addresses?.includes(address) !== true))
      }
      const due = group?.timers && reply[1] !== "" ? Number(reply[1]) : undefined
      return [{ status: "taken", runs, more: reply[0] === 1, nextDue: due, now }]
    },
    refused: (reply) => (reply === "stale" ? [{ status: "stale" }] : undefined),
  })
  if (parts.length === groups.length) return taken
  const merged: TakeReply[] = []
  for (const [n, reply] of taken.entries()) {
    const of = parts[n]?.of ?? 0
    const before = merged[of]
    if (!before || reply.status === "stale" || before.status === "stale") merged[of] = reply.status === "stale" ? reply : (before ?? reply)
    else merged[of] = { ...before, runs: [...before.runs, ...reply.runs] }
  }
  return merged
}

interface Unit {
  readonly owner: CommitGroup
  readonly header: string
  readonly item: CommitItem
}

const refusedItem = (status: CommitReply["status"], now: number): CommitReply => ({ status, phase: "active", lastMessage: 0, now })

export async function commit(
  store: Store,
  pool: string,
  groups: ReadonlyArray<CommitGroup>,
): Promise<ReadonlyArray<ReadonlyArray<CommitReply>>> {
  const units: Unit[] = []
  for (const owner of groups) {
    const header = ownHeader(owner)
    for (const item of owner.items) units.push({ owner, header, item })
  }
  const replies = await batched<Unit, CommitReply>(store, pool, units, {
    script: scripts.commit,
    shard: (unit) => unit.owner.shard,
    size: ({ item }) => sizeOf(item),
    joins: (unit, group) => group[0]?.header === unit.header,
    // A group is checked before it is written, so a run's second write must come in a later one.
    name: (unit) => unit.item.address,
    encode: (group, out) => {
      out.push(group[0]?.header ?? "", String(group.length))
      for (const { item } of group) out.push(item.address)
      for (const { item } of group) encodeCommit(item, out)
    },
    decode: (reply, group, now) => group.map((_, n) => decodeCommit(String(reply[2 * n]), Number(reply[2 * n + 1]), now)),
    refused: (reply, group) => (reply === "stale" ? group.map(() => refusedItem("stale", 0)) : undefined),
    poisoned: (group, now) => group.map(() => refusedItem("poisoned", now)),
  })
  let at = 0
  return groups.map((group) => replies.slice(at, (at += group.items.length)))
}

function sizeOf({ address, body, next, append, answers }: CommitItem): number {
  let size = 160 + address.length + (body?.length ?? 0) + (next.phase === "ended" ? next.outcome.length : 0)
  for (const entry of append) size += entry.length
  for (const answer of answers) size += answer.answer.length
  return size
}

/** The arguments of one run, as the header of commit.lua lists them. */
function encodeCommit(item: CommitItem, out: string[]): void {
  const { next, body, append, answers } = item
  const clears = item.journal === "clear"
  const appends = append.length > 0 || (next.phase === "active" && body === undefined && !clears)
  const op =
    (next.phase[0] ?? "") + (body === undefined ? "-" : "b") + (clears ? "c" : appends ? "k" : "-") + (answers.length > 0 ? "w" : "-")
  out.push(`${item.run}\t${item.revision}`, `${item.run}\t${item.newRevision}`, op, String(item.consumed))
  if (next.phase === "ended") {
    out.push(String(next.outcome.length), next.outcome, String(next.retention), next.ifUnseen === "refuse" ? String(item.seen) : "")
  } else if (next.phase === "parked") {
    out.push(dueText(next.due), onText(next.on), String(item.seen))
  }
  if (body !== undefined) out.push(body)
  if (appends && !clears) out.push(String(item.journalLength), String(append.length), ...append)
  if (answers.length > 0) {
    out.push(String(answers.length))
    for (const { id, answer } of answers) out.push(id, answer)
  }
}

function dueText(due: { readonly after: number } | { readonly at: number } | undefined): string {
  if (due === undefined) return ""
  return "after" in due ? `+${due.after}` : String(due.at)
}

function decodeCommit(code: string, lastMessage: number, now: number): CommitReply {
  if (code === "c") return refusedItem("conflict", now)
  if (code === "u") return { status: "unseen", phase: "active", lastMessage, now }
  return { status: "ok", phase: phaseOf(code), lastMessage, now }
}
