/**
 * B2: a call ends at 200 items or 256 KiB, so that no script holds the server up for long, and spans shards only where it may. One call without an end is what
 * it prevents: a burst of starts that blocks every other tenant's call for its whole length, or that a cluster refuses whole.
 */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import type { CommitGroup, CommitItem } from "../../src/engine/engine.ts"
import { batched, maxBytes, maxItems, type Store } from "../../src/engine/redis/batch.ts"
import { commit } from "../../src/engine/redis/commit-verb.ts"
import { scripts } from "../../src/engine/redis/scripts.ts"

interface Call {
  readonly keys: ReadonlyArray<string>
  readonly args: ReadonlyArray<string>
}

/** A server that answers calls as `answer` says, and remembers them. */
const recording = (cluster: boolean, answer: (call: Call) => unknown): { readonly store: Store; readonly calls: Array<Call> } => {
  const calls: Call[] = []
  const run = (_: unknown, keys: ReadonlyArray<string>, args: ReadonlyArray<string>): Promise<unknown> => {
    calls.push({ keys, args })
    return Promise.resolve(answer({ keys, args }))
  }
  return { store: { servers: { cluster, run } as never, shardPrefix: (_, shard) => `s${shard}:`, now: () => "" }, calls }
}

/** The groups of a call: each has its size before its arguments, and the first argument of all is the time. */
const groupsOf = ({ keys, args }: Call): ReadonlyArray<{ readonly shard: number; readonly args: ReadonlyArray<string> }> => {
  let at = 1
  return keys.map((key) => {
    const size = Number(args[at])
    const own = args.slice(at + 1, at + 1 + size)
    at += 1 + size
    return { shard: Number(key.slice(1, -1)), args: own }
  })
}

const bytesOf = ({ args }: Call): number => args.reduce((sum, text) => sum + text.length, 0)

const checkShards = (call: Call, cluster: boolean): void => {
  if (cluster) expect(call.keys).toHaveLength(1)
}

describe.each([false, true])("batches (cluster: %s)", (cluster) => {
  interface Item {
    readonly shard: number
    readonly text: string
  }
  const echo = (items: ReadonlyArray<Item>) => {
    const { store, calls } = recording(cluster, (call) => [...groupsOf(call).map(({ args }) => args), "7"])
    const replies = batched<Item, string>(store, "pool", items, {
      script: scripts.read,
      shard: ({ shard }) => shard,
      size: ({ text }) => text.length,
      encode: (group, out) => out.push(...group.map(({ text }) => text)),
      decode: (reply) => reply as ReadonlyArray<string>,
    })
    return { replies, calls }
  }

  test("end at 200 items and 256 KiB, and are answered item by item in the order given", async () => {
    const some = fc.array(fc.record({ shard: fc.nat(5), kib: fc.constantFrom(0, 0, 0, 1, 40, 300) }), { maxLength: 700 })
    await fc.assert(
      fc.asyncProperty(some, async (given) => {
        const items = given.map(({ shard, kib }, n) => ({ shard, text: `${n}.${"x".repeat(kib * 1_024)}` }))
        const { replies, calls } = echo(items)
        expect(await replies).toEqual(items.map(({ text }) => text))
        for (const call of calls) {
          const count = groupsOf(call).reduce((sum, { args }) => sum + args.length, 0)
          expect(count).toBeGreaterThan(0)
          expect(count).toBeLessThanOrEqual(maxItems)
          // one item that is larger goes alone
          if (count > 1) expect(bytesOf(call)).toBeLessThanOrEqual(maxBytes + 8 * (1 + call.keys.length))
          checkShards(call, cluster)
        }
      }),
      { numRuns: 30 },
    )
  })

  test("a burst of one shard is as few calls as that allows", async () => {
    const { replies, calls } = echo(Array.from({ length: 1_001 }, (_, n) => ({ shard: 3, text: String(n) })))
    await replies
    expect(calls.map((call) => groupsOf(call)[0]?.args.length)).toEqual([200, 200, 200, 200, 200, 1])
  })

  const commitItem = (n: number, kib: number): CommitItem => ({
    address: `k/${n}`,
    run: "r",
    revision: "1.1",
    newRevision: "1.2",
    journalLength: 0,
    append: [],
    journal: "clear",
    next: { phase: "ready" },
    body: "x".repeat(kib * 1_024),
    consumed: 0,
    seen: 0,
    answers: [],
  })

  test("commits end there too, and each run gets its own answer", async () => {
    const group = fc.record({ shard: fc.nat(5), kibs: fc.array(fc.constantFrom(0, 0, 1, 40, 300), { minLength: 1, maxLength: 300 }) })
    await fc.assert(
      fc.asyncProperty(fc.array(group, { minLength: 1, maxLength: 5 }), async (given) => {
        // a is the answer of an active run, and the number after it that of its last message: here the number of the run
        const { store, calls } = recording(cluster, (call) => {
          const lines = groupsOf(call).map(({ args }) => {
            const addresses = args.slice(2, 2 + Number(args[1]))
            return addresses.map((address) => `a${address.slice(2)}`).join("")
          })
          return `${lines.join("\n")}\n7`
        })
        let n = 0
        const groups = given.map(({ shard, kibs }): CommitGroup => ({
          shard,
          session: "s",
          epoch: 1,
          items: kibs.map((kib) => commitItem(++n, kib)),
        }))
        const replies = await commit(store, "pool", groups)
        expect(replies.map((of) => of.map(({ lastMessage }) => `k/${lastMessage}`))).toEqual(
          groups.map(({ items }) => items.map(({ address }) => address)),
        )
        for (const call of calls) {
          const count = groupsOf(call).reduce((sum, { args }) => sum + Number(args[1]), 0)
          expect(count).toBeLessThanOrEqual(maxItems)
          if (count > 1) expect(bytesOf(call)).toBeLessThanOrEqual(maxBytes)
          checkShards(call, cluster)
        }
      }),
      { numRuns: 30 },
    )
  })
})
