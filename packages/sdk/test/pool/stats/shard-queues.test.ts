/** What `stats()` reads when servers of a cluster are away: the invariants are those of shard-queues.ts. */
import { expect, test } from "vitest"
import type { Engine, ShardQueue } from "../../../src/engine/engine.ts"
import { StoreFault, StoreUnavailable } from "../../../src/errors.ts"
import { QueueReader } from "../../../src/pool/stats/shard-queues.ts"

const queue = (shard: number): ShardQueue => ({ shard, ready: shard, due: 0, oldest: undefined, active: 0, now: 1_000 })

/** Even shards are on one server, odd ones on another. `answer`: what the odd ones do. */
const twoServers = (answer: (shard: number) => Promise<ShardQueue>) => {
  const asked: Array<number> = []
  const engine = {
    spansShards: false,
    serverOf: (_pool: string, shard: number) => String(shard % 2),
    queues: async (_pool: string, shards: ReadonlyArray<number>) => {
      asked.push(...shards)
      return await Promise.all(shards.map((shard) => (shard % 2 === 0 ? Promise.resolve(queue(shard)) : answer(shard))))
    },
  } as unknown as Engine
  return { engine, asked }
}

test("Q1: shards whose server refuses are named, and those of the others are read", async () => {
  const { engine } = twoServers(() => Promise.reject(new StoreUnavailable("away")))
  const { queues, unknown } = await new QueueReader().read(engine, "pool", 6)
  expect(queues.map(({ shard }) => shard)).toEqual([0, 2, 4])
  expect(unknown).toEqual([1, 3, 5])
})

test("Q1: a server that never answers is waited for no longer than the patience", async () => {
  const { engine } = twoServers(() => new Promise(() => {}))
  const { queues, unknown } = await new QueueReader(20).read(engine, "pool", 4)
  expect(queues.map(({ shard }) => shard)).toEqual([0, 2])
  expect(unknown).toEqual([1, 3])
})

test("Q1: when nobody has answered in that time, the first who does is waited for", async () => {
  const { promise, resolve } = Promise.withResolvers<ShardQueue>()
  const { engine, asked } = twoServers(() => promise)
  const only = {
    ...engine,
    queues: async (pool: string, [shard]: ReadonlyArray<number>) => await engine.queues(pool, [(shard ?? 0) * 2 + 1]),
  }
  let done = false
  const reading = new QueueReader(5).read(only as Engine, "pool", 2).then((read) => {
    done = true
    return read
  })
  await new Promise((next) => setTimeout(next, 40))
  expect([done, asked]).toEqual([false, [1, 3]])
  resolve(queue(0))
  expect((await reading).queues.length).toBeGreaterThan(0)
})

test("Q1: when all fail it throws, and what is no outage is thrown whatever the others say", async () => {
  const away = twoServers(() => Promise.reject(new StoreUnavailable("away")))
  const none = { ...away.engine, queues: () => Promise.reject(new StoreUnavailable("all away")) } as unknown as Engine
  await expect(new QueueReader().read(none, "pool", 4)).rejects.toThrow("all away")
  const damaged = twoServers((shard) => Promise.reject(shard === 3 ? new StoreFault("damaged") : new StoreUnavailable("away")))
  await expect(new QueueReader().read(damaged.engine, "pool", 6)).rejects.toThrow("damaged")
})

test("Q2: a shard that has not answered is asked once, until that call has ended", async () => {
  let end: ((queue: ShardQueue) => void) | undefined
  let hang = true
  const { engine, asked } = twoServers((shard) => (hang ? new Promise((resolve) => (end = resolve)) : Promise.resolve(queue(shard))))
  const reader = new QueueReader(10)
  for (let n = 0; n < 5; n++) expect((await reader.read(engine, "pool", 2)).unknown).toEqual([1])
  expect(asked.filter((shard) => shard === 1)).toEqual([1])
  hang = false
  end?.(queue(1))
  await Promise.resolve()
  await expect.poll(async () => (await reader.read(engine, "pool", 2)).unknown).toEqual([])
})

test("readings at the same time do not take each other's shards for those that are away", async () => {
  const { engine } = twoServers(async (shard) => {
    await new Promise((resolve) => setTimeout(resolve, 5))
    return queue(shard)
  })
  const reader = new QueueReader()
  const readings = await Promise.all(Array.from({ length: 5 }, () => reader.read(engine, "pool", 4)))
  expect(readings.map(({ unknown }) => unknown)).toEqual([[], [], [], [], []])
})
