/**
 * The pure core of replay: matches the calls that a handler makes with the entries of its journal. No I/O, no clock.
 *
 * - R1 Calls are numbered in the order in which the handler makes them; entry `c` belongs to call `c`.
 * - R2 Settling entries are delivered in journal order, one at a time; the handler comes to rest between two, so that it makes its calls in
 *   the same order as when the journal was written (`Promise.all`, `race`).
 * - R3 A call whose kind or name differs from its entries is a `ReplayMismatch`, and so is a handler that ends with entries left.
 * - R4 Nothing live is delivered while a recorded settling entry is left.
 * - R5 A version marker that the journal does not have where another call is recorded stands for the code before the change, on every replay.
 */
import { ReplayMismatch } from "../errors.ts"
import type { CallKind, Entry } from "./journal.ts"
import { callKind, isMoment, settles } from "./journal.ts"

interface Recorded {
  readonly kind: CallKind
  readonly name: string
  readonly entries: Array<Entry>
}

const nameOf = (entry: Entry): string | undefined => ("n" in entry ? entry.n : undefined)

const describe = (kind: CallKind, name: string): string => (name === "" ? kind : `${kind} ${JSON.stringify(name)}`)

const none: ReadonlyArray<Entry> = []
/** Of all that replay nothing: it is only filled from entries. */
const noCalls = new Map<number, Recorded>()

export class Replay {
  readonly #what: string
  readonly #calls: Map<number, Recorded>
  readonly #settling: Array<Entry> = []
  #cursor = 0
  #made = 0

  constructor(what: string, entries: ReadonlyArray<Entry>) {
    this.#what = what
    this.#calls = entries.length === 0 ? noCalls : new Map()
    for (const entry of entries) {
      if (settles(entry)) this.#settling.push(entry)
      const kind = callKind(entry)
      if (kind === undefined) continue
      const recorded = this.#calls.get(entry.c)
      if (recorded === undefined) this.#calls.set(entry.c, { kind, name: nameOf(entry) ?? "", entries: [entry] })
      else recorded.entries.push(entry)
    }
  }

  /** Calls made so far. */
  get made(): number {
    return this.#made
  }

  /** Calls that were made, by this attempt or by one whose entries are left: that many will have been made when it has caught up. */
  get known(): number {
    let known = this.#made
    for (const index of this.#calls.keys()) known = Math.max(known, index + 1)
    return known
  }

  /** True while recorded settling entries are left (R4). */
  get replaying(): boolean {
    return this.#cursor < this.#settling.length
  }

  /** All that is recorded was asked for: what is not known now is not pending. */
  get exhausted(): boolean {
    return this.#calls.size === 0 && !this.replaying
  }

  /** What comes next happened to the run: a handler that waits for no durable call does not ask for it, and is to be told all the same. */
  get momentIsNext(): boolean {
    const entry = this.#settling[this.#cursor]
    return entry !== undefined && isMoment(entry) && entry.c <= this.#made
  }

  /** Numbers a new call and gives its recorded entries, none if it is new (R1, R3). */
  call(kind: CallKind, name: string): { readonly index: number; readonly entries: ReadonlyArray<Entry> } {
    const index = this.#made++
    const recorded = this.#calls.get(index)
    if (recorded === undefined) return { index, entries: none }
    if (recorded.kind !== kind || recorded.name !== name)
      throw this.#mismatch(index, describe(recorded.kind, recorded.name), describe(kind, name))
    this.#calls.delete(index)
    return { index, entries: recorded.entries }
  }

  /**
   * A version marker: as `call`, except that a journal which another call follows here was written before the marker came into the code; then
   * it gives `undefined` and takes no number (R5).
   */
  marker(name: string): ReturnType<Replay["call"]> | undefined {
    const recorded = this.#calls.get(this.#made)
    if (recorded !== undefined && (recorded.kind !== "version" || recorded.name !== name)) return undefined
    return this.call("version", name)
  }

  /** The next recorded entry that can be delivered now: its call was made, or as many calls as when it happened (R2). */
  next(): Entry | undefined {
    const entry = this.#settling[this.#cursor]
    if (entry === undefined) return undefined
    const ready = isMoment(entry) ? entry.c <= this.#made : entry.c < this.#made
    if (!ready) return undefined
    this.#cursor++
    return entry
  }

  /** To be asked when the handler ended: entries left mean that its code changed (R3). */
  finish(): Error | undefined {
    return this.#left("the end of the iteration")
  }

  /** To be asked when the handler rests, but the next entry waits for a call that it does not make. */
  stalled(): Error {
    return this.#left("no such call") ?? this.#mismatch(this.#made, "nothing", "no such call")
  }

  #left(found: string): Error | undefined {
    const entry = this.#settling[this.#cursor]
    if (entry !== undefined) return this.#mismatch(entry.c, this.#describe(entry), found)
    for (const [index, { kind, name }] of this.#calls) return this.#mismatch(index, describe(kind, name), found)
    return undefined
  }

  /** An entry as a call: the one that it settles, by the name with which it was recorded. */
  #describe(entry: Entry): string {
    const kind = callKind(entry)
    return kind === undefined ? `a message (${entry.t})` : describe(kind, this.#calls.get(entry.c)?.name ?? nameOf(entry) ?? "")
  }

  #mismatch(index: number, expected: string, found: string): Error {
    return new ReplayMismatch(
      `${this.#what}: at durable call ${index} its journal has ${expected}, but the code asks for ${found}. ` +
        `The code of \`run\` changed while this iteration was under way. The run waits, nothing is lost: deploy code that makes the same calls in this order, ` +
        `or change it only behind a new iteration (job.again).`,
      { index, expected, found },
    )
  }
}
