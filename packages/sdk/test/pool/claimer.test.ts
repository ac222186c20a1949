/** When a shard may be claimed that the store seems to give away (O1, O4). */
import { expect, test } from "vitest"
import type { ClaimItem, ClaimReply, Engine, ShardHeader } from "../../src/engine/engine.ts"
import { Claimer } from "../../src/pool/claimer.ts"
import { until } from "./support.ts"

/** A store with one shard, and the claimer of the session "me" that wants it. */
function world(header: ShardHeader) {
  const state = {
    header,
    incarnation: "first",
    living: new Set(["me"]),
    now: 0,
    rounds: 0,
    forgotten: 0,
    claimed: [] as number[],
  }
  const engine: Pick<Engine, "headers" | "renew" | "claim"> = {
    headers: async () => [state.header],
    renew: async () => ({
      alive: false,
      counters: new Map([...state.living].map((session) => [session, 1])),
      memberVersion: 1,
      assignmentVersion: 1,
      incarnation: state.incarnation,
      now: 0,
    }),
    claim: async (_pool: string, [item]: ReadonlyArray<ClaimItem>): Promise<ReadonlyArray<ClaimReply>> => {
      const epoch = Math.max(state.header.epoch, item?.knownEpoch ?? 0) + 1
      state.header = { shard: 0, session: "me", epoch }
      return [{ status: "claimed", epoch, active: [] }]
    },
  }
  const held = { is: false }
  const claimer = new Claimer({
    engine: engine as Engine,
    pool: "pool",
    session: "me",
    incarnation: "first",
    mayClaim: () => true,
    wanted: () => {
      state.rounds++
      return held.is ? [] : [0]
    },
    giveUpForeign: () => {},
    listen: async () => {},
    onClaimed: (_shard, epoch) => {
      held.is = true
      state.claimed.push(epoch)
    },
    onForgotten: () => state.forgotten++,
    onFault: (error) => {
      throw error
    },
    clock: () => state.now,
    graceMs: () => 1_000,
  })
  const round = async (): Promise<void> => {
    const before = state.rounds
    claimer.evaluate()
    await until(() => state.rounds > before, "a round")
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  return { state, claimer, held, round }
}
const nobody = (epoch: number): ShardHeader => ({ shard: 0, session: "", epoch })

test("a shard that nobody ever held is claimed at once, unless the store is another one or does not know the claimant", async () => {
  const fresh = world(nobody(0))
  await fresh.round()
  expect(fresh.state.claimed).toEqual([1])
  for (const change of [{ incarnation: "second" }, { living: new Set(["other"]) }]) {
    const emptied = world(nobody(0))
    Object.assign(emptied.state, change)
    await emptied.round()
    expect([emptied.state.claimed, emptied.state.forgotten]).toEqual([[], 1])
  }
})

test("a header that went back is claimed when every lease is over, with an epoch above the one that was seen", async () => {
  for (const back of [nobody(0), nobody(4), { shard: 0, session: "dead", epoch: 4 }]) {
    const { state, claimer, round } = world(back)
    claimer.note({ shard: 0, session: "other", epoch: 7 })
    await round()
    state.now = 999
    await round()
    expect(state.claimed).toEqual([])
    state.now = 1_000
    await round()
    expect(state.claimed).toEqual([8])
  }
})

test("who held it claims it again at once", async () => {
  const { state, held, round } = world(nobody(4))
  await round()
  expect(state.claimed).toEqual([5])
  Object.assign(state, { header: nobody(0) })
  held.is = false
  await round()
  expect(state.claimed).toEqual([5, 6])
})

test("a late hint of a release is no sign of it", async () => {
  const { state, claimer, round } = world(nobody(9))
  claimer.note(nobody(9))
  claimer.released(0, 4)
  await round()
  expect(state.claimed).toEqual([10])
})
