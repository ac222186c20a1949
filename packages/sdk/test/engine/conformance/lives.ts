import { expect, test } from "vitest"
import type { Life } from "../../../src/engine/engine.ts"
import type { World } from "../world.ts"

export function lifeConformance(world: () => World): void {
  test("a life is alive for all who look, as long as its engine is open (E8)", async () => {
    const w = world()
    const told: Life[] = []
    const engine = await w.open()
    const { life } = await engine.registerLife(w.pool, `s-${w.next()}`, { onChange: (change) => told.push(change) })
    const second = await w.other.registerLife(w.pool, `s-${w.next()}`)
    expect([life.left, second.life.left]).toEqual(["all", "all"])
    expect(life.why).toBeUndefined()
    const signs = [life.sign, second.life.sign]
    // A store that dies with its process has nothing to show.
    const expected = life.sign === "" ? "unknown" : "alive"
    for (const looking of [w.engine, w.other, engine]) expect(await looking.probe(w.pool, signs)).toEqual([expected, expected])
    await engine.close()
    // Closed in order, a driver may take away what could be probed; it never looks alive.
    while ((await w.engine.probe(w.pool, [life.sign]))[0] === "alive") await new Promise((resolve) => setTimeout(resolve, 5))
    expect(await w.engine.probe(w.pool, [second.life.sign])).toEqual([expected])
    expect(told, "who closes is told nothing").toEqual([])
    await second.end()
  })

  test("what is no sign of this store is unknown, never dead", async () => {
    const w = world()
    const handle = await w.engine.registerLife(w.pool, `s-${w.next()}`)
    const { life } = handle
    const foreign = [
      "",
      "?",
      "run=another data=1@127.0.0.1:1 renewal=2@127.0.0.1:2",
      "file=1:1 session=nobody",
      `${life.sign}\n`,
      life.sign.replace(/=/g, ":"),
    ]
    expect(await w.other.probe(w.pool, foreign)).toEqual(foreign.map(() => "unknown"))
    expect(await w.other.probe(w.pool, [])).toEqual([])
    await handle.end()
  })

  test("a record is replaced by compare-and-set, so that a late write cannot undo a later one (S8)", async () => {
    const w = world()
    await w.engine.join(w.pool, { session: "s1", record: "one" })
    expect(await w.engine.updateMember(w.pool, { session: "s1", record: "two" }, "one")).toBe(true)
    expect(await w.engine.updateMember(w.pool, { session: "s1", record: "two" }, "one"), "its repetition").toBe(true)
    expect(await w.engine.updateMember(w.pool, { session: "s1", record: "three" }, "two")).toBe(true)
    expect(await w.other.updateMember(w.pool, { session: "s1", record: "two" }, "one"), "held up").toBe(false)
    expect(await w.engine.members(w.pool)).toEqual({ memberVersion: 3, members: [{ session: "s1", record: "three" }] })
  })

  test("who registered another life meanwhile is not marked dead, nor who renewed (S7)", async () => {
    const w = world()
    await w.engine.join(w.pool, { session: "s1", record: "one" })
    await w.engine.updateMember(w.pool, { session: "s1", record: "two" }, "one")
    expect(await w.other.markDead(w.pool, "s1", 1, "one")).toBe("refused")
    await w.engine.renew(w.pool, "s1")
    expect(await w.other.markDead(w.pool, "s1", 1, "two")).toBe("refused")
    expect((await w.engine.renew(w.pool, "s1")).alive).toBe(true)
    expect(await w.other.markDead(w.pool, "s1", 3, "two")).toBe("marked")
    expect(await w.other.markDead(w.pool, "s1", 3, "two"), "its repetition").toBe("gone")
    expect((await w.engine.renew(w.pool, "s1")).alive).toBe(false)
  })
}
