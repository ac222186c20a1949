/**
 * Children, activities, updates and signals between runs: did each count once? A pure function of a history, beside history-check.ts. The families
 * were at rest when the store was read, so that all that was begun has ended.
 *
 * - H8 (P3, P4) A child is started once: it has one run, the one of which its parent was told, and that ends once.
 * - H9 (P3) Its end reaches the parent, once, and is what the child said and what the store holds. What a parent's end closes is closed as was
 *   agreed, and none of it lives on.
 * - H10 (P4) An activity's result that counts was given by a try of that very call; who saw it saw the same.
 * - H11 (P3, P4, P5) An update that was answered is applied, once, in the place that the answer said; its repetition gets the same answer.
 * - H12 (P3, P4, P5) Signals from run to run come once, in order, none left out.
 */
import { forgotten, type Family, type FinalFamily, type Forgotten, type History, type WorkerLine } from "./history.ts"

export type FamilyRule = "H5" | "H8" | "H9" | "H10" | "H11" | "H12"
type Report = (rule: FamilyRule, key: string, text: string) => void

type Line<What extends WorkerLine["what"]> = Extract<WorkerLine, { readonly what: What }>

interface Evidence {
  /** Of each child, the runs that began. */
  readonly begun: ReadonlyMap<string, ReadonlySet<string>>
  /** Of each child, the runs whose end was accepted, each time. */
  readonly ended: ReadonlyMap<string, ReadonlyArray<string>>
  /** Results with which handlers of a run were about to end it. */
  readonly said: ReadonlyMap<string, ReadonlySet<string>>
  /** What a call of an iteration gave, by `<run> <iteration> <call>`. */
  readonly saw: ReadonlyMap<string, ReadonlySet<string>>
  /** Values of tries, by the iteration that called: `<run>.<iteration>`. */
  readonly tried: ReadonlyMap<string, ReadonlySet<string>>
}

const isChild = (key: string): boolean => key.startsWith("branch/") || key.startsWith("leaf/")

const gather = (lines: ReadonlyArray<WorkerLine>, isForgotten: Forgotten): Evidence => {
  const ended = new Map<string, string[]>()
  const begins = new Map<string, Line<"begin">>()
  const collect = () => new Map<string, Set<string>>()
  const [begun, said, saw, tried] = [collect(), collect(), collect(), collect()]
  const add = (to: Map<string, Set<string>>, name: string, value: string): void =>
    void (to.get(name)?.add(value) ?? to.set(name, new Set([value])))
  for (const line of lines) {
    if (line.what === "try") add(tried, line.call.split(".").slice(0, -1).join("."), line.value)
    if (line.what === "ended" && isChild(line.key) && !isForgotten(line.at, line.key))
      ended.set(line.key, [...(ended.get(line.key) ?? []), line.run])
    if (line.what !== "begin") continue
    begins.set(`${line.worker} ${line.handler}`, line)
    if (isChild(line.key)) add(begun, line.key, line.run)
  }
  for (const line of lines) {
    if (line.what !== "said" && line.what !== "saw") continue
    const begin = begins.get(`${line.worker} ${line.handler}`)
    if (begin === undefined) continue
    if (line.what === "said") add(said, begin.run, line.value)
    else add(saw, `${begin.run} ${begin.iteration} ${line.call}`, line.value)
  }
  return { begun, ended, said, saw, tried }
}

const none: ReadonlySet<string> = new Set()
const list = (items: Iterable<unknown>): string => [...items].join(", ")

class FamilyCheck {
  readonly #history: History
  readonly #evidence: Evidence
  readonly #report: Report
  readonly #ends: ReadonlyMap<string, { readonly run: string; readonly end: string }>

  constructor(history: History, report: Report) {
    this.#history = history
    this.#evidence = gather(history.workers, forgotten(history.script))
    this.#report = report
    this.#ends = new Map((history.children ?? []).map((child) => [child.key, child]))
  }

  all(): void {
    for (const [key, runs] of this.#evidence.begun) {
      const stored = this.#ends.get(key)?.run
      const known = new Set(stored === undefined ? runs : [...runs, stored])
      if (known.size > 1) this.#report("H8", key, `was started ${known.size} times: as the runs ${list(known)}`)
    }
    for (const [key, runs] of this.#evidence.ended)
      if (new Set(runs).size < runs.length) this.#report("H8", key, `ended ${runs.length} times: it was started again under its run`)
    const families = this.#history.families ?? []
    const runs = new Set(families.map(({ run }) => run))
    for (const [key, { end }] of this.#ends) {
      if (end === "alive" && runs.has(rootOf(key))) this.#report("H9", key, "lives on, though its parent has ended or is at rest")
    }
    for (const final of families) this.#final(final)
  }

  #final(final: FinalFamily): void {
    const { key, run, families, iterations, counted } = final
    if (iterations !== counted) this.#report("H5", key, `${iterations} iterations were committed, and the state counted ${counted}`)
    const numbers = families.map(({ iteration }) => iteration)
    const twice = numbers.filter((n, i) => numbers.indexOf(n) !== i)
    if (twice.length > 0) this.#report("H9", key, `the end of a child was counted twice, in the iterations ${list(twice)}`)
    const known = new Set(numbers)
    for (const child of new Set([...this.#evidence.begun.keys(), ...this.#ends.keys()])) {
      const [, , iteration] = /^branch\/(.*)\.(\d+)$/.exec(child) ?? []
      if (iteration !== undefined && rootOf(child) === run && !known.has(Number(iteration)))
        this.#report("H9", key, `the end of its child ${child} is lost: no iteration counted it`)
    }
    for (const family of families) this.#family(final, family)
    this.#updates(final)
    this.#signals(final)
  }

  #family({ key, run }: FinalFamily, family: Family): void {
    const { iteration, work, branch, end, leaves } = family
    const id = `${run}.${iteration}`
    const { begun, saw, tried } = this.#evidence
    const counted = { work, branch, end, ...leaves }
    for (const [call, value] of Object.entries(counted)) {
      const seen = saw.get(`${run} ${iteration} ${call}`) ?? none
      if (seen.size !== 1 || !seen.has(value))
        this.#report(
          call === "work" ? "H10" : "H9",
          key,
          `iteration ${iteration}: ${call} counted as ${value}, and was seen as ${list(seen) || "nothing"}`,
        )
    }
    if (!(tried.get(id) ?? none).has(work))
      this.#report("H10", key, `iteration ${iteration} counted ${work}, which no try of its activity gave`)
    const runs = begun.get(`branch/${id}`) ?? none
    if (runs.size > 0 && !runs.has(branch))
      this.#report("H8", key, `iteration ${iteration} was told of the run ${branch}, and ${list(runs)} ran`)
    // One that was cancelled at once may have had no time to start its own.
    const doomed = leaves.abandon === undefined
    const perhaps = doomed ? ["RunNotFound"] : []
    this.#ended(key, `branch/${id}`, end, doomed ? ["Cancelled"] : undefined)
    this.#ended(key, `leaf/${id}.cancel`, leaves.cancel, ["Cancelled", ...perhaps])
    this.#ended(key, `leaf/${id}.terminate`, leaves.terminate, ["Terminated", ...perhaps])
    if (leaves.abandon !== undefined) this.#ended(key, `leaf/${id}.abandon`, leaves.abandon, [`done:${branch}`])
  }

  /** The end of a child that was counted: as expected (absent: with a result), as in the store, and as one of its handlers said. */
  #ended(key: string, child: string, end: string, expected: ReadonlyArray<string> | undefined): void {
    if (expected === undefined ? !end.startsWith("done:") : !expected.includes(end))
      this.#report("H9", key, `${child} ended with ${end}, expected ${expected === undefined ? "a result" : expected.join(" or ")}`)
    const stored = this.#ends.get(child)
    if ((stored?.end ?? "RunNotFound") !== end)
      this.#report("H9", key, `the end of ${child} counted as ${end}, and the store has ${stored?.end ?? "nothing"}`)
    if (!end.startsWith("done:")) return
    const run = stored?.run ?? ""
    if (!(this.#evidence.said.get(run) ?? none).has(end.slice(5)))
      this.#report("H9", key, `${child} ended with ${end}, which no handler of it said`)
  }

  #updates({ key, log }: FinalFamily): void {
    const { script } = this.#history
    const isForgotten = forgotten(script)
    const twice = log.filter((n, i) => log.indexOf(n) !== i)
    if (twice.length > 0) this.#report("H11", key, `updates were applied twice: ${list(new Set(twice))}`)
    const disorder = log.findIndex((n, i) => n < (log[i - 1] ?? 0))
    if (disorder >= 0) this.#report("H11", key, `update ${log[disorder]} was applied after ${log[disorder - 1]}`)
    const places = new Map<number, number>()
    for (const line of script) {
      if (line.what !== "answered" || line.key !== key || isForgotten(line.at, key)) continue
      const { n, place } = line
      const before = places.get(n)
      if (before !== undefined && before !== place)
        this.#report("H11", key, `update ${n} was answered with ${before}, and then with ${place}`)
      places.set(n, place)
      if (!log.includes(n)) this.#report("H11", key, `update ${n} was answered and is lost`)
      else if (log[place - 1] !== n && twice.length === 0)
        this.#report("H11", key, `update ${n} was answered with place ${place}, and is in place ${log.indexOf(n) + 1}`)
    }
  }

  #signals({ key, told, next }: FinalFamily): void {
    const heard = (this.#history.families ?? [])
      .filter((one) => one.key === next)
      .flatMap((one) => one.heard)
      .flatMap(([from, n]) => (from === key ? [n] : []))
    const wrong = heard.findIndex((n, i) => n !== i + 1)
    if (wrong >= 0) this.#report("H12", next, `heard ${heard[wrong]} of ${key}, expected ${wrong + 1} next`)
    else if (heard.length !== told) this.#report("H12", next, `heard ${heard.length} signals of ${key}, which sent ${told}`)
  }
}

/** The run at the top of the family to which a child belongs: its keys begin with it. */
export const rootOf = (child: string): string => /^(?:branch|leaf)\/(.*?)\.\d+(?:\.\w+)?$/.exec(child)?.[1] ?? ""

export const checkFamilies = (history: History, report: Report): void => new FamilyCheck(history, report).all()
