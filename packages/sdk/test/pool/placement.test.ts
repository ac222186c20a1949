import fc from "fast-check"
import { describe, expect, test } from "vitest"
import {
  decodeAssignment,
  encodeAssignment,
  hasOrphans,
  heirs,
  moves,
  place,
  type Assignment,
  type PlacedMember,
  type PlacementInput,
} from "../../src/pool/placement.ts"

const member = (session: string, group = "default", weight = 1): PlacedMember => ({ session, group, weight })
const crowd = (count: number, from = 0): Array<PlacedMember> =>
  Array.from({ length: count }, (_, i) => member(`w${String(from + i).padStart(4, "0")}`))
const run = (
  members: ReadonlyArray<PlacedMember>,
  previous?: Assignment,
  shards = 256,
  groups: Readonly<Record<string, number>> = {},
): Assignment => place({ shards, members, groups, previous })
const loads = (assignment: Assignment): Map<string, number> => {
  const loads = new Map<string, number>()
  for (const owner of assignment.ownerOf) loads.set(owner, (loads.get(owner) ?? 0) + 1)
  return loads
}

/** Moves that no placement within P2 can avoid: what each that was there holds above the largest quota it may have now. */
const unavoidable = (before: Assignment, after: Assignment): number => {
  const had = loads(before)
  const has = loads(after)
  let kept = 0
  for (const [session, count] of had) if (session !== "") kept += Math.min(count, has.get(session) ?? 0)
  return before.ownerOf.filter((owner) => owner !== "").length - kept
}

const checkInvariants = (input: PlacementInput, after: Assignment): void => {
  const bySession = new Map(input.members.map((one) => [one.session, one]))
  const groups = new Map(Object.entries(after.groups))
  expect(after.ownerOf).toHaveLength(input.shards)
  const ranges = new Map<string, number>()
  const empty = (group: string): boolean => !input.members.some((one) => one.group === group)
  const spills = (group: string): boolean => empty(group) && (input.spill ?? []).includes(group)
  const receivers = input.members.filter((one) => (after.groups[one.group] ?? 1) > 0)
  const spilled: Array<string> = []
  for (let shard = 0; shard < input.shards; shard++) {
    const group = after.groupOf[shard] ?? ""
    const owner = after.ownerOf[shard] ?? ""
    // P1
    const weighty = [...groups.values()].some((weight) => weight > 0)
    if (weighty) expect(groups.get(group) ?? 0).toBeGreaterThan(0)
    // P5
    if (spills(group)) {
      expect(owner === "").toBe(receivers.length === 0)
      if (owner !== "") expect(receivers.map((one) => one.session)).toContain(owner)
      spilled.push(owner)
    } else if (owner === "") expect(empty(group)).toBe(true)
    else expect(bySession.get(owner)?.group).toBe(group)
    ranges.set(group, (ranges.get(group) ?? 0) + 1)
  }
  // P2, on both levels
  const within = (total: number, weights: ReadonlyMap<string, number>, counts: ReadonlyMap<string, number>): void => {
    const sum = [...weights.values()].reduce((all, one) => all + one, 0)
    for (const [id, weight] of weights) {
      const exact = (total * weight) / sum
      expect(counts.get(id) ?? 0).toBeGreaterThanOrEqual(Math.floor(exact))
      expect(counts.get(id) ?? 0).toBeLessThanOrEqual(Math.floor(exact) + 1)
    }
  }
  if ([...groups.values()].some((weight) => weight > 0)) within(input.shards, groups, ranges)
  const counts = new Map<string, number>()
  after.ownerOf.forEach((owner, shard) => {
    if (!spills(after.groupOf[shard] ?? "")) counts.set(owner, (counts.get(owner) ?? 0) + 1)
  })
  const spilledTo = new Map<string, number>()
  for (const owner of spilled) spilledTo.set(owner, (spilledTo.get(owner) ?? 0) + 1)
  if (spilled.length > 0 && receivers.length > 0)
    within(spilled.length, new Map(receivers.map((one) => [one.session, one.weight])), spilledTo)
  // A3: whoever has a home is at home.
  expect(hasOrphans(after, input.members)).toBe(false)
  // A4: every other candidate is an heir, once.
  const [shard0] = after.ownerOf
  if (shard0 !== undefined && shard0 !== "") {
    const some = heirs(after, input.members, 0)
    const home = after.groupOf[0] ?? ""
    const all = spills(home) ? receivers : input.members.filter((one) => one.group === home)
    expect([...some].sort()).toEqual(
      all
        .map((one) => one.session)
        .filter((one) => one !== shard0)
        .sort(),
    )
  }
  for (const group of groups.keys()) {
    const weights = new Map(input.members.filter((one) => one.group === group).map((one) => [one.session, one.weight]))
    if (weights.size > 0) within(ranges.get(group) ?? 0, weights, counts)
  }
}

const groupName = fc.constantFrom("a", "b", "c")
const members = fc.uniqueArray(
  fc.record({ session: fc.integer({ min: 0, max: 400 }).map((n) => `w${n}`), group: groupName, weight: fc.integer({ min: 1, max: 5 }) }),
  {
    selector: (one) => one.session,
    minLength: 1,
    maxLength: 200,
  },
)
const weights = fc.dictionary(groupName, fc.integer({ min: 0, max: 9 }), { maxKeys: 3 })
const spill = fc.subarray(["a", "b", "c"])

describe("placement", () => {
  test("holds its invariants over changing members, weights and groups", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(1, 7, 64, 256),
        fc.array(fc.tuple(members, weights, spill), { minLength: 1, maxLength: 4 }),
        (shards, rounds) => {
          let previous: Assignment | undefined
          // A session never changes its group or weight: they are those of its first appearance.
          const known = new Map<string, PlacedMember>()
          for (const [some, groups, spilling] of rounds) {
            for (const one of some) if (!known.has(one.session)) known.set(one.session, one)
            const input = { shards, members: some.map((one) => known.get(one.session) as PlacedMember), groups, spill: spilling, previous }
            const after = place(input)
            checkInvariants(input, after)
            // P6
            expect(place({ ...input, members: [...input.members].reverse() })).toEqual(after)
            // Nothing to do: nothing moves.
            expect(place({ ...input, groups: after.groups, previous: after }).ownerOf).toEqual(after.ownerOf)
            if (previous !== undefined) {
              // P3: within the loads that come out, not one move more than they need.
              const regrouped = after.groupOf.filter((group, shard) => previous?.groupOf[shard] !== group).length
              if (regrouped === 0 && spilling.length === 0 && previous.spill.length === 0)
                expect(moves(previous, after)).toBe(unavoidable(previous, after))
            }
            previous = after
          }
        },
      ),
      { numRuns: 150 },
    )
  })

  test("moves at most 1.1 times the minimum when a worker joins or leaves, for 1 to 200 workers", () => {
    let worstJoin = 0
    let worstLeave = 0
    let worstSpread = 0
    let everyone = run(crowd(1))
    for (let count = 2; count <= 200; count++) {
      const joined = run(crowd(count), everyone)
      // The newcomer must get at least floor(256 / n), and needs no more.
      worstJoin = Math.max(worstJoin, moves(everyone, joined) / Math.max(1, Math.floor(256 / count)))
      const spread = [...loads(joined).values()]
      worstSpread = Math.max(worstSpread, Math.max(...spread) - (spread.length < count ? 0 : Math.min(...spread)))
      for (const gone of [0, count >> 1, count - 1]) {
        const rest = crowd(count).filter((_, i) => i !== gone)
        const left = run(rest, joined)
        const orphans = joined.ownerOf.filter((owner) => owner === crowd(count)[gone]?.session).length
        if (orphans > 0) worstLeave = Math.max(worstLeave, moves(joined, left) / orphans)
        else expect(moves(joined, left)).toBe(0)
      }
      everyone = joined
    }
    console.log(`P6 over 1..200 workers: worst join ${worstJoin.toFixed(3)}, worst leave ${worstLeave.toFixed(3)}, spread ${worstSpread}`)
    expect(worstJoin).toBeLessThanOrEqual(1.1)
    expect(worstLeave).toBeLessThanOrEqual(1.1)
    expect(worstSpread).toBeLessThanOrEqual(1)
  })

  test("moves the minimum, and only in its group, when a worker of any weight joins or leaves one of several groups", () => {
    fc.assert(
      fc.property(
        members,
        fc.dictionary(groupName, fc.integer({ min: 1, max: 9 }), { minKeys: 3, maxKeys: 3 }),
        fc.tuple(groupName, fc.integer({ min: 1, max: 5 })),
        (some, groups, [group, weight]) => {
          const before = run(some, undefined, 256, groups)
          const joined = run([...some, member("newcomer", group, weight)], before, 256, groups)
          const left = run(some, joined, 256, groups)
          expect(moves(before, joined)).toBe(unavoidable(before, joined))
          // Those of the one who left, and no others: to its group, or to nobody.
          expect(moves(joined, left)).toBe(loads(joined).get("newcomer") ?? 0)
          for (let shard = 0; shard < 256; shard++) {
            if (before.groupOf[shard] === group) continue
            expect([joined.groupOf[shard], joined.ownerOf[shard]]).toEqual([before.groupOf[shard], before.ownerOf[shard]])
            expect([left.groupOf[shard], left.ownerOf[shard]]).toEqual([before.groupOf[shard], before.ownerOf[shard]])
          }
        },
      ),
      { numRuns: 100 },
    )
  })

  test("stays at the minimum over a long life of joins and leaves", () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { minLength: 50, maxLength: 150 }), fc.integer({ min: 1, max: 20 }), (joins, size) => {
        let next = size
        let present = crowd(size)
        let before = run(present)
        for (const join of joins) {
          if (join || present.length === 1) present = [...present, ...crowd(1, next++)]
          else present = present.filter((_, i) => i !== next % present.length)
          const after = run(present, before)
          expect(moves(before, after)).toBe(unavoidable(before, after))
          before = after
        }
      }),
      { numRuns: 30 },
    )
  })

  test("reads as expected", () => {
    const lines: Array<string> = []
    let now: Assignment | undefined
    const step = (what: string, some: ReadonlyArray<PlacedMember>, groups: Readonly<Record<string, number>> = {}): void => {
      const before = now
      now = run(some, before, 12, groups)
      lines.push(what, `  groups ${now.groupOf.join(" ")}`, `  owners ${now.ownerOf.map((owner) => owner || "-").join(" ")}`)
      lines.push(`  moved  ${before === undefined ? 0 : moves(before, now)}`)
    }
    const [a, b, c] = [member("a1", "eu"), member("b1", "eu"), member("c1", "us", 2)]
    step("one worker of eu", [a])
    step("a second one", [a, b])
    step("the first of us, which is new", [a, b, c])
    step("eu is given twice the weight of us", [a, b, c], { eu: 2, us: 1 })
    step("the worker of us leaves: its range waits", [a, b], { eu: 2, us: 1 })
    step("another one comes for it", [a, b, member("d1", "us")], { eu: 2, us: 1 })
    step("us is dropped", [a, b], { eu: 1 })
    expect(lines.join("\n")).toMatchSnapshot()
  })

  test("survives encoding", () => {
    const assignment = run([member("a", "eu"), member("b", "us", 3)], undefined, 64, { eu: 1, us: 2, waiting: 1 })
    expect(decodeAssignment(encodeAssignment(assignment))).toEqual(assignment)
    expect(decodeAssignment("")).toBeUndefined()
  })
})
