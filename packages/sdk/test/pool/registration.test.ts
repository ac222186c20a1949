/** How a session keeps true what others see of it (S1, S8), against a store whose answers are held, lost and refused by the test. */
import { expect, test } from "vitest"
import type { Engine, Life, LifeOptions, MemberEntry } from "../../src/engine/engine.ts"
import { StoreUnavailable } from "../../src/errors.ts"
import type { KeeperLink } from "../../src/pool/keeper-link.ts"
import { decodeRecord, describeSelf } from "../../src/pool/record.ts"
import { Registration } from "../../src/pool/registration.ts"
import { until } from "./support.ts"

interface Update {
  readonly record: string
  readonly from: string | undefined
  readonly answer: (updated: boolean) => void
  readonly lose: () => void
}

const stage = async (first: Life) => {
  const joined: Array<string> = []
  const updates: Array<Update> = []
  const told: Array<string> = []
  const lives: { change: (life: Life) => void; ended: number } = { change: () => {}, ended: 0 }
  const engine: Pick<Engine, "registerLife" | "join"> = {
    async registerLife(_pool: string, _session: string, options: LifeOptions = {}) {
      lives.change = (life) => options.onChange?.(life)
      return { life: first, end: async () => void lives.ended++ }
    },
    async join(_pool: string, member: MemberEntry) {
      joined.push(member.record)
      return { memberVersion: 1 }
    },
  }
  const link: Pick<KeeperLink, "renewals" | "updateMember"> = {
    renewals: undefined,
    updateMember: (_pool: string, { record }: MemberEntry, from?: string) =>
      new Promise((resolve, reject) =>
        updates.push({ record, from, answer: resolve, lose: () => reject(new StoreUnavailable("lost by the test")) }),
      ),
  }
  const given = { group: "default", weight: 1, kinds: [], leaseMs: 6_000, reconnectGraceMs: 250, groups: undefined }
  const record = describeSelf("s1", 1, given)
  const registration = await Registration.open({ engine, link, pool: "pool", record, direct: false, clock: () => 7 })
  registration.start({
    onLife: (life) => told.push(life),
    onRefused: () => told.push("refused"),
    onUnseen: (why) => told.push(why),
    onFault: (error) => told.push(String(error)),
  })
  const lifeIn = (text: string | undefined) => (text === undefined ? undefined : decodeRecord(text).life)
  const update = async (n: number): Promise<Update> => {
    await until(() => updates.length >= n, `update ${n} is sent`)
    return updates[n - 1] as Update
  }
  return { registration, joined, updates, told, lives, lifeIn, update }
}

const all = (sign: string): Life => ({ sign, left: "all" })

test("joins with its life in the record, and trusts from the sending of the join", async () => {
  const { registration, joined, updates, told, lifeIn } = await stage(all("one"))
  expect(joined.map(lifeIn)).toEqual(["one"])
  expect(registration.sentAt).toBe(7)
  expect([updates, told]).toEqual([[], []])
})

test("takes work again only when the store has its new life, by compare-and-set on the old one", async () => {
  const { joined, told, lives, lifeIn, update } = await stage(all("one"))
  lives.change({ sign: "one", left: "some" })
  expect(told).toEqual(["partly"])
  lives.change(all("two"))
  const first = await update(1)
  expect([lifeIn(first.record), first.from]).toEqual(["two", joined[0]])
  expect(told).toEqual(["partly"])
  first.answer(true)
  await until(() => told.length === 2, "it is told")
  expect(told).toEqual(["partly", "whole"])
})

test("repeats a write whose answer was lost before it writes what came since", async () => {
  const { registration, told, lives, lifeIn, update, updates } = await stage(all("one"))
  lives.change({ sign: "one", left: "none" })
  lives.change(all("two"))
  const first = await update(1)
  lives.change({ sign: "two", left: "none" })
  lives.change(all("three"))
  first.lose()
  const again = await update(2)
  expect([again.record, again.from]).toEqual([first.record, first.from])
  again.answer(true)
  const next = await update(3)
  expect([lifeIn(next.record), next.from]).toEqual(["three", first.record])
  expect(told, "the confirmed one is gone already").toEqual(["lost"])
  next.answer(true)
  await until(() => told.at(-1) === "whole", "it is told")
  await registration.end()
  expect(updates).toHaveLength(3)
})

test("a loss before the new life is confirmed may have been the last of the old one: it counts as lost", async () => {
  const { told, lives, update } = await stage(all("one"))
  lives.change({ sign: "one", left: "some" })
  lives.change(all("two"))
  lives.change({ sign: "two", left: "some" })
  expect(told).toEqual(["partly", "lost"])
  const first = await update(1)
  first.answer(true)
  await until(() => told.length === 3, "it is told")
  expect(told).toEqual(["partly", "lost", "partly"])
})

test("a refused record is told, and whoever waits for it goes on", async () => {
  const { registration, told, update } = await stage(all("one"))
  const leaving = registration.update({ leaving: true })
  const first = await update(1)
  expect(decodeRecord(first.record)).toMatchObject({ leaving: true, life: "one" })
  first.answer(false)
  await leaving
  expect(told).toEqual(["refused"])
  const second = await update(2)
  expect(second.from).toBeUndefined()
  await registration.end()
})

test("what cannot be seen any more is said once in the store and told", async () => {
  const { told, lives, lifeIn, update } = await stage(all("one"))
  lives.change({ sign: "", left: "all", why: "a proxy" })
  const first = await update(1)
  expect(lifeIn(first.record)).toBe("")
  // Until then others see the old life go.
  expect(told).toEqual(["a proxy", "partly"])
  first.answer(true)
  await until(() => told.at(-1) === "whole", "it is told")
})

test("ends what the driver made", async () => {
  const { registration, lives } = await stage(all("one"))
  await registration.end()
  expect(lives.ended).toBe(1)
})
