import { expect, test } from "vitest"
import { Deposed } from "../../src/errors.ts"
import { shardOf } from "../../src/key.ts"
import { requestChannel } from "../../src/pool/channels.ts"
import type { PoolMember } from "../../src/pool/member.ts"
import { address, describeStores, fast, Ground, keys, kind, shards, tampered, until } from "./support.ts"

const holds = (member: PoolMember, count: number) => (): boolean => member.owned().length === count
const shardsOf = (member: PoolMember): ReadonlyArray<number> =>
  member
    .owned()
    .map(({ shard }) => shard)
    .sort((a, b) => a - b)

describeStores("a pool", (url) => {
  test("shares its shards among its members, and each has one owner", async () => {
    const ground = new Ground(url())
    const { member: a } = await ground.join("a")
    await until(holds(a, shards), "a holds all")
    const { member: b } = await ground.join("b")
    const { member: c } = await ground.join("c")
    await until(
      () => [a, b, c].every((one) => one.owned().length >= 5) && a.owned().length + b.owned().length + c.owned().length === shards,
      "the three share",
    )
    expect([a, b, c].flatMap(shardsOf).sort((x, y) => x - y)).toEqual(Array.from({ length: shards }, (_, shard) => shard))
    const owner = [a, b, c].find((one) => shardsOf(one).includes(shardOf("acme", shards)))
    expect(a.ownerOf("acme")).toEqual({ shard: shardOf("acme", shards), session: owner?.session })
    await until(() => a.members().length === 3, "a knows all members")
  })

  test("rescues the shards and jobs of a member that died, without an overlap", async () => {
    const ground = new Ground(url())
    const engine = await ground.engine()
    const a = await ground.join("a")
    const b = await ground.join("b")
    await until(() => a.member.owned().length === 8 && b.member.owned().length === 8, "both hold their half")
    await ground.start(engine, keys(40))
    await until(() => ground.history.running().length === 40, "all run")
    const fences = new Map(b.member.owned().map((shard) => [shard.shard, shard.nextFence()]))
    const moved = b.holder.held.size
    expect(moved).toBeGreaterThan(0)
    b.member.kill()
    await until(holds(a.member, shards), "a holds all")
    await until(() => a.holder.held.size === 40, "a runs all")
    expect(ground.seen("rescued").filter((event) => event.on === "a")).toHaveLength(8)
    expect(ground.seen("markedDead").length).toBeGreaterThan(0)
    ground.history.checkNoOverlap()
    // Fences of the new owner are higher (O2).
    for (const shard of a.member.owned()) expect(shard.nextFence()).toBeGreaterThan(fences.get(shard.shard) ?? 0n)
  })

  test("of several that see a member die and mark it, one tells", async () => {
    const ground = new Ground(url())
    const asked = Promise.withResolvers<void>()
    const replies: Array<string> = []
    let asks = 0
    const watcher = async (name: string) => {
      const engine = await ground.engine()
      const markDead: typeof engine.markDead = async (...mark) => {
        if (++asks === 3) asked.resolve()
        // None before all three: they have seen the same.
        await asked.promise
        const reply = await engine.markDead(...mark)
        replies.push(reply)
        return reply
      }
      return await ground.join(name, { engine: tampered(engine, { markDead }) })
    }
    await Promise.all(["a", "b", "c"].map(watcher))
    const { member } = await ground.join("d")
    await until(() => member.owned().length === shards / 4, "it has its part")
    member.kill()
    await until(() => replies.length === 3, "three have marked it")
    expect(replies.toSorted()).toEqual(["gone", "gone", "marked"])
    await until(() => ground.seen("memberLeft").length === 3, "all have heard of it")
    expect(ground.seen("markedDead").map(({ session }) => session)).toEqual([member.session])
  })

  test("hands over at once when a member drains, and the member is gone then", async () => {
    const ground = new Ground(url())
    const engine = await ground.engine()
    const a = await ground.join("a")
    const b = await ground.join("b")
    await until(() => a.member.owned().length === 8 && b.member.owned().length === 8, "both hold their half")
    await ground.start(engine, keys(40))
    await until(() => ground.history.running().length === 40, "all run")
    await a.member.drain({ reason: "test" })
    await a.member.stopped
    expect(a.member.owned()).toEqual([])
    await until(() => b.holder.held.size === 40, "b runs all")
    ground.history.checkNoOverlap()
    expect(a.holder.givenUp.filter(({ reason }) => reason === "drain")).toHaveLength(8)
    expect((await engine.members(ground.pool)).members.map(({ session }) => session)).toEqual([b.member.session])
    expect(ground.seen("rescued")).toEqual([])
  })

  test("the last member leaves its shards released", async () => {
    const ground = new Ground(url())
    const engine = await ground.engine()
    const { member } = await ground.join("a")
    await until(holds(member, shards), "a holds all")
    await member.drain()
    const headers = await engine.headers(
      ground.pool,
      Array.from({ length: shards }, (_, shard) => shard),
    )
    expect(headers.every((header) => header.session === "")).toBe(true)
  })

  test("refuses a commit of a stale owner, who gives the shard up", async () => {
    const ground = new Ground(url())
    const engine = await ground.engine()
    const { member, holder } = await ground.join("a")
    await until(holds(member, shards), "a holds all")
    await ground.start(engine, ["acme"])
    await until(() => holder.held.size === 1, "it runs")
    const held = holder.held.get(address("acme"))
    if (held === undefined) throw new Error("not held")
    const { shard, epoch } = held.shard
    const from = { session: member.session, epoch }
    const [claimed] = await engine.claim(ground.pool, [{ shard, session: "intruder", from, knownEpoch: epoch }])
    expect(claimed?.status).toBe("claimed")
    const refused: unknown = await holder.commit(address("acme"), { phase: "ready" }).catch((error: unknown) => error)
    expect(Deposed.is(refused)).toBe(true)
    expect(held.shard.trusted()).toBe(false)
    await until(() => holder.givenUp.some((one) => one.shard === shard && one.reason === "deposed"), "it is given up")
    expect(ground.seen("deposed").flatMap((event) => event.shards)).toEqual([shard])
    // The intruder is no member: the shard comes back, with a higher epoch, and the run goes on.
    await until(() => holder.held.get(address("acme"))?.shard.trusted() === true, "it runs again")
    expect(holder.held.get(address("acme"))?.shard.epoch).toBeGreaterThan(epoch + 1)
    ground.history.checkNoOverlap()
  })

  test("wakes a run at its time, and at once when it is ready again", async () => {
    const ground = new Ground(url())
    const engine = await ground.engine()
    const { member, holder } = await ground.join("a", { options: { ...fast, sweepMs: 60_000 } })
    await until(holds(member, shards), "a holds all")
    await ground.start(engine, ["acme"])
    await until(() => holder.held.size === 1, "it runs")
    await holder.commit(address("acme"), { phase: "ready" })
    await until(() => ground.history.of(address("acme")).length === 2, "it runs again")
    const reply = await holder.commit(address("acme"), { phase: "parked", due: { after: 120 }, on: [] })
    await until(() => ground.history.of(address("acme")).length === 3, "its timer wakes it")
    const [, second, third] = ground.history.of(address("acme"))
    expect((third?.from ?? 0) - (second?.to ?? 0)).toBeGreaterThan(60)
    expect(reply.phase).toBe("parked")
    expect(Math.abs(member.owned()[0]!.now() - reply.now)).toBeLessThan(5_000)
  })

  test("brings messages and requests to the owner", async () => {
    const ground = new Ground(url())
    const engine = await ground.engine()
    const { member, holder } = await ground.join("a")
    await until(holds(member, shards), "a holds all")
    await ground.start(engine, ["acme"])
    await until(() => holder.held.size === 1, "it runs")
    const shard = shardOf("acme", shards)
    await engine.message(ground.pool, [
      { shard, address: address("acme"), kind: "signal", name: "pause", id: "m1", payload: "why", inboxLimit: 10, retention: 1_000 },
    ])
    await until(() => holder.messages.length === 1, "the message arrives")
    expect(holder.messages[0]?.message).toMatchObject({ number: 1, kind: "signal", name: "pause", payload: "why" })
    await engine.publish(ground.pool, requestChannel(shard), "how far?")
    await until(() => holder.requests.length === 1, "the request arrives")
    expect(holder.requests).toEqual(["how far?"])
  })

  test("takes no more than the consumer has room for", async () => {
    const ground = new Ground(url())
    const engine = await ground.engine()
    const { member, holder } = await ground.join("a")
    holder.limit = 3
    await until(holds(member, shards), "a holds all")
    await ground.start(engine, keys(30))
    let most = 0
    while (ground.history.executions.length < 30) {
      most = Math.max(most, holder.held.size)
      const [next] = holder.held.keys()
      if (next === undefined) await new Promise((resolve) => setTimeout(resolve, 1))
      else await holder.commit(next, { phase: "ended", outcome: "", retention: 1_000 })
    }
    expect(most).toBeLessThanOrEqual(3)
    expect(new Set(ground.history.executions.map((execution) => execution.address)).size).toBe(30)
  })

  test("gives each group its part by weight, and each worker its part of the group", async () => {
    const ground = new Ground(url())
    const groups = { eu: 3, us: 1 }
    const a = await ground.join("a", { group: "eu", weight: 1, groups })
    const b = await ground.join("b", { group: "eu", weight: 2, groups })
    await until(() => a.member.owned().length === 4 && b.member.owned().length === 8, "eu shares its 12")
    const c = await ground.join("c", { group: "us", groups })
    await until(holds(c.member, 4), "us has its 4")
    expect(a.member.owned().length + b.member.owned().length).toBe(12)
    await c.member.drain()
    await until(() => a.member.members().length === 2, "us is gone")
    expect(a.member.owned().length + b.member.owned().length).toBe(12)
    // The range of us waits for its next worker.
    const d = await ground.join("d", { group: "us", groups })
    await until(holds(d.member, 4), "us has its 4 again")
  })

  test("gives no shards to a worker that lacks a kind, and reports it (A2)", async () => {
    const ground = new Ground(url())
    const engine = await ground.engine()
    const a = await ground.join("a")
    await until(holds(a.member, shards), "a holds all")
    await engine.addKinds(ground.pool, [kind, "report"])
    const b = await ground.join("b", { kinds: [kind, "report"] })
    await until(holds(b.member, shards), "b holds all")
    const lacking = () => ground.seen("lacking")
    await until(() => lacking().length > 0, "it is reported")
    expect(lacking()[0]).toMatchObject({ session: a.member.session, kinds: ["report"] })
  })

  test("refuses another number of shards, and unknown or impossible options", async () => {
    const ground = new Ground(url())
    await ground.join("a")
    await expect(ground.join("b", { shards: 32 })).rejects.toMatchObject({ _tag: "PoolMismatch" })
    await expect(ground.join("b", { options: { leaseMS: 500 } as never })).rejects.toThrow("did you mean leaseMs?")
    await expect(ground.join("b", { options: { leaseMs: 500, renewMs: 400 } })).rejects.toThrow("at most a third of leaseMs")
    await expect(ground.join("b", { weight: 0 })).rejects.toThrow("expected weight to be an integer from 1 to 100")
    await expect(ground.join("b", { group: "" })).rejects.toMatchObject({ _tag: "BadOption" })
    const { member } = await ground.join("b", { shards: undefined })
    expect(member.shards).toBe(shards)
  })
})
