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
 * | `b`          | set  | addresses that may have an inbox or a journal; what is not in it has neither  |
 * | `d`          | zset | request id → expiry                                                           |
 * | `o`          | hash | request id → answer                                                           |
 * | `k`          | hash | per controller: fence, count, first and second sum                             |
 * | `h`          | list | audit: claims, releases, refused writes (audit-verbs.ts)                       |
 *
 * A map has the hash tag `{pool:m:name}`, a stream with its sinks `{pool:s:name}`:
 *
 * | map key | type | content                                | stream key    | type   | content                                     |
 * | ------- | ---- | -------------------------------------- | ------------- | ------ | ------------------------------------------- |
 * | `e`     | hash | entries                                | `l`           | stream | events: `t` topic, `p` payload; group = sink |
 * | `m`     | hash | revision, bytes, expiry                | `m`           | hash   | `at`, `number` of the last event             |
 * | `d`,`o` |      | request ids and answers, as in a shard | `d`, `o`      |        | request ids and first positions              |
 * |         |      |                                        | `c:<sink>`    | hash   | consumer → counter                           |
 * |         |      |                                        | `r:<sink>`    | hash   | consumer → its last take; `""` → claim cursor |
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
  /** Prefixes, as of a shard. */
  map(name: string): string
  stream(name: string): string
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

function checkName(what: string, name: string): string {
  if (name !== "" && !/[{}\p{Cc}]/u.test(name)) return name
  throw new BadOption(`expected the ${what}'s name to be without '{', '}' and control characters, got: ${JSON.stringify(name)}`, { name })
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
    map: (name) => `${start}:m:${checkName("map", name)}}:`,
    stream: (name) => `${start}:s:${checkName("stream", name)}}:`,
  }
}
