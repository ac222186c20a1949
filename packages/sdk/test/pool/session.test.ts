/** Sessions that end while something of them is under way: joining, claiming, subscribing, releasing. */
import { expect, test } from "vitest"
import type { Engine } from "../../src/engine/engine.ts"
import { StoreUnavailable } from "../../src/errors.ts"
import { fast, Ground, keys, shards, tampered, until } from "./support.ts"
import { uniqueName } from "../../../../tools/with-redis.ts"

const turns = async (count: number): Promise<void> => {
  for (let turn = 0; turn < count; turn++) await new Promise(setImmediate)
}
const memory = (): Ground => new Ground(`memory:${uniqueName("session")}`)

test("a drain ends at its deadline also when the store answers no release and its lease goes on", async () => {
  const ground = memory()
  const engine = await ground.engine()
  let asked = 0
  const release: Engine["release"] = async () => {
    asked++
    throw new StoreUnavailable("one of several servers is away")
  }
  const { member } = await ground.join("a", { engine: tampered(engine, { release }) })
  await until(() => member.owned().length === shards, "it holds all")
  await member.drain({ deadline: 200 })
  expect(asked).toBeGreaterThan(0)
  // Free for the next one, as its holder is not there any more.
  const next = await ground.join("b")
  await until(() => next.member.owned().length === shards, "another one holds all")
})

test("a subscription that fails leaves no listener behind", async () => {
  const ground = memory()
  const engine = await ground.engine()
  let failing = 5
  let listeners = 0
  const onHint: Engine["onHint"] = async (pool, shard, listener) => {
    const end = await engine.onHint(pool, shard, listener)
    listeners++
    return async () => {
      listeners--
      await end()
    }
  }
  const subscribe: Engine["subscribe"] = async (pool, channel, listener) => {
    if (channel.startsWith("requests:") && failing-- > 0) throw new StoreUnavailable("not now")
    return await engine.subscribe(pool, channel, listener)
  }
  const { member } = await ground.join("a", { engine: tampered(engine, { onHint, subscribe }), options: fast })
  await until(() => member.owned().length === shards, "it holds all")
  expect(listeners).toBe(shards)
  await member.drain()
  await until(() => listeners === 0, "nobody listens any more")
})
