/** How a mark and a renewal meet on a file, step by step: the interleavings numbered in src/engine/sqlite/members.ts. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, afterEach, expect, test } from "vitest"
import { Calls, type Tx } from "../../src/engine/sqlite/calls.ts"
import { countRenewal, holdLife, renewalsOf, type HeldLife } from "../../src/engine/sqlite/life-file.ts"
import * as members from "../../src/engine/sqlite/members.ts"
import { openStore, type Store } from "../../src/engine/sqlite/store.ts"

const folder = mkdtempSync(join(tmpdir(), "ponos-marks-"))
afterAll(() => rmSync(folder, { recursive: true }))
let count = 0
const ends: Array<() => void> = []
afterEach(() => {
  for (const end of ends.splice(0).reverse()) end()
})

/** One session, which has renewed twice, and the steps of those who mark it. */
const scene = async () => {
  const path = join(folder, `store-${++count}.db`)
  const open = async (): Promise<Calls> => {
    const store: Store = await openStore(`file:${path}`, 1_000, () => {})
    ends.push(() => store.leave())
    return new Calls(store, Date.now, 1_000)
  }
  const [own, other] = [await open(), await open()]
  const life: HeldLife = holdLife(path, "s")
  ends.push(() => life.end())
  const of = (session: string): number => renewalsOf(path, session)
  await own.write("pool", (tx) => members.join(tx, { session: "s", record: "r" }))
  const steps = {
    /** R1 */
    touch: () => countRenewal(path, "s"),
    /** R2 */
    look: (): Promise<string> => {
      const read = (within: Tx) => {
        const { reply, suspect } = members.readRenewal(within, "s", of)
        return reply.alive ? (suspect ? "suspect" : "alive") : "dead"
      }
      return own.read("pool", read)
    },
    /** R3 */
    clear: () =>
      own.write("pool", (tx) => {
        members.clearSuspect(tx, "s")
        return members.readRenewal(tx, "s", of).reply.alive ? "alive" : "dead"
      }),
    /** R1-R3 without a file, I7. */
    countInRow: () =>
      own.write("pool", (tx) => {
        members.countInRow(tx, "s")
        return members.readRenewal(tx, "s", of).reply.alive ? "alive" : "dead"
      }),
    /** M1 and M2; `within` runs inside of the transaction, after the counter was read. */
    suspect: (counter: number, within = () => {}) => {
      const mark = { session: "s", counter, record: undefined }
      return other.write("pool", (tx) => {
        const found = members.suspectMember(tx, mark, of)
        within()
        return found
      })
    },
    bury: (counter: number, within = () => {}) => {
      const mark = { session: "s", counter, record: undefined }
      return other.write("pool", (tx) => {
        const dead = members.markDead(tx, mark, of)
        within()
        return dead
      })
    },
  }
  expect([steps.touch(), steps.touch()]).toEqual([true, true])
  return steps
}

test("nobody renews: dead", async () => {
  const s = await scene()
  expect(await s.suspect(3)).toBe("suspect")
  expect(await s.bury(3)).toBe("marked")
  s.touch()
  expect(await s.look()).toBe("dead")
})

test("I1: who renewed before the first look is not suspected", async () => {
  const s = await scene()
  s.touch()
  expect(await s.suspect(3)).toBe("refused")
  expect(await s.look()).toBe("alive")
})

test("I2: who renews between the two looks lives, whether its own look is before the suspicion is written …", async () => {
  const s = await scene()
  const looks: Array<Promise<string>> = []
  const found = await s.suspect(3, () => {
    s.touch()
    // On another connection, as its process would: the suspicion is not yet written.
    looks.push(s.look())
  })
  expect(found).toBe("suspect")
  expect(await looks[0]).toBe("alive")
  expect(await s.bury(3)).toBe("refused")
  expect(await s.look(), "the suspicion was taken back").toBe("alive")
})

test("I2: … or after it", async () => {
  const s = await scene()
  expect(await s.suspect(3)).toBe("suspect")
  s.touch()
  expect(await s.look()).toBe("suspect")
  expect(await s.bury(3)).toBe("refused")
  expect(await s.clear()).toBe("alive")
})

test("I3: who renews after the second look is told to be dead, though the mark was not yet written when it looked", async () => {
  const s = await scene()
  await s.suspect(3)
  const looks: Array<Promise<string>> = []
  const buried = await s.bury(3, () => {
    s.touch()
    looks.push(s.look())
  })
  expect(buried).toBe("marked")
  expect(await looks[0]).toBe("suspect")
  expect(await s.clear()).toBe("dead")
})

test("I4: who cleared the suspicion lives", async () => {
  const s = await scene()
  await s.suspect(3)
  s.touch()
  expect(await s.look()).toBe("suspect")
  expect(await s.clear()).toBe("alive")
  expect(await s.bury(3)).toBe("refused")
})

test("I5: a mark that was begun and never ended stops nobody, and its late end changes nothing", async () => {
  const s = await scene()
  await s.suspect(3)
  s.touch()
  expect(await s.look()).toBe("suspect")
  expect(await s.clear()).toBe("alive")
  expect(await s.suspect(4)).toBe("suspect")
  expect(await s.bury(3), "the late one").toBe("refused")
  expect(await s.look(), "still suspected by the other").toBe("suspect")
  expect(await s.bury(4)).toBe("marked")
  expect(await s.look()).toBe("dead")
})

test("I6: two who mark at once agree", async () => {
  const s = await scene()
  expect([await s.suspect(3), await s.suspect(3)]).toEqual(["suspect", "suspect"])
  expect([await s.bury(3), await s.bury(3)]).toEqual(["marked", "gone"])
  expect(await s.suspect(3)).toBe("gone")
})

test("I7: who counts in its row is in time before the second look, and too late after it", async () => {
  const early = await scene()
  await early.suspect(3)
  expect(await early.countInRow()).toBe("alive")
  expect(await early.bury(3)).toBe("refused")
  const late = await scene()
  await late.suspect(3)
  expect(await late.bury(3)).toBe("marked")
  expect(await late.countInRow()).toBe("dead")
})
