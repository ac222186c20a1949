import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { type Action, joinPlans, type ObservedRun, planShard, type ShardInput } from "../src/plan.ts"

const me = "tenants"
const at = (key: string): string => `feed/${key}`
const input = (given: Partial<ShardInput>): ShardInput => ({
  shard: 3,
  controller: me,
  desired: new Map(),
  invalid: new Set(),
  observed: [],
  ended: new Map(),
  stopping: new Set(),
  ...given,
})
const desired = (specs: Readonly<Record<string, string>>): ShardInput["desired"] =>
  new Map(Object.entries(specs).map(([key, spec]) => [at(key), { address: at(key), spec }]))
const run = (key: string, spec: string, owner = me): ObservedRun => ({ address: at(key), run: `run-${key}`, spec, owner })

describe("planShard", () => {
  test("creates what is missing, updates what differs, stops what is not desired, leaves the rest", () => {
    const plan = planShard(input({ desired: desired({ a: "1", b: "1", c: "2" }), observed: [run("b", "1"), run("c", "1"), run("d", "1")] }))
    expect(plan.actions).toEqual([
      { type: "create", address: "feed/a", key: "a", shard: 3, spec: "1" },
      { type: "update", address: "feed/c", key: "c", shard: 3, run: "run-c", from: "1", spec: "2" },
      { type: "stop", address: "feed/d", key: "d", shard: 3, run: "run-d", from: "1" },
    ])
    expect(plan.unchanged).toBe(1)
  })

  test("P-2: runs of a client or of another controller are foreign where desired, and not its business elsewhere", () => {
    const plan = planShard(
      input({ desired: desired({ a: "1", b: "1" }), observed: [run("a", "1", ""), run("b", "1", "other"), run("c", "1", "other")] }),
    )
    expect(plan.actions.map(({ type, key }) => [type, key])).toEqual([
      ["foreign", "a"],
      ["foreign", "b"],
    ])
  })

  test("P-3: a row that does not match keeps its running job, and starts none", () => {
    const plan = planShard(input({ invalid: new Set([at("a"), at("b")]), observed: [run("a", "1")] }))
    expect(plan).toEqual({ actions: [], unchanged: 1, stopping: [] })
  })

  test("P-8: a run that was asked to stop is not stopped again; when it is desired again it is unchanged", () => {
    const stopping = new Set(["run-a"])
    expect(planShard(input({ observed: [run("a", "1")], stopping }))).toEqual({ actions: [], unchanged: 0, stopping: ["run-a"] })
    expect(planShard(input({ observed: [run("a", "1")], stopping, desired: desired({ a: "1" }) }))).toEqual({
      actions: [],
      unchanged: 1,
      stopping: [],
    })
  })

  test("a job that ended by itself is created again, and the plan says so", () => {
    const plan = planShard(input({ desired: desired({ a: "1" }), ended: new Map([[at("a"), "old"]]) }))
    expect(plan.actions).toEqual([{ type: "create", address: "feed/a", key: "a", shard: 3, spec: "1", after: "old" }])
  })
})

describe("properties", () => {
  const keys = fc.constantFrom("a", "b", "c", "d", "e", "f", "g", "h")
  const specs = fc.constantFrom("1", "2")
  const owners = fc.constantFrom(me, me, me, "", "other")
  const cases = fc.record({
    desired: fc.dictionary(keys, specs),
    invalid: fc.uniqueArray(keys),
    observed: fc.uniqueArray(fc.tuple(keys, specs, owners), { selector: ([key]) => key }),
    stopping: fc.uniqueArray(keys),
  })
  const build = (given: typeof cases extends fc.Arbitrary<infer A> ? A : never): ShardInput =>
    input({
      desired: desired(given.desired),
      invalid: new Set(given.invalid.filter((key) => !(key in given.desired)).map(at)),
      observed: given.observed.map(([key, spec, owner]) => run(key, spec, owner)),
      stopping: new Set(given.stopping.map((key) => `run-${key}`)),
    })

  test("P-1 to P-5: one action per address, foreign runs untouched, stops only of what is neither desired nor protected", () => {
    fc.assert(
      fc.property(cases, (given) => {
        const shard = build(given)
        const { actions } = planShard(shard)
        expect(new Set(actions.map(({ address }) => address)).size).toBe(actions.length)
        const byAddress = new Map(shard.observed.map((observed) => [observed.address, observed]))
        for (const action of actions) {
          const observed = byAddress.get(action.address)
          if (action.type === "create") expect(observed).toBeUndefined()
          if (action.type === "foreign") expect(observed?.owner).not.toBe(me)
          if (action.type === "update" || action.type === "stop") {
            expect(observed?.owner).toBe(me)
            expect([action.run, action.from]).toEqual([observed?.run, observed?.spec])
          }
          if (action.type === "stop") expect(shard.desired.has(action.address) || shard.invalid.has(action.address)).toBe(false)
        }
      }),
    )
  })

  test("P-6: order changes nothing", () => {
    fc.assert(
      fc.property(cases, (given) => {
        const shard = build(given)
        const reversed = { ...shard, desired: new Map([...shard.desired].reverse()), observed: [...shard.observed].reverse() }
        expect(joinPlans([planShard(reversed)], 0)).toEqual(joinPlans([planShard(shard)], 0))
      }),
    )
  })

  test("P-7: after a plan was applied whole, the next one has no actions but foreign", () => {
    fc.assert(
      fc.property(cases, (given) => {
        const shard = build(given)
        const runs = new Map(shard.observed.map((observed) => [observed.address, observed]))
        for (const action of planShard(shard).actions) {
          if (action.type === "create") runs.set(action.address, { address: action.address, run: "new", spec: action.spec, owner: me })
          if (action.type === "update") runs.set(action.address, { address: action.address, run: action.run, spec: action.spec, owner: me })
          if (action.type === "stop") runs.delete(action.address)
        }
        const { actions } = planShard({ ...shard, observed: [...runs.values()] })
        expect(actions.filter(({ type }) => type !== "foreign")).toEqual([])
      }),
    )
  })
})

describe("joinPlans", () => {
  const stop = (key: string, shard: number): Action => ({ type: "stop", address: at(key), key, shard, run: `run-${key}`, from: "1" })

  test("counts add up, and actions are sorted by shard and address", () => {
    const joined = joinPlans(
      [
        { actions: [stop("b", 2), stop("c", 2)], unchanged: 4, stopping: ["x"] },
        { actions: [stop("a", 1)], unchanged: 0, stopping: [] },
      ],
      10,
    )
    expect(joined.counts).toEqual({ create: 0, update: 0, stop: 3, unchanged: 14, foreign: 0, stopping: 1 })
    expect(joined.actions.map(({ key }) => key)).toEqual(["a", "b", "c"])
  })

  test("the hash is that of the runs that would stop, and of nothing else", () => {
    const create: Action = { type: "create", address: at("z"), key: "z", shard: 0, spec: "1" }
    const hash = (...actions: ReadonlyArray<Action>): string => joinPlans([{ actions, unchanged: 0, stopping: [] }], 0).hash
    expect(hash(stop("a", 1), create)).toBe(hash(stop("a", 1)))
    expect(hash(stop("a", 1), stop("b", 1))).not.toBe(hash(stop("a", 1)))
    expect(hash({ ...stop("a", 1), run: "another" } as Action)).not.toBe(hash(stop("a", 1)))
  })
})
