/** What a pool does when hints, answers or the store itself are lost. */
import { expect, test } from "vitest"
import { StoreUnavailable } from "../../src/errors.ts"
import { shardOf } from "../../src/key.ts"
import { address, cuttable, describeStores, fast, Ground, keys, shards, tampered, until } from "./support.ts"

describeStores("a pool under faults", (url) => {
  test("finds by the sweep what a lost hint missed: starts, releases, ends", async () => {
    const ground = new Ground(url())
    const engine = await ground.engine()
    const deaf = tampered(engine, { onHint: async () => async () => {} })
    const a = await ground.join("a", { engine: deaf })
    const b = await ground.join("b", { engine: deaf })
    await until(() => a.member.owned().length === 8 && b.member.owned().length === 8, "both hold their half")
    await ground.start(engine, keys(20))
    await until(() => ground.history.running().length === 20, "all run")
    const shard = shardOf("key-0", shards)
    await engine.terminate(ground.pool, [{ shard, address: address("key-0"), outcome: "", newRevision: "t", retention: 60_000 }])
    await until(() => ground.history.running().length === 19, "the ended one stops")
    ground.history.checkNoOverlap()
  })

  test("runs what a lost answer of a take left in active, once (W1: the lost reply of a pull)", async () => {
    const ground = new Ground(url())
    const engine = await ground.engine()
    let lose = 0
    const lossy = tampered(engine, {
      async take(pool, groups) {
        const replies = await engine.take(pool, groups)
        if (lose > 0 && replies.some((reply) => reply.status === "taken" && reply.runs.length > 0)) {
          lose--
          throw new StoreUnavailable("the answer was lost by the test")
        }
        return replies
      },
    })
    const a = await ground.join("a", { engine: lossy })
    await until(() => a.member.owned().length === shards, "a holds all")
    lose = 3
    await ground.start(engine, keys(20))
    await until(() => ground.history.running().length === 20, "all run")
    expect(lose).toBe(0)
    expect(ground.history.executions).toHaveLength(20)
  })

  test("repeats a commit whose answer was lost, and gets the first answer", async () => {
    const ground = new Ground(url())
    const engine = await ground.engine()
    let lost = 0
    const lossy = tampered(engine, {
      async commit(pool, groups) {
        const replies = await engine.commit(pool, groups)
        if (lost++ < 2) throw new StoreUnavailable("the answer was lost by the test")
        return replies
      },
    })
    const a = await ground.join("a", { engine: lossy })
    a.holder.endAtOnce = true
    await until(() => a.member.owned().length === shards, "a holds all")
    await ground.start(engine, keys(10))
    await until(() => ground.history.executions.length === 10 && ground.history.running().length === 0, "all ended")
    expect(a.holder.errors).toEqual([])
    expect(lost).toBeGreaterThan(2)
  })

  test("is deposed at the end of trust when the store cannot be reached, and joins again as a new session", async () => {
    const ground = new Ground(url())
    const engine = await ground.engine()
    const cut = cuttable(engine)
    const a = await ground.join("a", { engine: cut.engine })
    const b = await ground.join("b")
    await until(() => a.member.owned().length === 8 && b.member.owned().length === 8, "both hold their half")
    await ground.start(engine, keys(40))
    await until(() => ground.history.running().length === 40, "all run")
    const [session, shard] = [a.member.session, a.member.owned()[0]]
    cut.down.is = true
    await until(() => a.member.owned().length === 0, "a is deposed")
    expect(shard?.abortSignal.aborted).toBe(true)
    await until(() => b.holder.held.size === 40, "b runs all")
    expect(shard?.trusted()).toBe(false)
    expect(a.holder.givenUp.filter(({ reason }) => reason === "deposed")).toHaveLength(8)
    cut.down.is = false
    await until(() => a.member.session !== session && a.member.owned().length === 8, "a is back with its half")
    expect(ground.seen("joined").at(-1)).toMatchObject({ on: "a", previous: session })
    await until(() => ground.history.running().length === 40, "all run")
    ground.history.checkNoOverlap()
  })

  test("is deposed when only its data path is cut, although its renewals get through (S4, L11)", async () => {
    const ground = new Ground(url())
    const engine = await ground.engine()
    const { engine: cut, down } = cuttable(engine)
    const lives = ["registerLife", "probe", "join", "renew", "updateMember", "markDead", "leave"] as const
    const apart = tampered(cut, Object.fromEntries(lives.map((verb) => [verb, engine[verb].bind(engine)])))
    const a = await ground.join("a", { engine: apart })
    const b = await ground.join("b")
    await until(() => a.member.owned().length === 8 && b.member.owned().length === 8, "both hold their half")
    await ground.start(engine, keys(40))
    await until(() => ground.history.running().length === 40, "all run")
    down.is = true
    await until(() => b.holder.held.size === 40, "b runs all")
    expect(a.member.owned()).toEqual([])
    ground.history.checkNoOverlap()
    down.is = false
    await until(() => a.member.owned().length === 8, "a is back with its half")
  })

  test("goes on as the same session when nobody marked it dead meanwhile", async () => {
    const ground = new Ground(url())
    const engine = await ground.engine()
    const cut = cuttable(engine)
    const a = await ground.join("a", { engine: cut.engine })
    await until(() => a.member.owned().length === shards, "a holds all")
    await ground.start(engine, keys(10))
    await until(() => ground.history.running().length === 10, "all run")
    const session = a.member.session
    const epoch = a.member.owned()[0]?.epoch ?? 0
    cut.down.is = true
    await until(() => ground.seen("deposed").length > 0, "a is deposed")
    cut.down.is = false
    await until(() => a.member.owned().length === shards && ground.history.running().length === 10, "a runs all again")
    expect(a.member.session).toBe(session)
    expect(a.member.owned().find(({ shard }) => shard === 0)?.epoch).toBeGreaterThan(epoch)
    ground.history.checkNoOverlap()
  })

  test("releases a shard whose header names it without its knowledge (O1)", async () => {
    const ground = new Ground(url())
    const engine = await ground.engine()
    const a = await ground.join("a")
    const b = await ground.join("b")
    await until(() => a.member.owned().length === 8 && b.member.owned().length === 8, "both hold their half")
    const taken = a.member.owned()[0]
    if (taken === undefined) throw new Error("a holds nothing")
    const { shard, epoch } = taken
    // As if b had claimed it and the answer had been lost.
    await engine.claim(ground.pool, [{ shard, session: b.member.session, from: { session: a.member.session, epoch }, knownEpoch: epoch }])
    await until(() => a.member.owned().some((one) => one.shard === shard && one.epoch > epoch + 1), "a has it again")
    expect(b.member.owned()).toHaveLength(8)
  })

  test("reports shards that their assignee does not claim, and the next on their ring claims them (A4)", async () => {
    const ground = new Ground(url())
    const engine = await ground.engine()
    const a = await ground.join("a")
    await until(() => a.member.owned().length === shards, "a holds all")
    let able = false
    const unable = tampered(engine, {
      claim: (...args) => (able ? engine.claim(...args) : Promise.reject(new StoreUnavailable("refused by the test"))),
    })
    const b = await ground.join("b", { engine: unable })
    await ground.start(engine, keys(40))
    await until(() => ground.seen("unclaimed").filter(({ on }) => on === "a").length === 8, "a reports the half of b")
    expect(ground.seen("unclaimed").every(({ assignee }) => assignee === b.member.session)).toBe(true)
    await until(() => a.member.owned().length === shards, "a stands in")
    const stoodIn = ground.seen("stoodIn")
    expect(stoodIn.map(({ on, assignee }) => [on, assignee])).toEqual(Array.from({ length: 8 }, () => ["a", b.member.session]))
    await until(() => a.holder.held.size === 40, "a runs all")
    // The next assignment gives its assignees another chance.
    able = true
    const c = await ground.join("c")
    await until(() => [a, b, c].every(({ member }) => member.owned().length >= 5), "all hold what they shall")
    await until(() => ground.history.running().length === 40, "all run")
    ground.history.checkNoOverlap()
  })

  test("reports handlers that do not settle, and releases at the deadline", async () => {
    const ground = new Ground(url())
    const engine = await ground.engine()
    const a = await ground.join("a", { options: { ...fast, drainMs: 50 } })
    await until(() => a.member.owned().length === shards, "a holds all")
    await ground.start(engine, ["acme"])
    await until(() => a.holder.held.size === 1, "it runs")
    a.holder.giveUp = () => new Promise(() => {})
    await a.member.drain()
    expect(ground.seen("overrun").filter(({ shard }) => shard === shardOf("acme", shards))).toMatchObject([
      { addresses: [address("acme")] },
    ])
    const [header] = await engine.headers(ground.pool, [shardOf("acme", shards)])
    expect(header?.session).toBe("")
  })
})
