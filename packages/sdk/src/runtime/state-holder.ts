/**
 * The state of a run, as the handlers of one attempt hold it.
 *
 * - H1 An update changes the state in place, or not at all: what `run` holds of it across an await (`job.state.x = await …` evaluates
 *   `job.state` first; a list, a record inside) is the state still. Only what is frozen, or changes its shape (an object becomes a list, a
 *   text, null), is replaced.
 * - H2 What `run` assigns to `job.state` is the state, as it is: it may go on with that, and with what it held before, which is not the state
 *   any more. A write to that one afterwards is a mistake that would lose data: it is told when the iteration ends.
 */
import { NotAllowed } from "../errors.ts"
import type { Contents, DataObject } from "./contents.ts"
import { changedMembers, contentsOf, isDataObject, overwrite, remember } from "./contents.ts"

/** Of what was replaced: so many are watched for writes, the latest ones. */
const watchedMax = 16

export class StateHolder {
  #state: unknown
  /** What `run` or an update replaced, and what was in it then. */
  #replaced: Array<{ readonly record: DataObject; readonly contents: Contents }> | undefined

  constructor(state: unknown) {
    this.#state = state
  }

  get state(): unknown {
    return this.#state
  }

  /** H2. */
  set state(next: unknown) {
    const before = this.#state
    if (next === before) return
    this.#state = next
    if (!isDataObject(before)) return
    this.#replaced ??= []
    if (this.#replaced.length >= watchedMax) this.#replaced.shift()
    // no dearer than the spread that made its successor
    this.#replaced.push({ record: before, contents: contentsOf(before) })
  }

  /**
   * H1: calls `change` with the state; what it gives is the state then. If it throws, nothing has changed. `copy`: another object with the same
   * contents, for a state that cannot be changed in place.
   */
  update(change: (state: unknown) => unknown, copy: (state: unknown) => unknown): void {
    const state = this.#state
    const undo = remember(state)
    if (undo === undefined) {
      this.state = change(copy(state))
      return
    }
    try {
      const next = change(state)
      if (next !== state && !overwrite(state, next)) this.state = next
    } catch (error) {
      undo()
      throw error
    }
  }

  /** Throws when something was written to an object that is not the state any more (H2). */
  checkWrites(what: string): void {
    for (const { record, contents } of this.#replaced ?? none) {
      const written = record === this.#state ? none : changedMembers(record, contents)
      if (written.length === 0) continue
      throw new NotAllowed(
        `expected the state of ${what} to be written by way of job.state, got: a write of ${written.slice(0, 5).join(", ")} to an object that \`job.state = …\` had replaced, which would be lost. ` +
          "In `job.state.x = await …` JavaScript looks up job.state before it waits: keep the value first (`const x = await …; job.state.x = x`), or " +
          "change members of job.state instead of replacing it.",
        { written },
      )
    }
  }
}

const none: ReadonlyArray<never> = []
