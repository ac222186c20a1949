import { expect, test } from "vitest"
import { found, type World } from "../world.ts"

export function runConformance(world: () => World): void {
  test("an empty list answers an empty list (E1)", async () => {
    const { engine, pool } = world()
    const empty: ReadonlyArray<never> = []
    expect(await engine.start(pool, empty)).toEqual([])
    expect(await engine.message(pool, empty)).toEqual([])
    expect(await engine.terminate(pool, empty)).toEqual([])
    expect(await engine.read(pool, empty)).toEqual([])
    expect(await engine.answers(pool, empty)).toEqual([])
    expect(await engine.digests(pool, "c", empty)).toEqual([])
    expect(await engine.claim(pool, empty)).toEqual([])
    expect(await engine.release(pool, empty)).toEqual([])
    expect(await engine.take(pool, empty)).toEqual([])
    expect(await engine.commit(pool, empty)).toEqual([])
    expect(await engine.trim(pool, empty)).toEqual([])
    expect(await engine.headers(pool, empty)).toEqual([])
    expect(await engine.sweep(pool, empty)).toEqual([])
    expect(await engine.queues(pool, empty)).toEqual([])
  })

  test("a new run is ready, and its texts come back as they were given (E5)", async () => {
    const w = world()
    const texts = ['{"a":1}', "", "line\nline\ttab\r\n", "ünï→💥", "\u001f\u001e\u0001", "%d %s \\ \"'`", " ".repeat(3)]
    for (const [n, body] of texts.entries()) {
      expect(await w.start(`kind/${n}`, { run: `r${n}`, body })).toEqual({ status: "started", run: `r${n}` })
      expect(await w.read(`kind/${n}`)).toEqual({
        address: `kind/${n}`,
        phase: "ready",
        run: `r${n}`,
        revision: "0",
        consumed: 0,
        due: undefined,
        on: [],
        control: undefined,
        body,
        outcome: undefined,
        inbox: [],
        journal: [],
      })
    }
  })

  test("keys may have any character that is not a control character", async () => {
    const w = world()
    const addresses = ["kind/ü→💥", "kind/a;b,c:d{e}f", "kind/a/b//", "kind/with space", "kind/'\"`\\%s"]
    for (const address of addresses) expect((await w.start(address)).status).toBe("started")
    const { runs } = await w.take(await w.own())
    expect(runs.map((run) => run.address)).toEqual(addresses)
  })

  test("a repeated start answers as the first time, also when the run has ended since", async () => {
    const w = world()
    await w.start("kind/a", { run: "r1" })
    expect(await w.start("kind/a", { run: "r1" })).toEqual({ status: "started", run: "r1" })
    const owner = await w.own()
    const { runs } = await w.take(owner)
    expect(runs).toHaveLength(1)
    expect(await w.start("kind/a", { run: "r1" })).toEqual({ status: "started", run: "r1" })
    await w.commit(owner, w.item(found(runs[0]), { phase: "ended", outcome: "o", retention: 1000 }))
    expect(await w.start("kind/a", { run: "r1" })).toEqual({ status: "started", run: "r1" })
    expect((await w.take(owner)).runs).toEqual([])
  })

  test("at most one run lives under an address", async () => {
    const w = world()
    await w.start("kind/a", { run: "r1" })
    expect(await w.start("kind/a", { run: "r2" })).toEqual({ status: "running", run: "r1" })
    await w.start("kind/b", { run: "r3", after: 1000 })
    expect(await w.start("kind/b", { run: "r4" })).toEqual({ status: "running", run: "r3" })
    expect((await w.take(await w.own())).runs.map((run) => run.run)).toEqual(["r1"])
    expect(await w.start("kind/a", { run: "r2" }), "active").toEqual({ status: "running", run: "r1" })
  })

  test("an ended run is replaced, or refuses it if so asked", async () => {
    const w = world()
    const owner = await w.own()
    const run = await w.running(owner, "kind/a", { run: "r1" })
    await w.commit(owner, w.item(run, { phase: "ended", outcome: "first", retention: 1000 }))
    expect(await w.start("kind/a", { run: "r2", ifEnded: "reject" })).toEqual({ status: "ended", run: "r1" })
    expect((await w.read("kind/a")).outcome).toBe("first")
    expect(await w.start("kind/a", { run: "r2", body: "second" })).toEqual({ status: "started", run: "r2" })
    expect(await w.read("kind/a")).toMatchObject({
      phase: "ready",
      run: "r2",
      revision: "0",
      consumed: 0,
      body: "second",
      outcome: undefined,
    })
    expect((await w.take(owner)).runs.map((taken) => taken.run)).toEqual(["r2"])
    w.now += 5000
    await w.engine.trim(w.pool, [{ ...owner, limit: 10 }])
    expect((await w.read("kind/a")).run, "retention of the first run is no longer anybody's").toBe("r2")
  })

  test("one call answers per item, in order, over many shards and more than a batch", async () => {
    const w = world()
    const items = Array.from({ length: 700 }, (_, n) => ({ shard: n % 8, address: `kind/${n}`, run: `r${n}`, body: "x".repeat(n % 900) }))
    const replies = await w.engine.start(w.pool, items)
    expect(replies).toEqual(items.map(({ run }) => ({ status: "started", run })))
    const again = await w.engine.start(w.pool, [...items.slice(0, 3), { shard: 0, address: "kind/8", run: "other", body: "" }])
    expect(again.at(-1)).toEqual({ status: "running", run: "r8" })
    const runs = await w.engine.read(w.pool, [...items, { shard: 0, address: "kind/none" }])
    expect(runs.slice(0, -1).map((run) => run?.body)).toEqual(items.map(({ body }) => body))
    expect(runs.at(-1)).toBeUndefined()
  })

  test("the same address twice in one call starts once", async () => {
    const w = world()
    const item = { shard: 0, address: "kind/a", body: "" }
    const replies = await w.engine.start(w.pool, [
      { ...item, run: "r1" },
      { ...item, run: "r2" },
      { ...item, run: "r1" },
    ])
    expect(replies.map((reply) => reply.status)).toEqual(["started", "running", "started"])
    expect((await w.take(await w.own())).runs).toHaveLength(1)
  })

  test("list shows each run of a shard, page by page, and no other's", async () => {
    const w = world()
    const expected = Array.from({ length: 300 }, (_, n) => `kind/${n}`)
    await w.engine.start(
      w.pool,
      expected.map((address) => ({ shard: 3, address, run: address, body: address })),
    )
    await w.start("kind/elsewhere")
    const owner = await w.own(3)
    await w.take(owner, { limit: 5 })
    const seen = new Map<string, string>()
    let cursor = "0"
    let pages = 0
    do {
      const page = await w.other.list(w.pool, 3, cursor, 50)
      for (const run of page.runs) {
        expect(run.body).toBe(run.address)
        seen.set(run.address, run.phase)
      }
      cursor = page.cursor
      pages++
    } while (cursor !== "0" && pages < 1000)
    expect([...seen.keys()].toSorted()).toEqual(expected.toSorted())
    expect([...seen.values()].filter((phase) => phase === "active")).toHaveLength(5)
    expect(pages).toBeGreaterThan(1)
    expect(await w.engine.list(w.pool, 4, "0", 50)).toEqual({ cursor: "0", runs: [] })
  })

  test("terminate ends a run in any phase and takes it out of everything", async () => {
    const w = world()
    const owner = await w.own()
    await w.running(owner, "kind/active", { run: "a" })
    const parked = await w.running(owner, "kind/parked", { run: "p" })
    await w.commit(owner, w.item(parked, { phase: "parked", due: { after: 10 }, on: [] }))
    await w.message("kind/active")
    await w.start("kind/ready", { run: "r" })
    for (const address of ["kind/active", "kind/parked", "kind/ready"]) {
      const [reply] = await w.engine.terminate(w.pool, [w.terminateItem(address, { outcome: "over\n" })])
      expect(reply).toEqual({ status: "terminated", run: address[5] })
      expect(await w.read(address)).toMatchObject({
        phase: "ended",
        outcome: "over\n",
        body: '{"input":1}',
        inbox: [],
        journal: [],
        due: undefined,
      })
    }
    w.now += 1000
    const [status] = await w.engine.sweep(w.pool, [0])
    expect(status).toMatchObject({ ready: 0, active: [], nextDue: undefined })
    expect((await w.take(owner, { timers: true })).runs).toEqual([])
  })

  test("an address terminated while it was ready and started anew is taken once", async () => {
    const w = world()
    const owner = await w.own()
    await w.start("kind/a", { run: "r1" })
    await w.start("kind/b", { run: "r2" })
    await w.engine.terminate(w.pool, [w.terminateItem("kind/a")])
    await w.start("kind/a", { run: "r3" })
    expect((await w.take(owner)).runs.map((run) => run.run)).toEqual(["r2", "r3"])
    expect((await w.take(owner)).runs).toEqual([])
  })

  test("terminate refuses in the order of its contract", async () => {
    const w = world()
    const terminate = async (more: Parameters<World["terminateItem"]>[1]) => {
      const [reply] = await w.engine.terminate(w.pool, [w.terminateItem("kind/a", more)])
      return reply
    }
    expect(await terminate({})).toEqual({ status: "absent", run: "" })
    await w.start("kind/a", { run: "r1" })
    expect(await terminate({ run: "r0" })).toEqual({ status: "replaced", run: "r1" })
    expect(await terminate({ expectSpec: "spec" })).toEqual({ status: "replaced", run: "r1" })
    expect((await w.read("kind/a")).phase).toBe("ready")
    expect(await terminate({ run: "r1", newRevision: "t" })).toEqual({ status: "terminated", run: "r1" })
    expect(await terminate({ run: "r1", newRevision: "t", outcome: "other" }), "its repetition").toEqual({
      status: "terminated",
      run: "r1",
    })
    expect(await terminate({ newRevision: "u" })).toEqual({ status: "ended", run: "r1" })
    expect((await w.read("kind/a")).outcome).toBe('{"terminated":true}')
  })

  test("a late write of the owner does not touch a terminated run or its successor (O3)", async () => {
    const w = world()
    const owner = await w.own()
    const run = await w.running(owner, "kind/a", { run: "r1" })
    await w.engine.terminate(w.pool, [w.terminateItem("kind/a")])
    const late = w.item(run, { phase: "ended", outcome: "late", retention: 1000 })
    expect((await w.commit(owner, late)).status).toBe("conflict")
    const successor = await w.running(owner, "kind/a", { run: "r2" })
    expect((await w.commit(owner, late)).status).toBe("conflict")
    expect(await w.read("kind/a")).toMatchObject({ run: "r2", phase: "active", outcome: undefined })
    expect((await w.commit(owner, w.item(successor, { phase: "ready" }))).status).toBe("ok")
  })
}
