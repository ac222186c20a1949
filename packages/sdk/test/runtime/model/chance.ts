/** What in a run of the model would be left to chance in a real one: such a case says nothing, and is skipped. */
import type { Clock } from "./clock.ts"

/** `a` is `b`, or one that `b` began. */
const within = (a: string, b: string): boolean => b === "" || `${a}.`.startsWith(`${b}.`)

/** Not a branch: what comes in between. */
export const outside = "outside"

export class Chance {
  readonly #clock: Clock
  /** Which branches touched what they share, and when the last one did. */
  readonly #touched = new Map<string, { readonly at: number; readonly branches: Map<string, number> }>()
  /** When each branch made its last move. */
  readonly #moved = new Map<string, number>()
  /** Branches under way. */
  readonly #running = new Set<string>()
  /** All branches of the iteration, with the order of their beginnings, and those that others waited for. */
  readonly #began = new Map<string, number>()
  readonly #joined = new Set<string>()
  #order = 0
  /** Times at which something happened. */
  readonly #times = new Set<number>()
  /** When steps waited for their next try, in memory only. */
  readonly #waits: Array<{ readonly from: number; readonly to: number }> = []
  /** Where workers die, the outcome depends on when they do. */
  faultsTell = false
  /** Why the outcome depends on chance. */
  found: string | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  find(why: string): void {
    this.found ??= `${why} at ${this.#clock.now}`
  }

  moved(branch: string): void {
    this.#moved.set(branch, this.#clock.now)
    this.#times.add(this.#clock.now)
  }

  /** Something is written that is no branch's move. */
  happens(): void {
    this.#times.add(this.#clock.now)
  }

  began(branch: string): void {
    this.#running.add(branch)
    this.#began.set(branch, this.#order++)
  }

  ended(branch: string): void {
    this.#running.delete(branch)
  }

  /** The one that began them goes on; those that are left may still move. */
  joined(branches: ReadonlyArray<string>): void {
    if (branches.every((branch) => !this.#running.has(branch))) for (const branch of branches) this.#joined.add(branch)
  }

  get branches(): number {
    return this.#running.size
  }

  /** Two branches at one instant, neither of which waited for the other: which is the first? */
  touch(what: string, branch: string): void {
    const { now } = this.#clock
    let touched = this.#touched.get(what)
    if (touched?.at !== now) this.#touched.set(what, (touched = { at: now, branches: new Map() }))
    for (const [other, order] of touched.branches)
      if (other !== branch && !this.#follows(branch, other, order)) this.find(`several branches share ${what}`)
    touched.branches.set(branch, this.#order++)
  }

  /** `branch` moves after what `other` did. */
  #follows(branch: string, other: string, order: number): boolean {
    if (other === outside) return false
    if (within(branch, other)) return [...this.#began].some(([one, began]) => within(branch, one) && began > order)
    if (!within(other, branch)) return false
    return [...this.#began.keys()].every((one) => !within(other, one) || within(branch, one) || this.#joined.has(one))
  }

  /** Something comes from outside: did anything else happen at this instant, or is it about to? */
  alone(what: string): void {
    if (this.#times.has(this.#clock.now) || this.#clock.next === this.#clock.now) this.find(`${what} meets something else`)
    this.#times.add(this.#clock.now)
  }

  /** The iteration ends: does a branch that is left still do something at this instant? */
  over(): void {
    for (const branch of this.#began.keys())
      for (const [path, at] of this.#moved)
        if (at === this.#clock.now && !this.#joined.has(branch) && within(path, branch))
          this.find("a branch moves while the iteration ends")
    this.#running.clear()
    this.#began.clear()
    this.#joined.clear()
  }

  /** Something happened in the last `ms`. */
  happenedWithin(ms: number): boolean {
    return [...this.#times].some((time) => time > this.#clock.now - ms && time < this.#clock.now)
  }

  /** A step waited for its next try, which is in memory only. */
  waited(from: number, cut: boolean): void {
    if (cut || this.#running.size > 0) this.faultsTell = true
    this.#waits.push({ from, to: this.#clock.now })
  }

  /**
   * A worker that dies while a step waits for its next try leaves no trace of that wait, and the next one tries at once: times then depend on
   * the fault. It can only die where something else happens meanwhile.
   */
  get hasWaited(): boolean {
    return this.#waits.length > 0
  }

  get timesTell(): boolean {
    return this.faultsTell || this.#waits.some(({ from, to }) => [...this.#times].some((time) => time > from && time < to))
  }
}
