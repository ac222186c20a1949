/** Verbs of a shard's owner: each carries (session, epoch) and begins with the fence (E2, O3). */
import type { ClaimItem, ClaimReply, LoadedRun, ReleaseItem, ShardOwner, TakeGroup, TakeReply } from "../engine.ts"
import { writesText } from "./audit-verbs.ts"
import { batched, maxItems, type Store } from "./batch.ts"
import { headerText, padding, parseHeader, parseLoaded } from "./record.ts"
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

export const ownHeader = (owner: ShardOwner): string => headerText(owner.session, owner.epoch)

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
      for (let n = 2; n < reply.length; n++) runs.push(parseTaken(reply[n], group?.addresses))
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

/** "address<TAB>record", or [that, inbox, journal]. */
function parseTaken(found: unknown, asked: ReadonlyArray<string> | undefined): LoadedRun {
  const lists = Array.isArray(found) ? (found as ReadonlyArray<unknown>) : undefined
  const text = String(lists === undefined ? found : lists[0])
  const end = text.indexOf("\t")
  const address = text.slice(0, end)
  return parseLoaded(address, text.slice(end + 1), true, lists?.slice(1), asked?.includes(address) !== true)
}
