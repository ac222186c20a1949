/** Proves the checker for children, activities, updates and signals between runs: a sound history passes, and each damage to it is found. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { checkHistory } from "./history-check.ts"
import type { Family, FinalChild, History, WorkerLine } from "./history.ts"

interface Plan {
  /** Of the child: cancelled at once. */
  readonly doomed: boolean
  /** Tries of the activity; the last one counts. */
  readonly tries: number
  /** The child's handler began once more, on another worker. */
  readonly again: boolean
  readonly updates: number
}

/** One run, `r` of key `kin/k`, which tells itself; an iteration for each plan. */
const recorded = (plans: ReadonlyArray<Plan>): History => {
  let at = 0
  let handler = 0
  const workers: WorkerLine[] = []
  const script: Array<History["script"][number]> = [{ at: 0, what: "started", key: "kin/k", run: "r" }]
  const families: Family[] = []
  const children: FinalChild[] = []
  const log: number[] = []
  const handle = (
    key: string,
    run: string,
    iteration: number,
    body: (of: { worker: string; handler: number; key: string }) => void,
  ): void => {
    const of = { worker: handler % 2 === 0 ? "a" : "b", handler: ++handler, key }
    workers.push({ ...of, at: ++at, what: "begin", run, fence: String(handler), iteration })
    body(of)
    workers.push({ ...of, at: ++at, what: "end" })
  }
  for (const [i, { doomed, tries, again, updates }] of plans.entries()) {
    const iteration = i + 1
    const id = `r.${iteration}`
    const work = `w${tries}`
    for (let n = 1; n <= tries; n++) workers.push({ at: ++at, worker: "a", what: "try", key: "kin/k", call: `${id}.0`, value: `w${n}` })
    if (again) handle(`branch/${id}`, `b${iteration}`, 1, () => {})
    handle(`branch/${id}`, `b${iteration}`, 1, (of) => {
      if (!doomed) workers.push({ ...of, at: ++at, what: "said", value: "e" })
    })
    const branch = `b${iteration}`
    workers.push({ at: ++at, worker: "a", key: `branch/${id}`, what: "ended", run: branch })
    const end = doomed ? "Cancelled" : "done:e"
    children.push({ key: `branch/${id}`, run: branch, end })
    const leaves = {
      cancel: "Cancelled",
      terminate: doomed ? "RunNotFound" : "Terminated",
      ...(doomed ? {} : { abandon: `done:${branch}` }),
    }
    children.push({ key: `leaf/${id}.cancel`, run: `c${iteration}`, end: "Cancelled" })
    if (!doomed) {
      children.push({ key: `leaf/${id}.terminate`, run: `t${iteration}`, end: "Terminated" })
      children.push({ key: `leaf/${id}.abandon`, run: `l${iteration}`, end: `done:${branch}` })
      handle(`leaf/${id}.abandon`, `l${iteration}`, 1, (of) => workers.push({ ...of, at: ++at, what: "said", value: branch }))
    }
    families.push({ iteration, work, branch, end, leaves })
    handle("kin/k", "r", iteration, (of) => {
      for (const [call, value] of Object.entries({ work, branch, end, ...leaves }))
        workers.push({ ...of, at: ++at, what: "saw", call, value })
    })
    for (let n = 0; n < updates; n++) {
      log.push(log.length + 1)
      script.push({ at: ++at, what: "answered", key: "kin/k", n: log.length, place: log.length })
    }
  }
  const told = plans.length
  const heard = families.map((_, i) => ["kin/k", i + 1] as const)
  const of = { key: "kin/k", run: "r", log, iterations: told, counted: told, families, told, next: "kin/k", heard }
  return {
    workers,
    script,
    final: [{ key: "kin/k", run: "r", log: [], iterations: [] }],
    families: [of],
    children,
    repeats: () => false,
  }
}

const plan: Plan = { doomed: false, tries: 1, again: false, updates: 2 }
const sound = recorded([plan, { ...plan, doomed: true }, { ...plan, tries: 2, again: true }])
const [of] = sound.families ?? []
if (of === undefined) throw new Error("the history has no family")

const problems = (history: History): ReadonlyArray<string> =>
  checkHistory(history).problems.map(({ rule, key, text }) => `${rule} ${key} ${text}`)
const final = (change: Partial<typeof of>): History => ({ ...sound, families: [{ ...of, ...change }] })
const family = (iteration: number, change: Partial<Family>): History =>
  final({ families: of.families.map((one) => (one.iteration === iteration ? { ...one, ...change } : one)) })
const stored = (key: string, change: Partial<FinalChild>): History => ({
  ...sound,
  children: (sound.children ?? []).map((child) => (child.key === key ? { ...child, ...change } : child)),
})
/** What the handler of an iteration saw of a call. */
const seen = (call: string, iteration: number) => sound.workers.filter((line) => line.what === "saw" && line.call === call)[iteration - 1]
const withLines = (...lines: ReadonlyArray<WorkerLine>): History => ({ ...sound, workers: [...sound.workers, ...lines] })

const broken: Readonly<Record<string, { readonly history: History; readonly problems: ReadonlyArray<string> }>> = {
  "a doubled child: another run of it began": {
    history: withLines(
      { at: 900, worker: "a", handler: 90, key: "branch/r.1", what: "begin", run: "b9", fence: "900", iteration: 1 },
      { at: 901, worker: "a", handler: 90, key: "branch/r.1", what: "end" },
    ),
    problems: ["H8 branch/r.1 was started 2 times: as the runs b1, b9"],
  },
  "a doubled child: the store has another run of it": {
    history: stored("leaf/r.1.abandon", { run: "l9" }),
    problems: [
      "H8 leaf/r.1.abandon was started 2 times: as the runs l1, l9",
      "H9 kin/k leaf/r.1.abandon ended with done:b1, which no handler of it said",
    ],
  },
  "a doubled child: it ran to its end again, under its run": {
    history: withLines({ at: 900, worker: "b", key: "branch/r.1", what: "ended", run: "b1" }),
    problems: ["H8 branch/r.1 ended 2 times: it was started again under its run"],
  },
  "a parent that was told of another run": {
    history: {
      ...family(2, { branch: "b9" }),
      workers: sound.workers.map((line) => (line.what === "saw" && line.value === "b2" ? { ...line, value: "b9" } : line)),
    },
    problems: ["H8 kin/k iteration 2 was told of the run b9, and b2 ran"],
  },
  "a lost child end": {
    history: final({ families: of.families.slice(0, 2) }),
    problems: ["H9 kin/k the end of its child branch/r.3 is lost: no iteration counted it"],
  },
  "a child end that was counted twice": {
    history: final({ families: [...of.families, ...of.families.slice(2)] }),
    problems: ["H9 kin/k the end of a child was counted twice, in the iterations 3"],
  },
  "a child end that is not what the child said": {
    history: {
      ...family(1, { end: "done:x" }),
      children: stored("branch/r.1", { end: "done:x" }).children ?? [],
      workers: sound.workers.map((line) => (line === seen("end", 1) ? { ...line, value: "done:x" } : line)),
    },
    problems: ["H9 kin/k branch/r.1 ended with done:x, which no handler of it said"],
  },
  "a child that lives on": {
    history: stored("leaf/r.2.cancel", { end: "alive" }),
    problems: [
      "H9 leaf/r.2.cancel lives on, though its parent has ended or is at rest",
      "H9 kin/k the end of leaf/r.2.cancel counted as Cancelled, and the store has alive",
    ],
  },
  "an activity's result that no try gave": {
    history: { ...sound, workers: sound.workers.filter((line) => line.what !== "try" || line.call !== "r.1.0") },
    problems: ["H10 kin/k iteration 1 counted w1, which no try of its activity gave"],
  },
  "an activity of which two results were accepted": {
    history: withLines({ ...(seen("work", 3) as WorkerLine & { what: "saw" }), value: "w1" }),
    problems: ["H10 kin/k iteration 3: work counted as w2, and was seen as w2, w1"],
  },
  "a doubled update": {
    history: final({ log: [1, 2, 2, 3, 4, 5, 6] }),
    problems: ["H11 kin/k updates were applied twice: 2"],
  },
  "a lost update": {
    history: final({ log: [1, 2, 3, 4, 6] }),
    problems: ["H11 kin/k update 5 was answered and is lost", "H11 kin/k update 6 was answered with place 6, and is in place 5"],
  },
  "an update that was answered twice, differently": {
    history: { ...sound, script: [...sound.script, { at: 900, what: "answered", key: "kin/k", n: 3, place: 4 }] },
    problems: [
      "H11 kin/k update 3 was answered with 3, and then with 4",
      "H11 kin/k update 3 was answered with place 4, and is in place 3",
    ],
  },
  "a lost signal between runs": {
    history: final({ heard: of.heard.slice(0, 2) }),
    problems: ["H12 kin/k heard 2 signals of kin/k, which sent 3"],
  },
  "a doubled signal between runs": {
    history: final({ heard: [...of.heard.slice(0, 2), ...of.heard.slice(1)] }),
    problems: ["H12 kin/k heard 2 of kin/k, expected 3 next"],
  },
  "an iteration that was not counted": {
    history: final({ counted: 2 }),
    problems: ["H5 kin/k 3 iterations were committed, and the state counted 2"],
  },
}

test("a history with children, activities, updates and signals between runs is sound", () => {
  expect(problems(sound)).toEqual([])
  expect(checkHistory(sound)).toMatchObject({ families: 3, updates: 6 })
})

describe("a history fails:", () => {
  test.each(Object.entries(broken))("%s", (_, { history, problems: expected }) => {
    expect(problems(history)).toEqual(expected)
  })
})

test("what was answered before the store was emptied is void", () => {
  const script = [{ at: -2, what: "answered", key: "kin/k", n: 77, place: 1 }, { at: -1, what: "flushed" }, ...sound.script] as const
  expect(problems({ ...sound, script })).toEqual([])
})

const plans = fc.array(
  fc.record({ doomed: fc.boolean(), tries: fc.integer({ min: 1, max: 3 }), again: fc.boolean(), updates: fc.nat(3) }),
  { minLength: 1, maxLength: 6 },
)

test("any sound history passes, and each damage to it is found", () => {
  fc.assert(
    fc.property(plans, fc.nat(100), (given, pick) => {
      const history = recorded(given)
      const rules = (damaged: Partial<History>): ReadonlySet<string> =>
        new Set(checkHistory({ ...history, ...damaged }).problems.map(({ rule }) => rule))
      expect(rules({})).toEqual(new Set())
      const [whole] = history.families ?? []
      if (whole === undefined) throw new Error("the history has no family")
      const { families, heard, log } = whole
      const at = pick % families.length
      expect(rules({ families: [{ ...whole, families: families.toSpliced(at, 1) }] })).toEqual(new Set(["H9"]))
      expect(rules({ families: [{ ...whole, heard: heard.toSpliced(at, 1) }] })).toEqual(new Set(["H12"]))
      const children = history.children ?? []
      const child = children[pick % children.length]
      expect(rules({ children: children.filter((one) => one !== child) })).toContain("H9")
      if (log.length === 0) return
      expect(rules({ families: [{ ...whole, log: log.toSpliced(pick % log.length, 1) }] })).toEqual(new Set(["H11"]))
      expect(rules({ families: [{ ...whole, log: [...log, log[pick % log.length] ?? 0] }] })).toContain("H11")
    }),
  )
})
