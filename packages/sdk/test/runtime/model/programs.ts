/** Random programs and scripts. What would depend on chance at one instant is not avoided here: the model finds it, and the case is skipped. */
import fc from "fast-check"
import type { Action, Again, Case, Node, Program } from "./program.ts"

/** Spread evenly: equal times are what makes outcomes depend on chance. */
const ms = (max: number): fc.Arbitrary<number> => fc.noBias(fc.integer({ min: 1, max }))
const maybe = <A>(arbitrary: fc.Arbitrary<A>): fc.Arbitrary<A | undefined> => fc.option(arbitrary, { nil: undefined })
const signal = fc.constantFrom("note" as const, "stop" as const)

const step = fc
  .record({ fails: fc.constantFrom(0, 0, 0, 1, 2), more: fc.integer({ min: 1, max: 2 }), deferred: fc.boolean() })
  .map(({ fails, more, deferred }): Node => ({ op: "step", fails, tries: fails + more, deferred }))
const activity = fc.constantFrom(0, 0, 1, 2).map((fails): Node => ({ op: "activity", fails, declared: false }))
const sleep = ms(3_000).map((time): Node => ({ op: "sleep", ms: time }))
const receive = fc
  .record({ name: signal, timeout: fc.oneof({ weight: 4, arbitrary: ms(4_000) }, { weight: 1, arbitrary: fc.constant(undefined) }) })
  .chain(({ name, timeout }) =>
    maybe(fc.constantFrom("a", "b")).map((only): Node => ({ op: "receive", name, timeout, only: name === "note" ? only : undefined })),
  )
const poll = fc.constantFrom("note" as const, "stop" as const, "" as const).map((name): Node => ({ op: "poll", name }))
const by = fc.integer({ min: 1, max: 9 })

const leaf: fc.Arbitrary<Node> = fc.oneof(
  { weight: 6, arbitrary: step },
  { weight: 3, arbitrary: activity },
  { weight: 5, arbitrary: sleep },
  { weight: 5, arbitrary: receive },
  { weight: 2, arbitrary: poll },
  { weight: 1, arbitrary: fc.constant<Node>({ op: "version" }) },
  { weight: 1, arbitrary: by.map((n): Node => ({ op: "add", by: n })) },
  { weight: 1, arbitrary: fc.constant<Node>({ op: "look" }) },
)
const policy = fc.constantFrom("cancel" as const, "terminate" as const, "abandon" as const)
const signalled = fc.constantFrom(false, false, true)
const failingChild = fc
  .record({ ms: ms(3_000), signal: signalled, policy })
  .map((child): Node => ({ op: "child", ...child, fails: true, wait: true }))

/** Tried once: where a recorded failure is lost with its worker, it is not to take its time again. */
const failing: fc.Arbitrary<Node> = fc.oneof(
  fc.boolean().map((deferred): Node => ({ op: "step", fails: 99, tries: 1, deferred })),
  fc.boolean().map((declared): Node => ({ op: "activity", fails: 9, declared })),
  fc.constant<Node>({ op: "gone" }),
  failingChild,
)

/** Undeclared failures are caught, and stand behind something: uncaught they would end attempts, which `flaky` does where it can be told. */
const { inner } = fc.letrec<{ inner: Node; some: Node; caught: Node; child: Node; compound: Node }>((tie) => ({
  some: fc.array(tie("inner"), { minLength: 1, maxLength: 3 }).map((nodes): Node => ({ op: "seq", nodes })),
  caught: fc.tuple(tie("some"), failing).map(([node, fail]): Node => ({ op: "catch", node: { op: "seq", nodes: [node, fail] } })),
  child: fc
    .record({
      ms: ms(4_000),
      signal: signalled,
      policy,
      during: fc.option(tie("some"), { nil: undefined }),
      how: fc.constantFrom(
        { wait: true, fails: false },
        { wait: true, fails: false },
        { wait: false, fails: false },
        { wait: false, fails: true },
      ),
    })
    .map(({ how, ...child }): Node => ({ op: "child", ...child, ...how })),
  compound: fc.oneof(
    tie("child"),
    fc
      .tuple(fc.constantFrom("all", "race", "settled"), fc.array(tie("some"), { minLength: 2, maxLength: 3 }))
      .map(([op, nodes]) => ({ op, nodes }) as Node),
    tie("caught"),
    tie("some").map((node): Node => ({ op: "catch", node })),
    fc.tuple(tie("some"), tie("some")).map(([node, clean]): Node => ({ op: "finally", node, clean })),
    fc.array(tie("inner"), { minLength: 1, maxLength: 3 }).map((nodes): Node => ({ op: "saga", nodes })),
  ),
  inner: fc.oneof({ maxDepth: 3, depthSize: "small" }, { weight: 3, arbitrary: leaf }, { weight: 2, arbitrary: tie("compound") }),
}))

const flaky = fc
  .tuple(fc.constantFrom(1, 1, 2, 3), fc.constantFrom("throw", "step", "activity"))
  .map(([until, how]) => ({ op: "flaky", until, how }) as Node)
const outer: fc.Arbitrary<Node> = fc.oneof(
  { weight: 12, arbitrary: inner },
  { weight: 2, arbitrary: flaky },
  { weight: 1, arbitrary: fc.constant<Node>({ op: "gone" }) },
  { weight: 1, arbitrary: failingChild },
  {
    weight: 1,
    arbitrary: fc
      .array(fc.oneof({ weight: 3, arbitrary: inner }, { weight: 1, arbitrary: flaky }), { minLength: 1, maxLength: 3 })
      .map((nodes): Node => ({ op: "saga", nodes })),
  },
)

const again: fc.Arbitrary<Again> = fc.record({
  after: fc.oneof({ weight: 3, arbitrary: ms(3_000) }, { weight: 1, arbitrary: fc.constant(undefined) }),
  on: maybe(fc.subarray(["note", "stop", "add"] as const, { minLength: 1 })),
})

const rare = <A>(arbitrary: fc.Arbitrary<A>): fc.Arbitrary<A | undefined> =>
  fc.oneof({ weight: 5, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary })

const program: fc.Arbitrary<Program> = fc.record({
  after: rare(ms(2_000)),
  timeout: fc.record({ run: rare(ms(9_000)), iteration: rare(ms(5_000)) }),
  iterations: fc.array(
    fc.record({ body: fc.array(outer, { minLength: 1, maxLength: 4 }).map((nodes): Node => ({ op: "seq", nodes })), again }),
    { minLength: 1, maxLength: 3 },
  ),
})

const action: fc.Arbitrary<Action> = fc
  .record({
    gap: ms(2_500),
    deed: fc.oneof(
      { weight: 5, arbitrary: fc.constantFrom("a", "b").map((text) => ({ do: "note" as const, text })) },
      { weight: 3, arbitrary: fc.constant({ do: "stop" as const }) },
      { weight: 3, arbitrary: fc.integer({ min: -1, max: 9 }).map((n) => ({ do: "add" as const, by: n === 0 ? 1 : n })) },
      { weight: 1, arbitrary: fc.constant({ do: "cancel" as const }) },
      { weight: 2, arbitrary: fc.constant({ do: "history" as const }) },
    ),
  })
  .map(({ gap, deed }) => ({ gap, ...deed }))

export const cases: fc.Arbitrary<Case> = fc.record({ program, script: fc.array(action, { maxLength: 7 }) })
