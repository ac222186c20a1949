/**
 * Items → groups (one shard each) → calls (B1, B2). A call ends at 200 items or 256 KiB. Where calls may not span shards (cluster), each
 * group is a call of its own. All calls of a verb are sent in one turn, in order.
 */
import { StoreFault } from "../../errors.ts"
import type { Script } from "./scripts.ts"
import type { Servers } from "./servers.ts"

export const maxItems = 200
export const maxBytes = 256 * 1024

/** What a verb needs of the engine. */
export interface Store {
  readonly servers: Servers
  shardPrefix(pool: string, shard: number): string
  /** Override of the store's clock, "" for its own (E4). */
  now(): string
}

export interface Plan<Item, Reply> {
  readonly script: Script
  shard(item: Item): number
  /** Roughly, in bytes. */
  size?(item: Item): number
  /** False: the item does not share the group of its shard (another owner). */
  joins?(item: Item, group: ReadonlyArray<Item>): boolean
  /** Appends the arguments of a group. */
  encode(items: ReadonlyArray<Item>, out: string[]): void
  /** One reply per item; `now` is the store's time where the script answers it. */
  decode(reply: ReadonlyArray<unknown>, items: ReadonlyArray<Item>, now: number): ReadonlyArray<Reply>
  /** What 1 in place of a group's replies, or of all, says of each. */
  readonly usual?: (item: Item) => Reply
  /** For the group as a whole: "stale". */
  refused?(reply: string, items: ReadonlyArray<Item>): ReadonlyArray<Reply> | undefined
}

interface Group<Item> {
  readonly shard: number
  readonly items: Item[]
  /** Where their replies go. */
  readonly at: number[]
}

function cut<Item, Reply>(items: ReadonlyArray<Item>, plan: Plan<Item, Reply>, spans: boolean): Group<Item>[][] {
  const calls: Group<Item>[][] = []
  let groups: Group<Item>[] = []
  /** The last group of each shard, once there is more than one shard. */
  let open: Map<number, Group<Item>> | undefined
  let count = 0
  let bytes = 0
  for (let at = 0; at < items.length; at++) {
    const item = items[at] as Item
    const size = plan.size?.(item) ?? 0
    if (count >= maxItems || (count > 0 && bytes + size > maxBytes)) {
      calls.push(groups)
      groups = []
      open = undefined
      count = 0
      bytes = 0
    }
    const shard = plan.shard(item)
    const present = open ? open.get(shard) : groups[0]?.shard === shard ? groups.at(-1) : undefined
    if (present && (plan.joins?.(item, present.items) ?? true)) {
      present.items.push(item)
      present.at.push(at)
    } else {
      const group = { shard, items: [item], at: [at] }
      const [first] = groups
      if (first && first.shard !== shard) open ??= new Map([[first.shard, groups.at(-1) ?? first]])
      open?.set(shard, group)
      groups.push(group)
    }
    count++
    bytes += size
  }
  if (groups.length > 0) calls.push(groups)
  return spans || calls.every((call) => call.length === 1) ? calls : calls.flatMap((call) => call.map((group) => [group]))
}

export async function batched<Item, Reply>(
  store: Store,
  pool: string,
  items: ReadonlyArray<Item>,
  plan: Plan<Item, Reply>,
): Promise<ReadonlyArray<Reply>> {
  if (items.length === 0) return []
  const replies: Reply[] = Array.from({ length: items.length })
  const calls = cut(items, plan, !store.servers.cluster)
  const [only] = calls
  if (only !== undefined && calls.length === 1) await send(store, pool, only, plan, replies)
  else await Promise.all(calls.map((groups) => send(store, pool, groups, plan, replies)))
  return replies
}

async function send<Item, Reply>(
  store: Store,
  pool: string,
  groups: Group<Item>[],
  plan: Plan<Item, Reply>,
  replies: Reply[],
): Promise<void> {
  const keys: string[] = []
  const args = [store.now()]
  for (const group of groups) {
    keys.push(store.shardPrefix(pool, group.shard))
    const sizeAt = args.push("") - 1
    plan.encode(group.items, args)
    args[sizeAt] = String(args.length - sizeAt - 1)
  }
  const reply = await store.servers.run(plan.script, keys, args)
  const list = Array.isArray(reply) ? (reply as ReadonlyArray<unknown>) : undefined
  const now = Number(list?.[groups.length] ?? 0)
  for (let n = 0; n < groups.length; n++) {
    const group = groups[n] as Group<Item>
    const answers = readGroup(list === undefined ? reply : list[n], group, plan, now)
    for (let m = 0; m < answers.length; m++) replies[group.at[m] ?? 0] = answers[m] as Reply
  }
}

function readGroup<Item, Reply>(reply: unknown, group: Group<Item>, plan: Plan<Item, Reply>, now: number): ReadonlyArray<Reply> {
  if (reply === 1 && plan.usual !== undefined) return group.items.map(plan.usual)
  if (Array.isArray(reply)) return plan.decode(reply, group.items, now)
  const text = String(reply)
  if (text.startsWith("!")) {
    throw new StoreFault(
      `shard ${group.shard}, ${plan.script.name}: ${text.slice(1)}. Something else wrote to its keys, or this is a bug of Ponos.`,
      {
        shard: group.shard,
      },
    )
  }
  const refused = plan.refused?.(text, group.items)
  if (!refused)
    throw new StoreFault(`shard ${group.shard}, ${plan.script.name}: unknown answer ${JSON.stringify(text)}`, { shard: group.shard })
  return refused
}
