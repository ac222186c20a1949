/**
 * Did Ponos keep its promises? A pure function of a history; it trusts neither the store nor the SDK.
 *
 * - H1 (P1, P2) No two handlers of a key run at the same time. A handler that never ended ends with its process. While a process is frozen, or
 *   its loop blocked, no handler runs, as long as it writes nothing; what it still runs afterwards is `late`: counted, and a violation only above `lateMs`.
 * - H2 (P1) Fences of a key grow from handler to handler.
 * - H3 (P3) Every acknowledged start was run, and every acknowledged message is in the final log.
 * - H4 (P5) The final log is in the order of the acknowledgements, and each handler saw messages in that order, none left out.
 * - H5 (P4) No message is counted twice. An iteration is counted once, and all who saw the journaled result of its step saw the same.
 * - H6 Absent evidence is no proof: what the store holds was run by workers who wrote it down.
 * - H7 (P1) Every fence is of an epoch that the audit says was claimed.
 * - H8 to H12: children, activities, updates and signals between runs (family-check.ts).
 */
import { checkFamilies, type FamilyRule } from "./family-check.ts"
import { forgotten, type Final, type Forgotten, type HandlerLine, type History, type WorkerLine } from "./history.ts"

export interface Problem {
  readonly rule: "H1" | "H2" | "H3" | "H4" | "H6" | "H7" | FamilyRule
  readonly key: string
  readonly text: string
}

export interface CheckOptions {
  /** How long a thawed process may run on beside the next owner; default 0. */
  readonly lateMs?: number
  /** Epochs of the key's shard that were claimed, by the audit; absent: H7 is not checked. */
  readonly claimed?: (key: string) => ReadonlySet<number> | undefined
}

export interface Findings {
  readonly problems: ReadonlyArray<Problem>
  readonly handlers: number
  readonly messages: number
  readonly updates: number
  /** Iterations that counted an activity, a child with its own children, and a signal to another run. */
  readonly families: number
  /** The longest time for which a thawed process ran on beside the next owner. */
  readonly lateMs: number
}

type Begin = Extract<HandlerLine, { readonly what: "begin" }>

interface Interval {
  readonly from: number
  readonly to: number
}

interface Handler {
  readonly begin: Begin
  /** When its user code ran. */
  readonly ran: ReadonlyArray<Interval>
  /** The part of it before its process first stood still. */
  readonly prompt: ReadonlyArray<Interval>
  readonly lines: ReadonlyArray<HandlerLine>
}

const fenceBits = 22n

const groupBy = <T>(items: ReadonlyArray<T>, name: (item: T) => string): Map<string, T[]> => {
  const groups = new Map<string, T[]>()
  for (const item of items) {
    const group = groups.get(name(item))
    if (group === undefined) groups.set(name(item), [item])
    else group.push(item)
  }
  return groups
}

/** Of the time between two turns of a loop, the longest in which its process wrote down nothing: what it did before and after that, it did. */
const stillOf = ({ worker, from, to }: Extract<WorkerLine, { what: "stalled" }>, lines: ReadonlyArray<WorkerLine>): Interval => {
  const own = lines.flatMap((line) =>
    line.worker === worker && line.what !== "stalled" && line.at > from && line.at < to ? [line.at] : [],
  )
  const times = [from, ...own.toSorted((a, b) => a - b), to]
  const gaps = times.slice(1).map((at, n): Interval => ({ from: times[n] ?? from, to: at }))
  return gaps.toSorted((a, b) => b.to - b.from - (a.to - a.from))[0] ?? { from, to }
}

/** When each process stood still, and when it was no more. */
const lives = ({ workers, script }: History): Map<string, { frozen: Interval[]; diedAt: number }> => {
  const found = new Map<string, { frozen: Interval[]; diedAt: number }>()
  const lifeOf = (worker: string): { frozen: Interval[]; diedAt: number } => {
    const life = found.get(worker) ?? { frozen: [], diedAt: Number.POSITIVE_INFINITY }
    found.set(worker, life)
    return life
  }
  for (const line of script) {
    if (line.what === "frozen") lifeOf(line.worker).frozen.push({ from: line.at, to: Number.POSITIVE_INFINITY })
    else if (line.what === "thawed") {
      const { frozen } = lifeOf(line.worker)
      const last = frozen.pop()
      if (last !== undefined) frozen.push({ from: last.from, to: line.at })
    } else if (line.what === "killed" || line.what === "exited") {
      const life = lifeOf(line.worker)
      life.diedAt = Math.min(life.diedAt, line.at)
    }
  }
  for (const line of workers) if (line.what === "stalled") lifeOf(line.worker).frozen.push(stillOf(line, workers))
  for (const life of found.values()) life.frozen.sort((a, b) => a.from - b.from)
  return found
}

const without = (whole: Interval, frozen: ReadonlyArray<Interval>): { ran: Interval[]; prompt: Interval[] } => {
  const ran: Interval[] = []
  const prompt: Interval[] = []
  let from = whole.from
  let stood = false
  const add = (to: number): void => {
    if (to <= from) return
    ran.push({ from, to })
    if (!stood) prompt.push({ from, to })
  }
  for (const gap of frozen) {
    if (gap.to <= from || gap.from >= whole.to) continue
    add(Math.min(gap.from, whole.to))
    from = Math.max(from, gap.to)
    stood = true
  }
  add(whole.to)
  return { ran, prompt }
}

const handlersOf = (history: History): Handler[] => {
  const workers = history.workers.filter((line): line is HandlerLine => "handler" in line)
  const deaths = lives(history)
  const lastLines = new Map<string, number>()
  for (const { worker, at } of workers) lastLines.set(worker, Math.max(lastLines.get(worker) ?? 0, at))
  const handlers: Handler[] = []
  for (const lines of groupBy(workers, ({ worker, handler }) => `${worker} ${handler}`).values()) {
    const begin = lines.find((line) => line.what === "begin")
    if (begin === undefined) continue
    const life = deaths.get(begin.worker)
    const diedAt = Math.max(life?.diedAt ?? Number.POSITIVE_INFINITY, lastLines.get(begin.worker) ?? 0)
    const to = lines.find(({ what }) => what === "end")?.at ?? diedAt
    handlers.push({ begin, lines, ...without({ from: begin.at, to }, life?.frozen ?? []) })
  }
  return handlers.toSorted((a, b) => a.begin.at - b.begin.at)
}

/** How long two handlers ran side by side. */
const overlap = (a: ReadonlyArray<Interval>, b: ReadonlyArray<Interval>): number => {
  let sum = 0
  for (const one of a) for (const other of b) sum += Math.max(0, Math.min(one.to, other.to) - Math.max(one.from, other.from))
  return sum
}

class Check {
  readonly problems: Problem[] = []
  late = 0
  readonly #history: History
  readonly #options: CheckOptions
  readonly #forgotten: Forgotten

  constructor(history: History, options: CheckOptions) {
    this.#history = history
    this.#forgotten = forgotten(history.script)
    this.#options = options
  }

  report(rule: Problem["rule"], key: string, text: string): void {
    this.problems.push({ rule, key, text })
  }

  key(key: string, handlers: ReadonlyArray<Handler>): void {
    this.#overlaps(key, handlers)
    this.#fences(key, handlers)
    for (const { begin, lines } of handlers) this.#seen(key, begin, lines)
    this.#values(key, handlers)
  }

  #overlaps(key: string, handlers: ReadonlyArray<Handler>): void {
    for (const [i, first] of handlers.entries()) {
      const until = first.ran.at(-1)?.to ?? first.begin.at
      for (const second of handlers.slice(i + 1)) {
        if (second.begin.at >= until) break
        this.#pair(key, first, second)
      }
    }
  }

  #pair(key: string, first: Handler, second: Handler): void {
    const ms = overlap(first.ran, second.ran)
    if (ms === 0) return
    const lateMs = ms - overlap(first.prompt, second.prompt)
    this.late = Math.max(this.late, lateMs)
    if (ms - lateMs <= 0.001 && lateMs <= (this.#options.lateMs ?? 0)) return
    const by = (one: Handler): string => `${one.begin.worker} (fence ${one.begin.fence}, from ${one.begin.at.toFixed(1)})`
    const text = `ran on ${by(first)} and ${by(second)} at once, for ${ms.toFixed(1)} ms, ${lateMs.toFixed(1)} of them after a thaw`
    this.report("H1", key, text)
  }

  #fences(key: string, handlers: ReadonlyArray<Handler>): void {
    const claimed = this.#options.claimed?.(key)
    for (const [i, { begin }] of handlers.entries()) {
      const before = handlers[i - 1]?.begin
      if (before !== undefined && BigInt(begin.fence) <= BigInt(before.fence))
        this.report("H2", key, `fence ${begin.fence} on ${begin.worker} came after ${before.fence} on ${before.worker}`)
      const epoch = Number(BigInt(begin.fence) >> fenceBits)
      if (claimed !== undefined && !claimed.has(epoch) && !this.#forgotten(begin.at, key))
        this.report("H7", key, `ran on ${begin.worker} with epoch ${epoch}, of which the audit knows nothing`)
    }
  }

  /** H4: a handler begins with the first message that was not counted, and sees the others in order. */
  #seen(key: string, { worker }: Begin, lines: ReadonlyArray<HandlerLine>): void {
    let last: number | undefined
    for (const line of lines) {
      if (line.what !== "message") continue
      if (last !== undefined && line.n <= last) this.report("H4", key, `message ${line.n} came after ${last} on ${worker}`)
      last = line.n
    }
  }

  /** H5: who began the second step saw what is in the journal, and nobody ever another thing. */
  #values(key: string, handlers: ReadonlyArray<Handler>): void {
    const values = new Map<string, string>()
    for (const { begin, lines } of handlers)
      for (const line of lines) {
        if (line.what !== "step" || line.given === "" || this.#forgotten(begin.at, key) || this.#forgotten(line.at, key)) continue
        const id = `${begin.run} ${begin.iteration}`
        const known = values.get(id)
        if (known !== undefined && known !== line.given)
          this.report("H5", key, `iteration ${begin.iteration}: its first step gave ${known}, and later ${line.given}`)
        values.set(id, line.given)
      }
    const final = this.#history.final.find((one) => one.key === key)
    for (const [iteration, value] of final?.iterations ?? []) {
      const seen = values.get(`${final?.run} ${iteration}`)
      if (seen !== undefined && seen !== value)
        this.report("H5", key, `iteration ${iteration} counted ${value}, but its journal had ${seen}`)
    }
  }

  final(final: Final, handlers: ReadonlyArray<Handler>): void {
    const { key, run, log, iterations } = final
    const { script, repeats } = this.#history
    const acknowledged = script.flatMap((line) =>
      line.what === "sent" && line.key === key && !this.#forgotten(line.at, key) ? [line.n] : [],
    )
    const counted = new Set(log)
    const lost = acknowledged.filter((n) => !counted.has(n))
    if (lost.length > 0) this.report("H3", key, `${lost.length} of ${acknowledged.length} acknowledged messages are lost: ${shown(lost)}`)
    const twice = log.filter((n, i) => log.indexOf(n) !== i)
    if (twice.length > 0 && !repeats(key)) this.report("H5", key, `messages were counted twice: ${shown(twice)}`)
    const first = [...counted]
    const disorder = first.findIndex((n, i) => n < (first[i - 1] ?? 0))
    if (disorder >= 0) this.report("H4", key, `message ${first[disorder]} was counted after ${first[disorder - 1]}`)
    const numbers = iterations.map(([iteration]) => iteration)
    const wrong = numbers.findIndex((iteration, i) => iteration !== i + 1)
    if (wrong >= 0)
      this.report("H5", key, `iterations counted: ${shown(numbers.slice(Math.max(0, wrong - 1)))}, expected ${wrong + 1} next`)
    if (!handlers.some(({ begin }) => begin.run === run)) this.report("H6", key, `the store holds run ${run}, which no worker wrote down`)
  }

  starts(byKey: ReadonlyMap<string, ReadonlyArray<Handler>>): void {
    for (const line of this.#history.script) {
      if (line.what !== "started" || this.#forgotten(line.at, line.key)) continue
      const handlers = byKey.get(line.key) ?? []
      if (!handlers.some(({ begin }) => begin.run === line.run))
        this.report("H3", line.key, `run ${line.run} was acknowledged and never ran`)
    }
  }
}

const shown = (items: ReadonlyArray<number>): string => `${items.slice(0, 8).join(", ")}${items.length > 8 ? ", …" : ""}`

export const checkHistory = (history: History, options: CheckOptions = {}): Findings => {
  const check = new Check(history, options)
  const handlers = handlersOf(history)
  const byKey = groupBy(handlers, ({ begin }) => begin.key)
  for (const [key, of] of byKey) check.key(key, of)
  check.starts(byKey)
  for (const final of history.final) check.final(final, byKey.get(final.key) ?? [])
  if (history.final.length === 0) check.report("H6", "", "nothing was read from the store at the end")
  checkFamilies(history, (rule, key, text) => check.report(rule, key, text))
  const count = (of: string): number => history.script.filter(({ what }) => what === of).length
  const children = (history.families ?? []).reduce((sum, { families }) => sum + families.length, 0)
  return {
    problems: check.problems,
    handlers: handlers.length,
    messages: count("sent"),
    updates: count("answered"),
    families: children,
    lateMs: check.late,
  }
}
