import { expect, test } from "vitest"
import type { LinkItem, LinkReply, OutboxEntry } from "../../../src/engine/links.ts"
import type { Hint, ShardOwner } from "../../../src/engine/engine.ts"
import { Heard, only, type World } from "../world.ts"

const byLink = (entries: ReadonlyArray<OutboxEntry>): OutboxEntry[] => entries.toSorted((a, b) => (a.link < b.link ? -1 : 1))

export function linkConformance(world: () => World): void {
  const link = async (address: string, text: string, more: Partial<LinkItem> = {}): Promise<LinkReply> => {
    const w = world()
    return only(await w.engine.link(w.pool, [{ shard: 0, address, link: text, limit: 3, outboxLimit: 100, ...more }]))
  }
  const forward = async (owner: ShardOwner, sent: ReadonlyArray<OutboxEntry> = [], limit = 10): Promise<OutboxEntry[]> => {
    const w = world()
    const reply = only(await w.engine.forward(w.pool, [{ ...owner, sent, limit }]))
    if (reply.status === "stale") throw new Error("the shard has another owner")
    return byLink(reply.entries)
  }
  const waiting = async (): Promise<number> => only(await world().engine.sweep(world().pool, [0])).outbox

  test("a link is for a live run, counts once, and is refused over its limits (X1)", async () => {
    const w = world()
    const owner = await w.own()
    expect(await link("kind/a", "one")).toEqual({ status: "absent", run: "", outcome: undefined, links: [] })
    const run = await w.running(owner, "kind/a", { run: "r1" })
    expect(await link("kind/a", "one", { run: "other" })).toEqual({ status: "replaced", run: "r1", outcome: undefined, links: [] })
    for (const text of ["one", "two", "three", "one"])
      expect(await link("kind/a", text, { run: "r1" })).toEqual({ status: "linked", run: "r1", outcome: undefined, links: [] })
    expect(await link("kind/a", "four")).toEqual({ status: "full", run: "r1", outcome: undefined, links: ["one", "two", "three"] })
    expect(await link("kind/a", "four", { drop: ["two", "none"] })).toMatchObject({ status: "linked", links: [] })
    await w.commit(owner, w.item(run, { phase: "ended", outcome: "grüße\t1", retention: 1_000 }))
    expect(await link("kind/a", "five")).toEqual({ status: "ended", run: "r1", outcome: "grüße\t1", links: [] })
    await w.start("kind/b")
    expect(await link("kind/b", "one", { outboxLimit: 3 }), "the outbox holds three").toMatchObject({ status: "full", links: [] })
    expect(await link("kind/b", "one", { outboxLimit: 4 })).toMatchObject({ status: "linked" })
  })

  test("the end of a run moves its links to the outbox, with the outcome, in the same write", async () => {
    const w = world()
    const heard = new Heard<Hint>()
    const owner = await w.own()
    const end = await w.other.onHint(w.pool, 0, heard.listener)
    const run = await w.running(owner, "kind/a", { run: "r1" })
    const plain = await w.running(owner, "kind/plain")
    await link("kind/a", '{"to":"one"}')
    await link("kind/a", '{"to":"two"}')
    await w.commit(owner, w.item(plain, { phase: "ended", outcome: "p", retention: 1_000 }))
    const item = w.item(run, { phase: "ended", outcome: "o", retention: 1_000 })
    expect(await w.commit(owner, { ...item, revision: "other" })).toMatchObject({ status: "conflict" })
    expect(await waiting(), "a refused end moves nothing").toBe(0)
    expect(await w.commit(owner, item)).toMatchObject({ status: "ok" })
    expect(await w.commit(owner, item), "a repetition").toMatchObject({ status: "ok" })
    await heard.until((hints) => hints.some((hint) => hint.type === "outbox" && hint.shard === 0))
    await end()
    expect(await waiting()).toBe(2)
    const entry = { address: "kind/a", run: "r1", outcome: "o" }
    const both = [
      { ...entry, link: '{"to":"one"}' },
      { ...entry, link: '{"to":"two"}' },
    ]
    expect(await forward(owner)).toEqual(both)
    expect(await forward(owner, [], 1)).toHaveLength(1)
    expect(await forward(owner, [both[0] as OutboxEntry])).toEqual([both[1]])
    expect(await forward(owner, both), "removing twice is as once").toEqual([])
    expect(await waiting()).toBe(0)
  })

  test("a terminate moves links too, and the next run of the key begins without any", async () => {
    const w = world()
    const owner = await w.own()
    await w.start("kind/a", { run: "r1" })
    await link("kind/a", "one")
    await w.engine.terminate(w.pool, [w.terminateItem("kind/a", { outcome: "t" })])
    expect(await forward(owner)).toEqual([{ address: "kind/a", run: "r1", link: "one", outcome: "t" }])
    const next = await w.running(owner, "kind/a", { run: "r2" })
    await link("kind/a", "two")
    await w.commit(owner, w.item(next, { phase: "ready" }))
    const again = only((await w.take(owner)).runs)
    await w.commit(owner, w.item(again, { phase: "ended", outcome: "e", retention: 1_000 }))
    expect(await forward(owner)).toEqual([
      { address: "kind/a", run: "r1", link: "one", outcome: "t" },
      { address: "kind/a", run: "r2", link: "two", outcome: "e" },
    ])
  })

  test("a successor finds the outbox of a dead owner, who may not touch it any more (E2)", async () => {
    const w = world()
    const owner = await w.own()
    const run = await w.running(owner, "kind/a", { run: "r1" })
    await link("kind/a", "one")
    await w.commit(owner, w.item(run, { phase: "ended", outcome: "o", retention: 1_000 }))
    const successor = await w.own(0, "s2")
    const [entry] = await forward(successor)
    const before = await w.observe()
    expect(await w.engine.forward(w.pool, [{ ...owner, sent: entry ? [entry] : [], limit: 1 }])).toEqual([{ status: "stale" }])
    expect(await w.observe()).toBe(before)
  })

  test("a run id that is remembered starts once, whatever became of the key meanwhile", async () => {
    const w = world()
    const owner = await w.own()
    const first = { run: "r1", remember: 60_000 }
    const run = await w.running(owner, "kind/a", first)
    expect(await w.start("kind/a", { run: "r9", remember: 60_000 }), "a refusal is not remembered").toEqual({
      status: "running",
      run: "r1",
    })
    await w.commit(owner, w.item(run, { phase: "ended", outcome: "o", retention: 1_000 }))
    const second = await w.running(owner, "kind/a", { run: "r9", remember: 60_000 })
    expect(await w.start("kind/a", first)).toEqual({ status: "started", run: "r1" })
    await w.commit(owner, w.item(second, { phase: "ended", outcome: "o", retention: 1_000 }))
    expect(await w.start("kind/a", first)).toEqual({ status: "started", run: "r1" })
    expect((await w.read("kind/a")).run).toBe("r9")
    w.now += 60_001
    await w.engine.trim(w.pool, [{ ...owner, limit: 100 }])
    expect(await w.start("kind/a", first)).toEqual({ status: "started", run: "r1" })
    expect((await w.read("kind/a")).phase).toBe("ready")
  })

  test("a start that is forbidden before it comes is refused; one that came is known", async () => {
    const w = world()
    const forbid = (run: string) => w.engine.forbid(w.pool, [{ shard: 0, run, retention: 60_000 }])
    expect(await forbid("r1")).toEqual(["forbidden"])
    expect(await forbid("r1")).toEqual(["forbidden"])
    expect(await w.start("kind/a", { run: "r1", remember: 60_000 })).toEqual({ status: "forbidden", run: "r1" })
    expect(await w.engine.read(w.pool, [{ shard: 0, address: "kind/a" }])).toEqual([undefined])
    await w.start("kind/a", { run: "r2", remember: 60_000, after: 50 })
    expect(await forbid("r2")).toEqual(["known"])
    expect(await w.start("kind/a", { run: "r2", remember: 60_000, after: 50 })).toEqual({ status: "started", run: "r2" })
  })
}
