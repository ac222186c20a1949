/** One of two servers does not answer: what is on the other one is claimed, swept, taken, committed and handed over as if nothing were. */
import { expect, test } from "vitest"
import type { Engine } from "../../src/engine/engine.ts"
import { uniqueName } from "../../../../tools/with-redis.ts"
import { fast, Ground, Holder, shards, tampered, until } from "./support.ts"

const serverOf = (shard: number): string => (shard < shards / 2 ? "a" : "b")
const over = ["headers", "sweep", "claim", "release", "take", "commit", "trim", "read"] as const

/** As a cluster is to its callers: a verb over several shards is answered when the last of them is. */
class TwoServers {
  #healed: Promise<void> | undefined
  #heal: (() => void) | undefined

  break(): void {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#healed = promise
    this.#heal = resolve
  }

  heal(): void {
    this.#healed = undefined
    this.#heal?.()
  }

  over(engine: Engine, replace: Partial<Engine> = {}): Engine {
    const verbs = over.map((verb) => [
      verb,
      async (pool: string, items: ReadonlyArray<number | { readonly shard: number }>): Promise<unknown> => {
        if (items.some((item) => serverOf(typeof item === "number" ? item : item.shard) === "b")) await this.#healed
        return await (engine[verb] as (pool: string, items: unknown) => Promise<unknown>).call(engine, pool, items)
      },
    ])
    return tampered(engine, {
      spansShards: false,
      serverOf: (_pool, shard) => serverOf(shard),
      ...(Object.fromEntries(verbs) as Partial<Engine>),
      ...replace,
    })
  }
}

const world = async () => {
  const ground = new Ground(`memory:${uniqueName("broken-server")}`)
  const engine = await ground.engine()
  const servers = new TwoServers()
  let next = 0
  const keysOn = (server: string, count: number): ReadonlyArray<string> => {
    const found: string[] = []
    while (found.length < count) {
      const key = `key-${next++}`
      if (serverOf(ground.item(key).shard) === server) found.push(key)
    }
    return found
  }
  const ran = (key: string): boolean => ground.history.of(ground.item(key).address).length > 0
  return { ground, engine, servers, keysOn, ran }
}
const options = { ...fast, leaseMs: 2_000 }

test("who joins claims what is on the living one, and runs it", async () => {
  const { ground, engine, servers, keysOn, ran } = await world()
  servers.break()
  const { member } = await ground.join("one", { engine: servers.over(engine), options })
  const [living, broken] = [keysOn("a", 20), keysOn("b", 20)]
  await ground.start(engine, [...living, ...broken])
  await until(() => living.every(ran), "those on the living server run")
  expect(member.owned().every(({ shard }) => serverOf(shard) === "a")).toBe(true)
  servers.heal()
  await until(() => broken.every(ran), "the others run when it is back")
  ground.history.checkNoOverlap()
})

test("a sweep finds on the living one what lost hints missed, round after round", async () => {
  const { ground, engine, servers, keysOn, ran } = await world()
  const { member } = await ground.join("one", { engine: servers.over(engine, { onHint: async () => async () => {} }), options })
  await until(() => member.owned().length === shards, "all is held")
  servers.break()
  for (let round = 0; round < 3; round++) {
    const living = keysOn("a", 10)
    await ground.start(engine, [...living, ...keysOn("b", 10)])
    await until(() => living.every(ran), `those of round ${round} run`)
  }
  await until(() => member.stats.waiting().unanswered === shards / 2, "its metrics say how many shards are not answered for")
  servers.heal()
  await until(() => member.stats.waiting().unanswered === 0, "all are again")
})

test("takes that are not answered keep no room from the others", async () => {
  const { ground, engine, servers, keysOn, ran } = await world()
  const consumer = new Holder("one", ground.history)
  consumer.limit = 4
  consumer.endAtOnce = true
  const { member } = await ground.join("one", { engine: servers.over(engine), options, consumer })
  await until(() => member.owned().length === shards, "all is held")
  servers.break()
  const [living, broken] = [keysOn("a", 60), keysOn("b", 60)]
  await ground.start(engine, broken)
  await ground.start(engine, living)
  await until(() => living.every(ran), "those on the living server run")
  servers.heal()
  await until(() => broken.every(ran), "the others run when it is back")
  expect(consumer.errors).toEqual([])
})

test("runs whose commits are not answered keep no room from the others", async () => {
  const { ground, engine, servers, keysOn, ran } = await world()
  const consumer = new Holder("one", ground.history)
  consumer.limit = 4
  const { member } = await ground.join("one", { engine: servers.over(engine), options, consumer })
  await until(() => member.owned().length === shards, "all is held")
  const broken = keysOn("b", 4)
  await ground.start(engine, broken)
  await until(() => broken.every(ran), "the worker has as many as it takes, all on one server")
  servers.break()
  const ends = broken.map((key) => consumer.commit(ground.item(key).address, { phase: "ended", outcome: "", retention: 1_000 }))
  const living = keysOn("a", 4)
  await ground.start(engine, living)
  await until(() => living.every(ran), "those on the other one run")
  expect(consumer.held.size).toBe(8)
  const later = keysOn("a", 4)
  await ground.start(engine, later)
  servers.heal()
  expect((await Promise.all(ends)).map(({ status }) => status)).toEqual(["ok", "ok", "ok", "ok"])
  expect(later.some(ran)).toBe(false)
  for (const key of living) await consumer.commit(ground.item(key).address, { phase: "ended", outcome: "", retention: 1_000 })
  await until(() => later.every(ran), "then the next ones")
})

test("shards of the living one are handed over", async () => {
  const { ground, engine, servers } = await world()
  const one = await ground.join("one", { engine: servers.over(engine), options })
  await until(() => one.member.owned().length === shards, "all is held")
  servers.break()
  const two = await ground.join("two", { engine: servers.over(engine), options })
  await until(() => two.member.owned().length > 0, "two has some")
  const ofTwo = two.member.owned().map(({ shard }) => shard)
  expect(ofTwo.filter((shard) => serverOf(shard) === "b")).toEqual([])
  expect(one.member.owned().filter(({ shard }) => ofTwo.includes(shard))).toEqual([])
  servers.heal()
  await until(() => one.member.owned().length === shards / 2 && two.member.owned().length === shards / 2, "both hold their half")
  ground.history.checkNoOverlap()
})
