import type { CommitGroup, CommitItem, CommitReply } from "../engine.ts"
import { batchBytes, batchItems, unitBytes, unitItems } from "./calls.ts"

/** Items of one shard, with their places in the caller's list. */
export interface ShardGroup<Item> {
  readonly shard: number
  readonly items: Item[]
  readonly places: number[]
  bytes: number
}

/** Length of the texts of an item; what is not text counts little. */
export const sizeOf = (value: unknown): number => {
  if (typeof value === "string") return value.length
  if (typeof value !== "object" || value === null) return 8
  let size = 0
  for (const part of Object.values(value)) size += sizeOf(part)
  return size
}

/** Groups by shard, in the order of each shard's first item; a group that would overfill a unit goes on in another one (E1, B2). */
export const groupByShard = <Item extends { readonly shard: number }>(items: ReadonlyArray<Item>): ShardGroup<Item>[] => {
  const groups: ShardGroup<Item>[] = []
  const open = new Map<number, ShardGroup<Item>>()
  items.forEach((item, place) => {
    const bytes = sizeOf(item)
    let group = open.get(item.shard)
    if (group === undefined || group.items.length >= unitItems || group.bytes + bytes > unitBytes) {
      group = { shard: item.shard, items: [], places: [], bytes: 0 }
      open.set(item.shard, group)
      groups.push(group)
    }
    group.items.push(item)
    group.places.push(place)
    group.bytes += bytes
  })
  return groups
}

/** A commit group, or a part of one that would overfill a unit. */
export interface CommitUnit {
  readonly group: CommitGroup
  /** Place of the group in the caller's list. */
  readonly place: number
  bytes: number
}

/** Cuts groups that would overfill a unit; `join` puts the replies together again. */
export const cutCommits = (
  groups: ReadonlyArray<CommitGroup>,
): { units: ReadonlyArray<CommitUnit>; join: (replies: ReadonlyArray<ReadonlyArray<CommitReply>>) => CommitReply[][] } => {
  const units: CommitUnit[] = []
  groups.forEach((group, place) => {
    let items: CommitItem[] = []
    let unit: CommitUnit | undefined
    for (const item of group.items) {
      const bytes = sizeOf(item)
      if (unit === undefined || items.length >= unitItems || unit.bytes + bytes > unitBytes) {
        items = []
        unit = { group: { ...group, items }, place, bytes: 0 }
        units.push(unit)
      }
      items.push(item)
      unit.bytes += bytes
    }
  })
  const join = (replies: ReadonlyArray<ReadonlyArray<CommitReply>>): CommitReply[][] => {
    const joined: CommitReply[][] = groups.map(() => [])
    units.forEach((unit, n) => joined[unit.place]?.push(...(replies[n] ?? [])))
    return joined
  }
  return { units, join }
}

/** Share of a batch that a number of items with so many bytes fills. */
export const share = (items: number, bytes: number): number => Math.max(items / batchItems, bytes / batchBytes)
