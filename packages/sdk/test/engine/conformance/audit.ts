import { expect, test } from "vitest"
import { type AuditEntry, refusalsKept } from "../../../src/engine/audit.ts"
import type { ShardOwner } from "../../../src/engine/engine.ts"
import { only, type World } from "../world.ts"

const auditOf = async (w: World, shard = 0): Promise<ReadonlyArray<AuditEntry>> =>
  only(await w.other.audit(w.pool, [{ shard, after: 0, limit: 200 }])).entries

const takeAs = (w: World, owner: ShardOwner) => w.engine.take(w.pool, [{ ...owner, limit: 1, timers: false }])

export function auditConformance(world: () => World): void {
  test("claims and releases are there, in order, with the store's time", async () => {
    const w = world()
    const first = await w.own()
    w.now += 10
    const writes = { count: 3, first: w.now - 5, last: w.now - 1 }
    await w.engine.release(w.pool, [{ ...first, writes }])
    w.now += 10
    const second = await w.own(0, "s2", w.other)
    w.now += 10
    const third = await w.own(0, "s3")
    await w.engine.release(w.pool, [third])
    expect(await auditOf(w)).toEqual([
      { number: 1, type: "claim", at: w.now - 30, session: "s1", epoch: first.epoch, from: { session: "", epoch: 0 }, known: 0 },
      { number: 2, type: "release", at: w.now - 20, session: "s1", epoch: first.epoch, writes },
      { number: 3, type: "claim", at: w.now - 10, session: "s2", epoch: second.epoch, from: { session: "", epoch: first.epoch }, known: 0 },
      { number: 4, type: "claim", at: w.now, session: "s3", epoch: third.epoch, from: { session: "s2", epoch: second.epoch }, known: 0 },
      { number: 5, type: "release", at: w.now, session: "s3", epoch: third.epoch, writes: undefined },
    ])
    expect(await auditOf(w, 1)).toEqual([])
  })

  test("repetitions, refused claims and accepted writes leave nothing", async () => {
    const w = world()
    const from = { session: "", epoch: 0 }
    const claim = { shard: 0, session: "s1", from, knownEpoch: 0 }
    await w.engine.claim(w.pool, [claim])
    const before = await auditOf(w)
    expect(before).toHaveLength(1)
    await w.engine.claim(w.pool, [claim])
    await w.other.claim(w.pool, [{ ...claim, session: "s2" }])
    const owner = { shard: 0, session: "s1", epoch: before[0]?.epoch ?? 0 }
    const run = await w.running(owner, "kind/a")
    await w.commit(owner, w.item(run, { phase: "active" }, { append: ["entry"] }))
    // A conflict is refused, but the writer is the owner.
    expect((await w.commit(owner, { ...w.item(run, { phase: "ready" }), revision: "other" })).status).toBe("conflict")
    await w.engine.trim(w.pool, [{ ...owner, limit: 10 }])
    expect(await auditOf(w)).toEqual(before)
    await w.engine.release(w.pool, [owner])
    await w.engine.release(w.pool, [owner])
    expect(await auditOf(w)).toHaveLength(2)
  })

  test("each stale verb of each session and epoch has one entry, in which it is counted", async () => {
    const w = world()
    const old = await w.own()
    const run = await w.running(old, "kind/a")
    const owner = await w.own(0, "s2", w.other)
    const header = { session: "s2", epoch: owner.epoch }
    for (let n = 0; n < 3; n++) {
      w.now += 1
      await takeAs(w, old)
      expect((await w.commit(old, w.item(run, { phase: "ready" }))).status).toBe("stale")
    }
    const future = { ...owner, epoch: owner.epoch + 7 }
    await w.engine.trim(w.pool, [{ ...future, limit: 1 }])
    await w.engine.release(w.pool, [old])
    const common = { type: "refused", header, others: 0 }
    const stale = { ...common, session: "s1", epoch: old.epoch }
    expect((await auditOf(w)).slice(2)).toEqual([
      { ...stale, number: 3, verb: "take", at: w.now - 2, count: 3, last: w.now },
      { ...stale, number: 4, verb: "commit", at: w.now - 2, count: 3, last: w.now },
      { ...common, session: "s2", epoch: future.epoch, number: 5, verb: "trim", at: w.now, count: 1, last: w.now },
      { ...stale, number: 6, verb: "release", at: w.now, count: 1, last: w.now },
    ])
    // After the next claim it is told anew.
    await w.own(0, "s3")
    await takeAs(w, old)
    expect((await auditOf(w)).slice(6)).toMatchObject([
      { number: 7, type: "claim" },
      { number: 8, type: "refused", verb: "take", count: 1 },
    ])
  })

  test("a confused worker does not push the claims out", async () => {
    const w = world()
    const owner = await w.own()
    for (let epoch = 1; epoch <= refusalsKept + 5; epoch++) await takeAs(w, { shard: 0, session: "", epoch })
    const audit = await auditOf(w)
    expect(audit).toHaveLength(1 + refusalsKept)
    expect(audit[0]).toMatchObject({ type: "claim", epoch: owner.epoch })
    expect(audit.at(-1)).toMatchObject({ session: "", epoch: refusalsKept, count: 1, others: 5 })
    expect(audit.at(-2)).toMatchObject({ epoch: refusalsKept - 1, count: 1, others: 0 })
    await takeAs(w, { shard: 0, session: "", epoch: refusalsKept })
    await takeAs(w, { shard: 0, session: "", epoch: 1 })
    const after = await auditOf(w)
    expect(after).toHaveLength(1 + refusalsKept)
    expect([after[1], after.at(-1)]).toMatchObject([{ count: 2 }, { count: 2, others: 5 }])
  })

  test("a write to a shard that nobody claimed is told too", async () => {
    const w = world()
    await takeAs(w, { shard: 4, session: "s1", epoch: 5 })
    expect(await auditOf(w, 4)).toMatchObject([{ number: 1, type: "refused", epoch: 5, header: { session: "", epoch: 0 } }])
    expect((await w.claim(4, "s2")).status).toBe("claimed")
    expect(await auditOf(w, 4)).toMatchObject([{ number: 1 }, { number: 2, type: "claim", from: { session: "", epoch: 0 } }])
  })

  test("is read in pages, of many shards in one call, with the header; the oldest entries leave, numbers go on", async () => {
    const w = world()
    const engine = await w.open({ now: () => w.now, auditLength: 10 })
    for (let n = 0; n < 8; n++) {
      const owner = await w.own(2, `s${n}`, engine)
      await engine.release(w.pool, [owner])
    }
    await engine.close()
    const owner = await w.own(3)
    const read = (after: number, limit: number) =>
      w.engine.audit(w.pool, [
        { shard: 2, after, limit },
        { shard: 3, after: 0, limit },
      ])
    const numbers = (entries: ReadonlyArray<AuditEntry>) => entries.map(({ number }) => number)
    const [first, third] = await read(0, 4)
    expect(numbers(first?.entries ?? [])).toEqual([7, 8, 9, 10])
    expect(first).toMatchObject({ more: true, header: { shard: 2, session: "" } })
    expect(third).toMatchObject({ more: false, header: { shard: 3, session: "s1", epoch: owner.epoch }, entries: [{ number: 1 }] })
    expect(numbers((await read(10, 4))[0]?.entries ?? [])).toEqual([11, 12, 13, 14])
    const [last] = await read(14, 4)
    expect([numbers(last?.entries ?? []), last?.more]).toEqual([[15, 16], false])
    expect(await read(16, 4)).toMatchObject([{ entries: [], more: false }, { entries: [{ number: 1 }] }])
    const all = await w.engine.audit(
      w.pool,
      Array.from({ length: 300 }, (_, shard) => ({ shard, after: 0, limit: 200 })),
    )
    expect(all.map(({ entries }) => entries.length)).toEqual(Array.from({ length: 300 }, (_, shard) => [0, 0, 10, 1][shard] ?? 0))
  })
}
