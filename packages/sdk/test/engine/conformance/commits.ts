import { expect, test } from "vitest"
import { found, only, type World } from "../world.ts"

export function commitConformance(world: () => World): void {
  test("an append extends the journal and leaves record and revision (O3)", async () => {
    const w = world()
    const owner = await w.own()
    const run = await w.running(owner, "kind/a")
    const item = w.item(run, { phase: "active" }, { append: ["e1", "é\t2"] })
    expect(await w.commit(owner, item)).toEqual({ status: "ok", phase: "active", lastMessage: 0, now: w.now })
    expect(await w.commit(owner, item), "its repetition").toMatchObject({ status: "ok", phase: "active" })
    expect(await w.read("kind/a")).toMatchObject({ phase: "active", revision: "0", body: run.body, journal: ["e1", "é\t2"] })
    const next = w.item(run, { phase: "active" }, { append: ["e3"] })
    expect(await w.commit(owner, { ...next, journalLength: 1 })).toMatchObject({ status: "conflict" })
    expect(await w.commit(owner, { ...next, journalLength: 2 })).toMatchObject({ status: "ok" })
    expect((await w.read("kind/a")).journal).toEqual(["e1", "é\t2", "e3"])
  })

  test("an append at another length than the journal's leaves it as it is, also where it would look like its own repetition (O3)", async () => {
    const w = world()
    const owner = await w.own()
    const run = await w.running(owner, "kind/a")
    const active = { phase: "active" } as const
    expect(await w.commit(owner, w.item(run, active, { append: ["x"], journalLength: 3 }))).toMatchObject({ status: "conflict" })
    expect(await w.read("kind/a")).toMatchObject({ phase: "active", journal: [] })
    await w.commit(owner, w.item(run, active, { append: ["e1", "e2"] }))
    for (const item of [
      { append: ["e2"] },
      { append: ["e1", "other"] },
      { append: ["e2"], journalLength: 0 },
      { append: ["x"], journalLength: 1 },
    ])
      expect(await w.commit(owner, w.item(run, active, item)), JSON.stringify(item)).toMatchObject({ status: "conflict" })
    expect(await w.read("kind/a")).toMatchObject({ phase: "active", journal: ["e1", "e2"] })
    expect(await w.commit(owner, w.item(run, active, { append: ["e2"], journalLength: 1 })), "its repetition").toMatchObject({
      status: "ok",
    })
    expect(await w.read("kind/a")).toMatchObject({ journal: ["e1", "e2"] })
  })

  test("an append of nothing reports messages that came, one of entries does not", async () => {
    const w = world()
    const owner = await w.own()
    const run = await w.running(owner, "kind/a")
    await w.message("kind/a")
    await w.message("kind/a")
    const active = { phase: "active" } as const
    expect(await w.commit(owner, w.item(run, active))).toMatchObject({ status: "ok", lastMessage: 2 })
    expect(await w.commit(owner, w.item(run, active, { append: ["e1"] }))).toMatchObject({ status: "ok", lastMessage: 0 })
    expect(await w.commit(owner, w.item(run, active, { append: ["e2", "e3"], journalLength: 1 }))).toMatchObject({
      status: "ok",
      lastMessage: 0,
    })
    expect(await w.commit(owner, w.item(run, active, { journalLength: 3 }))).toMatchObject({ status: "ok", lastMessage: 2 })
  })

  test("two appends of one run in one call go one after the other", async () => {
    const w = world()
    const owner = await w.own()
    const run = await w.running(owner, "kind/a")
    const items = [
      w.item(run, { phase: "active" }, { append: ["e1"] }),
      w.item(run, { phase: "active" }, { append: ["e2", "e3"], journalLength: 1 }),
      w.item(run, { phase: "parked", on: [] }, { journal: "keep", append: ["e4"], journalLength: 3 }),
    ]
    const replies = only(await w.engine.commit(w.pool, [{ ...owner, items }]))
    expect(replies.map((reply) => [reply.status, reply.phase])).toEqual([
      ["ok", "active"],
      ["ok", "active"],
      ["ok", "parked"],
    ])
    expect((await w.read("kind/a")).journal).toEqual(["e1", "e2", "e3", "e4"])
  })

  test("a body with an active run rewrites the record under a new revision", async () => {
    const w = world()
    const owner = await w.own()
    const run = await w.running(owner, "kind/a")
    await w.message("kind/a")
    const item = w.item(run, { phase: "active" }, { body: "new", append: ["e1"], consumed: 1, seen: 1 })
    expect(await w.commit(owner, item)).toMatchObject({ status: "ok", phase: "active", lastMessage: 1 })
    expect(await w.commit(owner, item), "its repetition").toMatchObject({ status: "ok", phase: "active" })
    expect(await w.read("kind/a")).toMatchObject({
      phase: "active",
      revision: item.newRevision,
      body: "new",
      consumed: 1,
      inbox: [],
      journal: ["e1"],
    })
    expect((await w.take(owner)).runs).toEqual([])
  })

  test("ready, parked and ended are written once, and their repetition answers as the first time", async () => {
    const w = world()
    const owner = await w.own()
    const nexts = [
      { phase: "ready" },
      { phase: "parked", on: ["x"], due: { after: 100 } },
      { phase: "ended", outcome: "out", retention: 1000 },
    ] as const
    for (const next of nexts) {
      const address = `kind/${next.phase}`
      const run = await w.running(owner, address)
      const item = w.item(run, next, { body: `${next.phase}-body` })
      for (let n = 0; n < 2; n++) {
        expect(await w.commit(owner, item)).toEqual({ status: "ok", phase: next.phase, lastMessage: 0, now: w.now })
        expect(await w.read(address)).toMatchObject({
          phase: next.phase,
          revision: item.newRevision,
          body: `${next.phase}-body`,
          outcome: next.phase === "ended" ? "out" : undefined,
          on: next.phase === "parked" ? ["x"] : [],
          due: next.phase === "parked" ? w.now + 100 : undefined,
        })
      }
      if (next.phase === "ready")
        expect(
          (await w.take(owner)).runs.map((taken) => taken.address),
          "in the list once",
        ).toEqual([address])
    }
  })

  test("without a body the old one stays", async () => {
    const w = world()
    const owner = await w.own()
    const run = await w.running(owner, "kind/a", { body: "körper\n" })
    await w.commit(owner, w.item(run, { phase: "parked", on: [] }))
    expect((await w.read("kind/a")).body).toBe("körper\n")
    await w.message("kind/a", { kind: "cancel" })
    const again = found((await w.take(owner)).runs[0])
    await w.commit(owner, w.item(again, { phase: "ended", outcome: "ergebnis ü\t\n", retention: 1 }))
    expect(await w.read("kind/a")).toMatchObject({ body: "körper\n", outcome: "ergebnis ü\t\n" })
  })

  test("clear drops the journal, keep leaves it", async () => {
    const w = world()
    const owner = await w.own()
    const run = await w.running(owner, "kind/a")
    await w.commit(owner, w.item(run, { phase: "active" }, { append: ["e1"] }))
    const parked = { phase: "parked", on: ["go"] } as const
    await w.commit(owner, w.item(run, parked, { journal: "keep", journalLength: 1 }))
    await w.message("kind/a")
    const again = found((await w.take(owner)).runs[0])
    expect(again.journal).toEqual(["e1"])
    await w.commit(owner, w.item(again, { phase: "ready" }, { journal: "clear", consumed: 1 }))
    expect(found((await w.take(owner)).runs[0])).toMatchObject({ journal: [], inbox: [] })
  })

  test("a wrong run, revision or phase is a conflict and changes nothing", async () => {
    const w = world()
    const owner = await w.own()
    const run = await w.running(owner, "kind/a", { run: "r1" })
    const good = w.item(run, { phase: "ended", outcome: "o", retention: 1 })
    const before = await w.observe()
    for (const wrong of [{ run: "r2" }, { revision: "9" }, { address: "kind/none" }]) {
      expect(await w.commit(owner, { ...good, ...wrong })).toMatchObject({ status: "conflict", lastMessage: 0 })
    }
    expect(await w.observe()).toBe(before)
    await w.start("kind/ready", { run: "r2" })
    const notTaken = { ...good, address: "kind/ready", run: "r2" }
    expect(await w.commit(owner, notTaken), "not active").toMatchObject({ status: "conflict" })
    expect((await w.take(owner)).runs.map((taken) => taken.run)).toEqual(["r2"])
  })

  test("each item and each group has its own answer", async () => {
    const w = world()
    const owner = await w.own(0)
    const lost = await w.own(1)
    const a = await w.running(owner, "kind/a")
    const b = await w.running(owner, "kind/b")
    const c = await w.running(lost, "kind/c")
    await w.own(1, "s2")
    const end = { phase: "ended", outcome: "o", retention: 1 } as const
    const replies = await w.engine.commit(w.pool, [
      { ...owner, items: [w.item(a, end), { ...w.item(b, end), revision: "no" }] },
      { ...lost, items: [w.item(c, end)] },
      { ...owner, items: [w.item(b, { phase: "ready" })] },
    ])
    expect(replies.map((group) => group.map((reply) => reply.status))).toEqual([["ok", "conflict"], ["stale"], ["ok"]])
    expect((await w.read("kind/c", 1)).phase).toBe("active")
  })

  test("a run that parks is ready at once when a message came that it has not seen (W6)", async () => {
    const w = world()
    const owner = await w.own()
    const run = await w.running(owner, "kind/a")
    await w.message("kind/a", { name: "other" })
    await w.message("kind/a", { name: "resume" })
    const parked = { phase: "parked", on: ["resume"], due: { after: 60_000 } } as const
    const item = w.item(run, parked, { seen: 0 })
    expect(await w.commit(owner, item)).toMatchObject({ status: "ok", phase: "ready", lastMessage: 2 })
    expect(await w.commit(owner, item), "its repetition").toMatchObject({ status: "ok", phase: "ready", lastMessage: 2 })
    expect(await w.read("kind/a")).toMatchObject({ phase: "ready", due: undefined, on: [] })
    const again = found((await w.take(owner)).runs[0])
    expect(again.inbox).toHaveLength(2)
    expect(await w.commit(owner, w.item(again, parked, { seen: 2 })), "all seen").toMatchObject({ phase: "parked" })
    await w.message("kind/a", { name: "other" })
    expect((await w.read("kind/a")).phase).toBe("parked")
    w.now += 60_000
    const woken = found((await w.take(owner, { timers: true })).runs[0])
    await w.message("kind/a", { kind: "update", name: "u" })
    expect(await w.commit(owner, w.item(woken, parked, { seen: 3, consumed: 3 })), "an update wakes always").toMatchObject({
      phase: "ready",
      lastMessage: 4,
    })
  })

  test("an end drops inbox and journal, or refuses when a message is unseen (W6)", async () => {
    const w = world()
    const owner = await w.own()
    const run = await w.running(owner, "kind/a")
    await w.commit(owner, w.item(run, { phase: "active" }, { append: ["e1"] }))
    await w.message("kind/a")
    const end = { phase: "ended", outcome: "o", retention: 1000, ifUnseen: "refuse" } as const
    const before = await w.observe()
    expect(await w.commit(owner, w.item(run, end, { seen: 0 }))).toEqual({ status: "unseen", phase: "active", lastMessage: 1, now: w.now })
    expect(await w.observe()).toBe(before)
    const item = w.item(run, end, { seen: 1 })
    expect(await w.commit(owner, item)).toMatchObject({ status: "ok", phase: "ended", lastMessage: 1 })
    expect(await w.commit(owner, item), "its repetition").toMatchObject({ status: "ok", phase: "ended" })
    expect(await w.read("kind/a")).toMatchObject({ inbox: [], journal: [] })
    const other = await w.running(owner, "kind/b")
    await w.message("kind/b")
    expect(await w.commit(owner, w.item(other, { phase: "ended", outcome: "o", retention: 1 }, { seen: 0 }))).toMatchObject({
      status: "ok",
      phase: "ended",
      lastMessage: 1,
    })
  })

  test("answers are kept with any write, for ids that are known", async () => {
    const w = world()
    const owner = await w.own()
    const run = await w.running(owner, "kind/a")
    await w.message("kind/a", { kind: "update", id: "u1" })
    await w.message("kind/a", { kind: "update", id: "u2" })
    const append = w.item(run, { phase: "active" }, { append: ["e"], answers: [{ id: "u1", answer: "1" }] })
    await w.commit(owner, append)
    await w.commit(owner, append)
    const unknown = { id: "nobody-asked", answer: "x" }
    await w.commit(owner, w.item(run, { phase: "ready" }, { journalLength: 1, answers: [{ id: "u2", answer: "" }, unknown] }))
    const asked = ["u1", "u2", unknown.id].map((id) => ({ shard: 0, id }))
    expect(await w.engine.answers(w.pool, asked)).toEqual(["1", "", undefined])
  })

  test("a refused write leaves no answer", async () => {
    const w = world()
    const owner = await w.own()
    const run = await w.running(owner, "kind/a")
    await w.message("kind/a", { id: "u1" })
    const item = w.item(run, { phase: "ready" }, { revision: "wrong", answers: [{ id: "u1", answer: "1" }] })
    expect((await w.commit(owner, item)).status).toBe("conflict")
    expect(await w.engine.answers(w.pool, [{ shard: 0, id: "u1" }])).toEqual([undefined])
  })

  test("hundreds of runs are committed in one call, whatever their size", async () => {
    const w = world()
    const owners = await Promise.all([0, 1, 2, 3].map((shard) => w.own(shard)))
    const count = 600
    await w.engine.start(
      w.pool,
      Array.from({ length: count }, (_, n) => ({ shard: n % 4, address: `kind/${n}`, run: `r${n}`, body: "" })),
    )
    const body = "b".repeat(3000)
    const groups = await Promise.all(
      owners.map(async (owner) => ({
        ...owner,
        items: (await w.take(owner, { limit: 200 })).runs.map((run) => w.item(run, { phase: "parked", on: [] }, { body })),
      })),
    )
    const replies = (await w.engine.commit(w.pool, groups)).flat()
    expect(replies).toHaveLength(count)
    expect(new Set(replies.map((reply) => `${reply.status} ${reply.phase}`))).toEqual(new Set(["ok parked"]))
    expect((await w.read("kind/599", 3)).body).toBe(body)
  })
}
