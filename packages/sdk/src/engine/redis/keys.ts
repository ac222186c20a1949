/**
 * Every key and channel, spelled once. All keys of a shard share the hash tag `{pool:shard}` and those of a pool `{pool}`, so that each
 * script touches one slot. Scripts get a shard's prefix as their declared key and append the names below to it.
 *
 * | shard key    | type | content                                                                       |
 * | ------------ | ---- | ----------------------------------------------------------------------------- |
 * | `r`          | hash | field "" = header; one field per address = record (record.ts)                  |
 * | `q`          | list | ready addresses, each at most once                                            |
 * | `w`          | set  | active addresses; disjoint from `q` and from the positive part of `a`          |
 * | `a`          | zset | agenda: positive = due time of a parked run, negative = -expiry of an ended one |
 * | `i:<address>`| list | inbox; exists only when not empty                                             |
 * | `j:<address>`| list | journal of the current iteration; exists only when not empty                   |
 * | `d`          | zset | request id → expiry                                                           |
 * | `o`          | hash | request id → answer                                                           |
 * | `k`          | hash | per controller: fence, count, first and second sum                             |
 */
import { BadOption } from "../../errors.ts"

export interface PoolKeys {
  /** Hash: shards, incarnation, member version, assignment version. */
  readonly settings: string
  readonly members: string
  readonly counters: string
  readonly assignment: string
  readonly kinds: string
  channel(name: string): string
  shard(shard: number): string
  hint(shard: number): string
  event(shard: number): string
}

const expected = "expected the pool's name to be without ':', '{', '}' and control characters"

export class Keys {
  readonly #prefix: string
  readonly #pools = new Map<string, PoolKeys>()

  constructor(prefix: string) {
    this.#prefix = prefix
  }

  pool(pool: string): PoolKeys {
    const known = this.#pools.get(pool)
    if (known) return known
    // A brace would move the keys to another slot; with a colon, `a:1` could be a pool or a shard of the pool `a`.
    if (pool === "" || /[{}:\p{Cc}]/u.test(pool)) throw new BadOption(`${expected}, got: ${JSON.stringify(pool)}`, { pool })
    const made = spell(`${this.#prefix}:{${pool}`)
    this.#pools.set(pool, made)
    return made
  }
}

function spell(start: string): PoolKeys {
  const shards: string[] = []
  const shard = (number: number) => (shards[number] ??= `${start}:${number}}:`)
  return {
    settings: `${start}}:settings`,
    members: `${start}}:members`,
    counters: `${start}}:counters`,
    assignment: `${start}}:assignment`,
    kinds: `${start}}:kinds`,
    channel: (name) => `${start}}:channel:${name}`,
    shard,
    hint: (number) => `${shard(number)}hint`,
    event: (number) => `${shard(number)}event`,
  }
}
