import { expect, test } from "vitest"
import type { MessageKind } from "../../../src/engine/engine.ts"
import { found, type World } from "../world.ts"

const kinds: ReadonlyArray<MessageKind> = ["signal", "update", "cancel", "input", "result"]

export function messageConformance(world: () => World): void {
  test("messages get numbers 1, 2, 3 … in the order of acceptance, whoever sends them (W4, P5)", async () => {
    const w = world()
    const { run } = await w.start("kind/a")
    const first = await w.engine.message(
      w.pool,
      kinds.map((kind) => w.messageItem("kind/a", { kind, name: `n-${kind}`, id: `id-${kind}`, payload: `p\t\n"${kind}` })),
    )
    expect(first).toEqual(kinds.map((_, n) => ({ status: "accepted", run, number: n + 1, answer: undefined })))
    const [second] = await w.other.message(w.pool, [w.messageItem("kind/a", { payload: "" })])
    expect(second?.number).toBe(6)
    const inbox = await w.inbox("kind/a")
    expect(inbox.map((message) => message.number)).toEqual([1, 2, 3, 4, 5, 6])
    expect(inbox.slice(0, 5)).toEqual(
      kinds.map((kind, n) => ({ number: n + 1, kind, name: `n-${kind}`, id: `id-${kind}`, at: w.now, payload: `p\t\n"${kind}` })),
    )
    expect(inbox[5]?.payload).toBe("")
  })

  test("a request id counts once; its repetition gets the recorded answer", async () => {
    const w = world()
    const owner = await w.own()
    await w.message("kind/a", { id: "absent" })
    const run = await w.running(owner, "kind/a", { run: "r1" })
    expect(await w.message("kind/a", { id: "u1", kind: "update" })).toMatchObject({ status: "accepted", number: 1 })
    expect(await w.message("kind/a", { id: "u1", kind: "update" })).toEqual({
      status: "duplicate",
      run: "r1",
      number: 0,
      answer: undefined,
    })
    expect(await w.message("kind/a", { id: "absent" }), "a refused id is not taken").toMatchObject({ status: "accepted", number: 2 })
    const loaded = found((await w.take(owner, { limit: 0, addresses: ["kind/a"] })).runs[0])
    expect(loaded.inbox).toHaveLength(2)
    const answers = [{ id: "u1", answer: '{"previous":5}' }]
    await w.commit(owner, w.item(run, { phase: "ended", outcome: "o", retention: 1000 }, { consumed: 2, seen: 2, answers }))
    expect(await w.message("kind/a", { id: "u1" })).toEqual({ status: "duplicate", run: "r1", number: 0, answer: '{"previous":5}' })
    expect(
      await w.other.answers(w.pool, [
        { shard: 0, id: "u1" },
        { shard: 0, id: "none" },
        { shard: 1, id: "u1" },
      ]),
    ).toEqual(['{"previous":5}', undefined, undefined])
  })

  test("refusals come in the order of the contract, and leave no trace", async () => {
    const w = world()
    expect(await w.message("kind/a", { run: "r1" })).toEqual({ status: "absent", run: "", number: 0, answer: undefined })
    const owner = await w.own()
    const run = await w.running(owner, "kind/a", { run: "r1" })
    expect(await w.message("kind/a", { run: "r0" })).toMatchObject({ status: "replaced", run: "r1", number: 0 })
    expect(await w.message("kind/a", { kind: "input", expectSpec: "spec" })).toMatchObject({ status: "replaced", run: "r1" })
    expect(await w.message("kind/a", { inboxLimit: 0 })).toMatchObject({ status: "full", run: "r1", number: 0 })
    expect(await w.inbox("kind/a")).toEqual([])
    expect(await w.message("kind/a", { run: "r1", inboxLimit: 1 })).toMatchObject({ status: "accepted", number: 1 })
    expect(await w.message("kind/a", { inboxLimit: 1 })).toMatchObject({ status: "full" })
    expect(await w.message("kind/a", { inboxLimit: 2 })).toMatchObject({ status: "accepted", number: 2 })
    await w.commit(owner, w.item(run, { phase: "ended", outcome: "o", retention: 1000 }))
    expect(await w.message("kind/a", { run: "r0" })).toMatchObject({ status: "replaced", run: "r1" })
    expect(await w.message("kind/a", { run: "r1" })).toEqual({ status: "ended", run: "r1", number: 0, answer: undefined })
  })

  test("numbers go on after messages were consumed", async () => {
    const w = world()
    const owner = await w.own()
    const run = await w.running(owner, "kind/a")
    for (let n = 0; n < 3; n++) await w.message("kind/a")
    await w.commit(owner, w.item(run, { phase: "ready" }, { consumed: 2, seen: 3 }))
    expect(await w.read("kind/a")).toMatchObject({ consumed: 2, inbox: [{ number: 3 }] })
    expect(await w.message("kind/a")).toMatchObject({ number: 4 })
    const again = found((await w.take(owner)).runs[0])
    expect(again.inbox.map((message) => message.number)).toEqual([3, 4])
    await w.commit(owner, w.item(again, { phase: "ready" }, { consumed: 4, seen: 4 }))
    expect(await w.read("kind/a")).toMatchObject({ consumed: 4, inbox: [] })
    expect(await w.message("kind/a")).toMatchObject({ number: 5 })
  })

  test("a parked run is woken by what it waits for, and by every message that is no signal (W6)", async () => {
    const w = world()
    const owner = await w.own()
    const park = async (address: string) => {
      const run = await w.running(owner, address)
      await w.commit(owner, w.item(run, { phase: "parked", on: ["resume", "re"], due: { after: 60_000 } }))
    }
    await park("kind/a")
    expect(await w.read("kind/a")).toMatchObject({ phase: "parked", on: ["resume", "re"], due: w.now + 60_000 })
    for (const name of ["go", "resum", "resume2", "e"]) await w.message("kind/a", { name })
    expect((await w.read("kind/a")).phase).toBe("parked")
    expect((await w.take(owner)).runs).toEqual([])
    await w.message("kind/a", { name: "re" })
    expect(await w.read("kind/a")).toMatchObject({ phase: "ready", due: w.now + 60_000, on: [], revision: expect.stringMatching(/^1\./) })
    await w.message("kind/a", { name: "resume" })
    const taken = (await w.take(owner)).runs
    expect(taken.map((run) => [run.address, run.inbox.length])).toEqual([["kind/a", 6]])
    for (const kind of kinds.filter((candidate) => candidate !== "signal")) {
      await park(`kind/${kind}`)
      await w.message(`kind/${kind}`, { kind, name: "anything" })
      expect((await w.take(owner)).runs.map((run) => run.address)).toEqual([`kind/${kind}`])
    }
    w.now += 120_000
    expect((await w.take(owner, { timers: true })).runs, "their timers went with the park").toEqual([])
  })

  test("messages do not change the revision, so the owner's write goes through", async () => {
    const w = world()
    const owner = await w.own()
    const run = await w.running(owner, "kind/a")
    await w.message("kind/a")
    expect(await w.commit(owner, w.item(run, { phase: "ready" }))).toMatchObject({ status: "ok", phase: "ready", lastMessage: 1 })
  })

  test("many messages for many runs in one call", async () => {
    const w = world()
    const addresses = Array.from({ length: 50 }, (_, n) => ({ address: `kind/${n}`, shard: n % 8 }))
    await w.engine.start(
      w.pool,
      addresses.map((item) => ({ ...item, run: item.address, body: "" })),
    )
    const items = Array.from({ length: 500 }, (_, n) => w.messageItem("", { ...found(addresses[n % 50]), payload: String(n) }))
    const replies = await w.engine.message(w.pool, items)
    expect(replies.map((reply) => reply.number)).toEqual(items.map((_, n) => Math.floor(n / 50) + 1))
    expect((await w.inbox("kind/9", 1)).map((message) => Number(message.payload) % 50)).toEqual(Array.from({ length: 10 }, () => 9))
  })

  test("a start brings its signal: into the new run, or to the live one that has the address", async () => {
    const w = world()
    const owner = await w.own()
    const first = (id: string, ifRunning: "send" | "drop" = "send", inboxLimit = 3) => ({
      signal: { name: "go", id, payload: `p ${id}`, inboxLimit, retention: 60_000, ifRunning },
    })
    expect(await w.start("kind/a", { run: "r1", ...first("s1") })).toEqual({ status: "started", run: "r1", signal: "accepted" })
    expect(await w.start("kind/a", { run: "r1", ...first("s1") }), "a repetition").toEqual({
      status: "started",
      run: "r1",
      signal: "duplicate",
    })
    const taken = found((await w.take(owner)).runs[0])
    expect(taken.inbox).toEqual([{ number: 1, kind: "signal", name: "go", id: "s1", at: w.now, payload: "p s1" }])
    await w.commit(owner, w.item(taken, { phase: "parked", on: ["go"] }, { consumed: 1 }))
    expect(await w.start("kind/a", { run: "r2", ...first("s2", "drop") })).toEqual({ status: "running", run: "r1", signal: undefined })
    expect(await w.start("kind/a", { run: "r2", ...first("s2") })).toEqual({ status: "running", run: "r1", signal: "accepted" })
    expect((await w.read("kind/a")).phase, "it wakes the run").toBe("ready")
    expect(await w.start("kind/a", { run: "r3", ...first("s3", "send", 1) })).toEqual({ status: "running", run: "r1", signal: "full" })
    const again = found((await w.take(owner)).runs[0])
    expect(again.inbox.map(({ number, id }) => `${number} ${id}`)).toEqual(["2 s2"])
    await w.commit(owner, w.item(again, { phase: "ended", outcome: "o", retention: 1_000 }))
    expect(await w.start("kind/a", { run: "r1", ...first("s4") })).toEqual({ status: "started", run: "r1", signal: "ended" })
    expect(await w.start("kind/a", { run: "r4", ifEnded: "reject", ...first("s4") })).toEqual({
      status: "ended",
      run: "r1",
      signal: undefined,
    })
    expect(await w.start("kind/a", { run: "r5", after: 50, ...first("s5") })).toEqual({ status: "started", run: "r5", signal: "accepted" })
    expect((await w.read("kind/a")).phase, "a delay stays").toBe("parked")
    expect(await w.inbox("kind/a")).toMatchObject([{ number: 1, id: "s5" }])
  })
}
