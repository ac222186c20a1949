import { AsyncLocalStorage } from "node:async_hooks"
import { describe, expect, test } from "vitest"
import { Refused } from "../../src/engine/batcher.ts"
import { ShardBatcher } from "../../src/engine/shard-batcher.ts"

interface Item {
  readonly shard: number
  readonly text: string
}
const item = (shard: number, text: string): Item => ({ shard, text })

/** Even shards on one server, odd ones on another. `hold` keeps a shard's calls until it is called again with false. */
class World {
  readonly calls: Array<ReadonlyArray<string>> = []
  readonly #held = new Map<number, Array<() => void>>()
  readonly batcher: ShardBatcher<Item, string>

  constructor(spans: boolean, maxInFlight = 2) {
    const engine = spans ? {} : { serverOf: (_pool: string, shard: number) => (shard % 2 === 0 ? "even" : "odd") }
    this.batcher = new ShardBatcher<Item, string>({
      engine: () => engine,
      pool: "pool",
      shardOf: ({ shard }) => shard,
      send: async (items) => {
        this.calls.push(items.map(({ text }) => text))
        for (const { shard } of items) {
          const held = this.#held.get(shard)
          if (held !== undefined) await new Promise<void>((resolve) => held.push(resolve))
        }
        return items.map(({ text }) => (text === "bad" ? new Refused(new Error("refused")) : `${text}!`))
      },
      maxInFlight,
    })
  }

  hold(shard: number): void {
    this.#held.set(shard, [])
  }

  free(shard: number): void {
    const held = this.#held.get(shard) ?? []
    this.#held.delete(shard)
    for (const resolve of held) resolve()
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe("a batch of shards", () => {
  test("is one call where calls span shards", async () => {
    const { batcher, calls } = new World(true)
    const replies = await Promise.all([batcher.add(item(0, "a")), batcher.add(item(1, "b")), batcher.add(item(0, "c"))])
    expect(replies).toEqual(["a!", "b!", "c!"])
    expect(calls).toEqual([["a", "b", "c"]])
  })

  test("is a call for each shard where they do not; each item gets its own reply or error", async () => {
    const { batcher, calls } = new World(false)
    const added = [batcher.add(item(0, "a")), batcher.add(item(1, "b")), batcher.add(item(0, "c")), batcher.add(item(2, "bad"))]
    await expect(added[3]).rejects.toThrow("refused")
    expect(await Promise.all(added.slice(0, 3))).toEqual(["a!", "b!", "c!"])
    expect(new Set(calls)).toEqual(new Set([["a", "c"], ["b"], ["bad"]]))
  })

  test("is sent in nobody's context", async () => {
    const job = new AsyncLocalStorage<string>()
    const seen: Array<string | undefined> = []
    const batcher = new ShardBatcher<Item, string>({
      engine: () => ({ serverOf: () => "one" }),
      pool: "pool",
      shardOf: ({ shard }) => shard,
      send: async (items) => {
        seen.push(job.getStore())
        return items.map(({ text }) => text)
      },
    })
    expect(await job.run("a job", async () => [await batcher.add(item(0, "a")), job.getStore()])).toEqual(["a", "a job"])
    expect(seen).toEqual([undefined])
  })

  test("of a server that does not answer holds up no other server, and gathers", async () => {
    const world = new World(false)
    const { batcher, calls } = world
    world.hold(1)
    const stuck: Promise<string>[] = []
    for (let n = 0; n < 5; n++) {
      stuck.push(batcher.add(item(1, `stuck-${n}`)))
      expect(await batcher.add(item(0, `${n}`))).toBe(`${n}!`)
    }
    expect(calls.filter(([text]) => text?.startsWith("stuck"))).toEqual([["stuck-0"], ["stuck-1"]])
    world.free(1)
    expect(await Promise.all(stuck)).toEqual([0, 1, 2, 3, 4].map((n) => `stuck-${n}!`))
    expect(calls.at(-1)).toEqual(["stuck-2", "stuck-3", "stuck-4"])
  })

  test("with a shard that does not answer is not waited for by the others of its server; that shard sends nothing until it is answered", async () => {
    const world = new World(false, 1)
    const { batcher, calls } = world
    world.hold(1)
    const stuck = [batcher.add(item(1, "stuck-0"))]
    await turn()
    for (let n = 0; n < 5; n++) {
      const reply = batcher.add(item(3, `${n}`))
      stuck.push(batcher.add(item(1, `stuck-${n + 1}`)))
      expect(await reply).toBe(`${n}!`)
    }
    expect(calls.filter(([text]) => text?.startsWith("stuck"))).toEqual([["stuck-0"]])
    world.free(1)
    expect(await Promise.all(stuck)).toEqual([0, 1, 2, 3, 4, 5].map((n) => `stuck-${n}!`))
    expect(calls.at(-1)).toEqual(["stuck-1", "stuck-2", "stuck-3", "stuck-4", "stuck-5"])
  })
})
