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

test("a session that is found dead while it is opened is replaced, and a drain leaves the one that took its place", async () => {
  const ground = memory()
  const engine = await ground.engine()
  const gate = Promise.withResolvers<void>()
  let dead: string | undefined
  const renew: Engine["renew"] = async (pool, session) => {
    // Somebody marked it dead before its first renewal.
    if (session !== undefined) dead ??= session
    if (session === dead && session !== undefined) await engine.leave(pool, session)
    return await engine.renew(pool, session)
  }
  let subscribed = 0
  const subscribe: Engine["subscribe"] = async (pool, channel, listener) => {
    if (channel === "members" && subscribed++ === 0) await gate.promise
    return await engine.subscribe(pool, channel, listener)
  }
  const joining = ground.join("a", { engine: tampered(engine, { renew, subscribe }) })
  await until(() => dead !== undefined && subscribed === 1, "it is found dead while it subscribes")
  // A session that joined in its place would have everything by now.
  await turns(50)
  gate.resolve()
  const { member } = await joining
  await until(() => member.owned().length === shards, "the member holds all")
  expect(member.session).not.toBe(dead)
  await member.drain()
  expect((await engine.members(ground.pool)).members).toEqual([])
})

test("a drain that comes while a dead session is replaced waits for it, and leaves nobody in the pool", async () => {
  const ground = memory()
  const engine = await ground.engine()
  const gate = Promise.withResolvers<void>()
  let joins = 0
  const join: Engine["join"] = async (pool, entry) => {
    if (++joins === 2) await gate.promise
    return await engine.join(pool, entry)
  }
  const { member } = await ground.join("a", { engine: tampered(engine, { join }) })
  await until(() => member.owned().length === shards, "the member holds all")
  await engine.leave(ground.pool, member.session)
  await until(() => joins === 2, "it joins again")
  let drained = false
  const draining = member.drain().then(() => (drained = true))
  await turns(50)
  expect(drained).toBe(false)
  gate.resolve()
  await draining
  expect((await engine.members(ground.pool)).members).toEqual([])
  expect(member.owned()).toEqual([])
})

test("a claim that is answered while its session leaves gives it nothing", async () => {
  const ground = memory()
  const engine = await ground.engine()
  const gate = Promise.withResolvers<void>()
  let claimed = false
  const claim: Engine["claim"] = async (pool, items) => {
    const replies = await engine.claim(pool, items)
    claimed = true
    await gate.promise
    return replies
  }
  const leave: Engine["leave"] = async (pool, session) => {
    gate.resolve()
    await turns(50)
    await engine.leave(pool, session)
  }
  await ground.start(engine, keys(10))
  const { member, holder } = await ground.join("a", { engine: tampered(engine, { claim, leave }) })
  await until(() => claimed, "its claim is on the way")
  await member.drain()
  expect(member.owned()).toEqual([])
  expect([...holder.held.keys()]).toEqual([])
})

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
