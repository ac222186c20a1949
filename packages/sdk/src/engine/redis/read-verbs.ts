/** Verbs that write nothing. */
import type { LoadedRun, RunRecord, ShardHeader, ShardQueue, ShardStatus } from "../engine.ts"
import { batched, type Store } from "./batch.ts"
import { parseHeader, parseLoaded, parseRecord } from "./record.ts"
import { scripts } from "./scripts.ts"

type AddressItem = { readonly shard: number; readonly address: string }

export const read = (store: Store, pool: string, items: ReadonlyArray<AddressItem>, full: boolean) =>
  batched<AddressItem, LoadedRun | undefined>(store, pool, items, {
    script: scripts.read,
    shard: (item) => item.shard,
    encode: (group, out) => out.push(full ? "1" : "0", ...group.map((item) => item.address)),
    decode: (reply, group) =>
      group.map((item, n) => {
        const record = reply[3 * n]
        return typeof record === "string" ? parseLoaded(item.address, record, reply[3 * n + 1] === 1, reply[3 * n + 2]) : undefined
      }),
  })

export async function list(
  store: Store,
  pool: string,
  shard: number,
  cursor: string,
  limit: number,
): Promise<{ readonly cursor: string; readonly runs: ReadonlyArray<RunRecord> }> {
  const reply = await store.servers.run(scripts.list, [store.shardPrefix(pool, shard)], [store.now(), cursor, String(limit)])
  const [next, ...found] = reply as ReadonlyArray<unknown>
  const runs: RunRecord[] = []
  for (let n = 0; n < found.length; n += 3) runs.push(parseRecord(String(found[n]), String(found[n + 1]), found[n + 2] === 1))
  return { cursor: String(next), runs }
}

export const answers = (store: Store, pool: string, items: ReadonlyArray<{ readonly shard: number; readonly id: string }>) =>
  batched<{ readonly shard: number; readonly id: string }, string | undefined>(store, pool, items, {
    script: scripts.answers,
    shard: (item) => item.shard,
    encode: (group, out) => out.push(...group.map((item) => item.id)),
    decode: (reply) => reply.map((answer) => (answer ?? undefined) as string | undefined),
  })

export const headers = (store: Store, pool: string, shards: ReadonlyArray<number>) =>
  batched<number, ShardHeader>(store, pool, shards, {
    script: scripts.headers,
    shard: (shard) => shard,
    joins: () => false,
    encode: () => {},
    decode: ([header], group) => [parseHeader(group[0] ?? 0, header)],
  })

const timeOf = (text: unknown): number | undefined => (text === "" ? undefined : Number(text))

export const queues = (store: Store, pool: string, shards: ReadonlyArray<number>) =>
  batched<number, ShardQueue>(store, pool, shards, {
    script: scripts.queues,
    shard: (shard) => shard,
    joins: () => false,
    encode: () => {},
    decode: ([ready, due, oldest, active], group, now) => [
      { shard: group[0] ?? 0, ready: Number(ready), due: Number(due), oldest: timeOf(oldest), active: Number(active), now },
    ],
  })

export const sweep = (store: Store, pool: string, shards: ReadonlyArray<number>) =>
  batched<number, ShardStatus>(store, pool, shards, {
    script: scripts.sweep,
    shard: (shard) => shard,
    joins: () => false,
    encode: () => {},
    decode: ([header, ready, due, oldest, nextDue, outbox, ...active], group, now) => [
      {
        ...parseHeader(group[0] ?? 0, header),
        ready: Number(ready),
        due: Number(due),
        oldest: timeOf(oldest),
        active: active as string[],
        nextDue: timeOf(nextDue),
        outbox: Number(outbox),
        now,
      },
    ],
  })
