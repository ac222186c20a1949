/** Groups of a running pool: set, re-weighted, removed, spilling over; and plans of changes. */
import { expect, test } from "vitest"
import { Pool } from "../../src/pool/index.ts"
import { openEngine } from "../../src/engine/open.ts"
import { decodeAssignment, encodeAssignment } from "../../src/pool/placement.ts"
import type { PoolMember } from "../../src/pool/member.ts"
import { describeStores, fast, Ground, shards, until } from "./support.ts"

const owned = (...members: ReadonlyArray<PoolMember>): ReadonlyArray<number> => members.map((member) => member.owned().length)

describeStores("groups", (url) => {
  const begin = async () => {
    const ground = new Ground(url())
    const pool = await Pool.join(ground.pool, { store: url(), shards, ...fast })
    return { ground, pool }
  }

  test("are added, re-weighted and removed at run time, and only the difference moves", async () => {
    const { ground, pool } = await begin()
    try {
      const { member: eu } = await ground.join("eu", { group: "eu" })
      await until(() => owned(eu)[0] === shards, "eu holds all")
      const { member: us } = await ground.join("us", { group: "us" })
      await until(() => owned(eu, us).join() === "8,8", "they share")
      expect(await pool.groups.list()).toEqual([
        { name: "eu", weight: 1, spill: false, shards: 8, workers: 1 },
        { name: "us", weight: 1, spill: false, shards: 8, workers: 1 },
      ])
      const held = new Set(us.owned().map(({ shard }) => shard))
      await pool.groups.set("eu", { weight: 3 })
      await until(() => owned(eu, us).join() === "12,4", "eu has three quarters")
      expect(us.owned().every(({ shard }) => held.has(shard))).toBe(true)
      await pool.groups.set("asia")
      await until(async () => (await pool.groups.list()).map((group) => group.shards).join() === "3,10,3", "asia has its part")
      // Nobody of asia is there: its part waits, and its keys have no owner.
      await until(() => owned(eu, us).join() === "10,3", "eu and us hold the rest")
      const keys = Array.from({ length: 60 }, (_, i) => `key-${i}`)
      const groups = await Promise.all(keys.map(async (key) => [await pool.groupOf(key), (await pool.owner(key))?.group]))
      for (const [group, owner] of groups) expect(owner).toBe(group === "asia" ? undefined : group)
      expect(new Set(groups.map(([group]) => group)).size).toBe(3)
      const { member: asia } = await ground.join("asia", { group: "asia" })
      await until(() => owned(asia)[0] === 3, "its worker has its part")
      await pool.groups.remove("us")
      await until(() => owned(eu, us, asia).join() === "12,0,4", "us holds nothing")
      expect((await pool.groups.list()).find(({ name }) => name === "us")).toEqual({
        name: "us",
        weight: 0,
        spill: false,
        shards: 0,
        workers: 1,
      })
      await pool.groups.set("us")
      await until(() => owned(eu, us, asia).join() === "10,3,3", "us is back")
      expect(ground.seen("rescued")).toEqual([])
    } finally {
      await pool.close()
    }
  })

  test("outlive their workers, and count for workers that were started with other weights", async () => {
    const { ground, pool } = await begin()
    try {
      await pool.groups.set("eu", { weight: 3 })
      await pool.groups.set("us", { weight: 1 })
      // A worker of yesterday's configuration, and the youngest: it does not undo what was set since.
      const { member: eu } = await ground.join("eu", { group: "eu", groups: { eu: 1, us: 1 } })
      await until(() => owned(eu)[0] === 12, "eu has three quarters")
      await eu.drain()
      const { member: again } = await ground.join("again", { group: "eu" })
      await until(() => owned(again)[0] === 12, "eu has three quarters again")
    } finally {
      await pool.close()
    }
  })

  test("spill over while they have no worker, where so set, and get their shards back", async () => {
    const { ground, pool } = await begin()
    try {
      await pool.groups.set("eu")
      await pool.groups.set("us", { spill: true })
      const { member: a } = await ground.join("a", { group: "eu" })
      const { member: b } = await ground.join("b", { group: "eu" })
      await until(() => owned(a, b).join() === "8,8", "eu holds the shards of us too")
      const key = "key-1"
      const range = await pool.groupOf(key)
      expect((await pool.owner(key))?.group).toBe("eu")
      const { member: us } = await ground.join("us", { group: "us" })
      await until(() => owned(a, b, us).join() === "4,4,8", "us has its shards back")
      expect(await pool.groupOf(key)).toBe(range)
      us.kill()
      await until(() => owned(a, b).join() === "8,8", "they spill over again")
      await pool.groups.set("us", { spill: false })
      await until(() => owned(a, b).join() === "4,4", "and wait, when so set")
    } finally {
      await pool.close()
    }
  })

  test("a member that knows nothing of stored groups is corrected by one that does", async () => {
    const { ground, pool } = await begin()
    const engine = await openEngine(url())
    try {
      await pool.groups.set("eu", { weight: 3 })
      await pool.groups.set("us")
      const { member: eu } = await ground.join("eu", { group: "eu" })
      await until(() => owned(eu)[0] === 12, "eu has three quarters")
      // As an earlier version writes it: half and half, of no configuration.
      const entry = await engine.assignment(ground.pool)
      const now = decodeAssignment(entry.value)
      if (now === undefined) throw new Error("no assignment")
      const half = { ...now, groups: { eu: 1, us: 1 }, config: 0, ownerOf: now.ownerOf.map((_, shard) => (shard < 8 ? eu.session : "")) }
      await engine.assign(ground.pool, { expectVersion: entry.version, memberVersion: entry.memberVersion, value: encodeAssignment(half) })
      await until(async () => (await engine.assignment(ground.pool)).version >= entry.version + 2, "it is written again")
      await until(() => owned(eu)[0] === 12, "eu has three quarters again")
    } finally {
      await engine.close()
      await pool.close()
    }
  })

  test("a plan shows what would move, and writes nothing", async () => {
    const { ground, pool } = await begin()
    try {
      expect(await pool.plan()).toEqual({ moves: [], moved: 0, groups: [], workers: [] })
      const { member: a } = await ground.join("a")
      const { member: b } = await ground.join("b")
      await until(() => owned(a, b).join() === "8,8", "they share")
      const { version } = await (await ground.engine()).assignment(ground.pool)
      expect(await pool.plan()).toMatchObject({ moves: [], moved: 0 })
      const more = await pool.plan({ add: [{}, { weight: 2 }] })
      expect(more.workers.map(({ name, before, after }) => [name, before, after])).toEqual([
        [a.session, 8, expect.any(Number)],
        [b.session, 8, expect.any(Number)],
        ["new-1", 0, 3],
        ["new-2", 0, 6],
      ])
      expect(more.moved).toBe(9)
      expect(more.moves.every(({ from, to }) => [a.session, b.session].includes(from) && to.startsWith("new-"))).toBe(true)
      const less = await pool.plan({ remove: [a.session] })
      expect(less.moves.map(({ shard }) => shard)).toEqual(
        a
          .owned()
          .map(({ shard }) => shard)
          .sort((x, y) => x - y),
      )
      expect(less.moves.every(({ from, to, group }) => from === a.session && to === b.session && group === "default")).toBe(true)
      const split = await pool.plan({ groups: { other: { weight: 3 } } })
      expect(split.groups).toEqual([
        { name: "default", weight: 1, before: 16, after: 4 },
        { name: "other", weight: 3, before: 0, after: 12 },
      ])
      expect(split.moves.filter(({ to }) => to === "")).toHaveLength(12)
      // What really happens is what was planned.
      const joined = await ground.join("c")
      const planned = await pool.plan({ remove: [joined.member.session] })
      expect(planned.groups).toEqual([{ name: "default", weight: 1, before: 16, after: 16 }])
      expect((await (await ground.engine()).assignment(ground.pool)).version).toBeGreaterThanOrEqual(version)
      await expect(pool.plan({ remove: ["nobody"] })).rejects.toThrow("expected remove of a plan to be sessions of the pool")
      await expect(pool.plan({ added: [] } as never)).rejects.toThrow("did you mean add?")
      expect((await pool.workers()).map(({ session, group, weight }) => [session, group, weight])).toContainEqual([a.session, "default", 1])
    } finally {
      await pool.close()
    }
  })

  test("refuse weights and names that they cannot have, and to leave the shards without a group", async () => {
    const { ground, pool } = await begin()
    try {
      await ground.join("a")
      await expect(pool.groups.set("", {})).rejects.toMatchObject({ _tag: "BadOption" })
      await expect(pool.groups.set("eu", { weight: 0 })).rejects.toThrow("expected the weight of group eu to be an integer from 1 to 100")
      await expect(pool.groups.set("eu", { spill: 1 as never })).rejects.toThrow("expected spill of group eu to be true or false")
      await expect(pool.groups.set("eu", { wieght: 2 } as never)).rejects.toThrow("did you mean weight?")
      await expect(pool.groups.remove("default")).rejects.toThrow('expected a group beside "default"')
      expect(await pool.groups.list()).toMatchObject([{ name: "default", weight: 1 }])
    } finally {
      await pool.close()
    }
  })
})
