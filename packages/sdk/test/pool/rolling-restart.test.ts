/**
 * A rolling restart moves each shard twice at most, on average: once from the worker that leaves, once to the one that comes back. First over
 * many schedules with the real placement and the assigner's timing, then with ten real members.
 */
import fc from "fast-check"
import { expect, test } from "vitest"
import { computeAfter } from "../../src/pool/assigner.ts"
import { hasOrphans, moves, place, type Assignment, type PlacedMember } from "../../src/pool/placement.ts"
import { describeStores, fast, Ground, Holder, keys, shards as fewShards, until } from "./support.ts"

const shards = 256
const workers = 10
const settleMs = 200

interface Change {
  readonly at: number
  readonly join?: PlacedMember
  readonly leave?: string
}

/** Worker i of life n; ids in the order of joining, as those of sessions. */
const worker = (i: number, n: number): PlacedMember => ({ session: `${n}-${String(i).padStart(2, "0")}`, group: "default", weight: 1 })

/** Follows the changes as the assigner does: those who leave run on until they are replaced. Counts every move. */
const simulate = (changes: ReadonlyArray<Change>): { readonly moved: number; readonly last: Assignment } => {
  let members: ReadonlyArray<PlacedMember> = Array.from({ length: workers }, (_, i) => worker(i, 0))
  const present = new Set(members.map(({ session }) => session))
  let now: Assignment = place({ shards, members, groups: {}, previous: undefined })
  let moved = 0
  let due = Number.POSITIVE_INFINITY
  const compute = (): void => {
    const next = place({ shards, members, groups: {}, previous: now })
    moved += moves(now, next)
    now = next
    due = Number.POSITIVE_INFINITY
  }
  for (const { at, join, leave } of [...changes].sort((a, b) => a.at - b.at)) {
    if (at >= due) compute()
    members = members.filter(({ session }) => session !== leave)
    if (join !== undefined) members = [...members, join]
    if (join !== undefined) present.add(join.session)
    const cause = members.length === 0 || hasOrphans(now, members, present) ? "orphans" : leave === undefined ? "balance" : "leaving"
    due = Math.min(due, at + computeAfter(cause, settleMs, 0))
  }
  if (due !== Number.POSITIVE_INFINITY) compute()
  return { moved, last: now }
}

test("moves each shard at most twice, whatever the time between stop and start, and with several at a time", () => {
  let worst = 0
  const soon = fc.integer({ min: 0, max: settleMs - 1 })
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 30_000 }),
      fc.integer({ min: 0, max: 30_000 }),
      fc.integer({ min: 1, max: workers / 2 }),
      fc.array(soon, { minLength: workers, maxLength: workers }),
      (downMs, restMs, atOnce, jitter) => {
        const changes = Array.from({ length: workers }, (_, i): ReadonlyArray<Change> => {
          // The next ones are stopped when the last ones are there again.
          const at = Math.floor(i / atOnce) * (downMs + 2 * settleMs + restMs)
          const [stopped, started] = [jitter[i] ?? 0, jitter[workers - 1 - i] ?? 0]
          return [
            { at: at + stopped, leave: worker(i, 0).session },
            { at: at + Math.max(stopped, downMs + started), join: worker(i, 1) },
          ]
        }).flat()
        const { moved, last } = simulate(changes)
        expect(new Set(last.ownerOf).size).toBe(workers)
        worst = Math.max(worst, moved / shards)
        expect(moved).toBeLessThanOrEqual(2 * shards)
      },
    ),
    { numRuns: 300 },
  )
  console.log(`rolling restart of ${workers} workers: at most ${worst.toFixed(2)} moves a shard over 300 schedules`)
})

test("a worker that is back within the settling time costs its shards one move", () => {
  const changes = Array.from({ length: workers }, (_, i): ReadonlyArray<Change> => [
    { at: i * 5_000, leave: worker(i, 0).session },
    { at: i * 5_000 + settleMs - 1, join: worker(i, 1) },
  ]).flat()
  // Those that a worker has when it leaves: 25 or 26 each time.
  expect(simulate(changes).moved).toBeLessThanOrEqual(26 * workers)
})

test("workers that come within the settling time are one rebalancing", () => {
  const more = Array.from({ length: workers }, (_, i): Change => ({ at: 1_000 + i * 19, join: worker(i, 1) }))
  // Twice as many workers: half of the shards move, once each (the odd ones stay with those who have them).
  expect(simulate(more).moved).toBe(shards / 2 - 2)
})

describeStores("a rolling restart of ten members", (url) => {
  test("moves each shard at most twice on average, and every job goes on", async () => {
    const ground = new Ground(url())
    const engine = await ground.engine()
    const join = (name: string) =>
      ground.join(name, { engine, options: { ...fast, leaseMs: 5_000 }, consumer: new Holder(name, ground.history) })
    let present = await Promise.all(Array.from({ length: workers }, (_, i) => join(`m${i}`)))
    const owned = (): number => present.reduce((sum, { member }) => sum + member.owned().length, 0)
    const spread = (): boolean => owned() === fewShards && present.every(({ member }) => member.owned().length <= 2)
    await until(spread, "they share")
    await ground.start(engine, keys(60))
    await until(() => ground.history.running().length === 60, "all run")
    const before = ground.seen("claimed").length
    for (let i = 0; i < workers; i++) {
      const [first, ...rest] = present
      await first?.member.drain()
      present = [...rest, await join(`n${i}`)]
      await until(spread, "they share again")
    }
    await until(() => ground.history.running().length === 60, "all run")
    const claims = ground.seen("claimed").length - before
    console.log(`rolling restart of ${workers} members over ${fewShards} shards: ${(claims / fewShards).toFixed(2)} claims a shard`)
    expect(claims).toBeLessThanOrEqual(2 * fewShards)
    expect(ground.seen("rescued")).toEqual([])
    ground.history.checkNoOverlap()
  })
})
