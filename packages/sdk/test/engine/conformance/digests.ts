import { expect, test } from "vitest"
import type { Control } from "../../../src/engine/engine.ts"
import { only, type World } from "../world.ts"

const fence = (n: number) => String(n).padStart(19, "0")
const big = 2 ** 48 - 1

const control = (spec: string, sums: readonly [number, number], more: Partial<Control> = {}): Control => ({
  controller: "controller",
  fence: fence(5),
  spec,
  sums,
  ...more,
})

export function digestConformance(world: () => World): void {
  const digest = async (controller = "controller", shard = 0) => only(await world().engine.digests(world().pool, controller, [shard]))

  test("a digest counts the live runs of its controller (K4)", async () => {
    const w = world()
    const owner = await w.own()
    expect(await digest()).toEqual({ shard: 0, fence: "", count: 0, sums: ["0", "0"] })
    await w.start("kind/a", { control: control("s1", [big, 1]) })
    await w.start("kind/b", { control: control("s1", [big, 2]) })
    await w.start("kind/c", { control: control("s1", [7, 7], { controller: "another" }), after: 100 })
    await w.start("kind/d")
    await w.start("kind/a", { control: control("s1", [big, 1]) })
    expect(await digest()).toEqual({ shard: 0, fence: fence(5), count: 2, sums: [String(2 * big), "3"] })
    expect(await digest("another")).toMatchObject({ count: 1, sums: ["7", "7"] })
    expect((await w.read("kind/a")).control).toEqual({ controller: "controller", spec: "s1" })
    expect((await w.read("kind/d")).control).toBeUndefined()
    const { runs } = await w.take(owner)
    const a = runs.find((run) => run.address === "kind/a")
    if (!a) throw new Error("not taken")
    const item = w.item(a, { phase: "ended", outcome: "o", retention: 1000 })
    await w.commit(owner, item)
    await w.commit(owner, item)
    expect(await digest()).toMatchObject({ count: 1, sums: [String(big), "2"] })
    const end = w.terminateItem("kind/b", { control: control("s1", [0, 0]), expectSpec: "s1", newRevision: "t" })
    await w.engine.terminate(w.pool, [end])
    await w.engine.terminate(w.pool, [end])
    expect(await digest()).toMatchObject({ count: 0, sums: ["0", "0"] })
    await w.start("kind/a", { control: control("s2", [4, 5]) })
    expect(await digest()).toMatchObject({ count: 1, sums: ["4", "5"] })
  })

  test("control stays with the run through parking and waking", async () => {
    const w = world()
    const owner = await w.own()
    const run = await w.running(owner, "kind/a", { control: control("s1", [1, 2]) })
    await w.commit(owner, w.item(run, { phase: "parked", on: ["go"] }, { body: "b" }))
    await w.message("kind/a")
    expect((await w.read("kind/a")).control).toEqual({ controller: "controller", spec: "s1" })
    expect(await digest()).toMatchObject({ count: 1, sums: ["1", "2"] })
  })

  test("an input message replaces the spec, of the run that was observed", async () => {
    const w = world()
    const owner = await w.own()
    const run = await w.running(owner, "kind/a", { control: control("s1", [1, 2]) })
    await w.commit(owner, w.item(run, { phase: "parked", on: [] }))
    const input = { kind: "input", name: "", control: control("s2", [10, 20]) } as const
    expect(await w.message("kind/a", { ...input, expectSpec: "s0" })).toMatchObject({ status: "replaced", run: run.run })
    expect(await digest()).toMatchObject({ count: 1, sums: ["1", "2"] })
    expect(await w.message("kind/a", { ...input, expectSpec: "s1", id: "i1" })).toMatchObject({ status: "accepted" })
    expect(await w.message("kind/a", { ...input, expectSpec: "s1", id: "i1" })).toMatchObject({ status: "duplicate" })
    expect(await digest()).toMatchObject({ count: 1, sums: ["10", "20"] })
    expect(await w.read("kind/a")).toMatchObject({ phase: "ready", control: { controller: "controller", spec: "s2" } })
    const [taken] = (await w.take(owner)).runs
    if (!taken) throw new Error("not woken")
    expect(await w.message("kind/a", { ...input, control: control("s3", [3, 3]), expectSpec: "s2" })).toMatchObject({ number: 2 })
    expect((await w.commit(owner, w.item(taken, { phase: "ready" }))).status, "the owner's revision still holds").toBe("ok")
    expect((await w.read("kind/a")).control?.spec).toBe("s3")
    expect(await digest()).toMatchObject({ count: 1, sums: ["3", "3"] })
  })

  test("a run without a controller is adopted by an input message", async () => {
    const w = world()
    await w.start("kind/a")
    await w.message("kind/a", { kind: "input", expectSpec: "", control: control("s1", [1, 2]) })
    expect(await digest()).toMatchObject({ count: 1, sums: ["1", "2"] })
  })

  test("each shard refuses fences below the highest that it saw (K2)", async () => {
    const w = world()
    await w.start("kind/a", { control: control("s1", [1, 2]) })
    const raised = await w.engine.digests(w.pool, "controller", [0, 1], fence(9))
    expect(raised.map((reply) => [reply.fence, reply.count])).toEqual([
      [fence(9), 1],
      [fence(9), 0],
    ])
    expect((await w.engine.digests(w.pool, "controller", [0], fence(8)))[0]?.fence, "never lowered").toBe(fence(9))
    const before = await w.observe()
    const old = control("s2", [5, 5], { fence: fence(8) })
    expect(await w.start("kind/b", { control: old })).toMatchObject({ status: "fenced" })
    expect(await w.message("kind/a", { kind: "input", control: old })).toMatchObject({ status: "fenced", number: 0 })
    expect(only(await w.engine.terminate(w.pool, [w.terminateItem("kind/a", { control: old })]))).toMatchObject({ status: "fenced" })
    expect(await w.observe()).toBe(before)
    expect(await w.start("kind/b", { control: { ...old, fence: fence(9) } })).toMatchObject({ status: "started" })
    expect(await w.start("kind/c", { control: { ...old, fence: fence(10) } })).toMatchObject({ status: "started" })
    expect((await digest()).fence).toBe(fence(10))
    expect(await w.start("kind/d", { control: { ...old, controller: "another", fence: fence(1) } })).toMatchObject({ status: "started" })
  })

  test("fences near 2^63 are told apart", async () => {
    const w = world()
    const [low, high] = ["9223372036854775806", "9223372036854775807"] as const
    await w.engine.digests(w.pool, "controller", [0], high)
    expect(await w.start("kind/a", { control: control("s", [1, 1], { fence: low }) })).toMatchObject({ status: "fenced" })
    expect(await w.start("kind/a", { control: control("s", [1, 1], { fence: high }) })).toMatchObject({ status: "started" })
  })
}
