/**
 * The size of a file's WAL (L1). A checkpoint runs after every `walPages`, and the WAL begins anew once nobody reads in it: so it stays at a few MiB
 * as long as read transactions end, and ours take milliseconds. One that does not end (a shell left open, a process frozen while it reads)
 * lets it grow with every write. Nothing can be done from outside; it is said who it is.
 */
import { statSync } from "node:fs"
import { readersOf } from "./write-lock.ts"

/** The WAL is cut back to this size after a checkpoint, and is too large above it. */
export const walLimit = 64 * 1024 * 1024
/** A checkpoint runs after this many pages (4 MiB): small enough that the commit which pays for it takes a few milliseconds. */
export const walPages = 1000
const lookMs = 1_000
const mebibyte = 1024 * 1024

export class Wal {
  readonly #store: string
  readonly #warn: (text: string) => void
  #lookAt = 0
  #told = false

  constructor(store: string, warn: (text: string) => void) {
    this.#store = store
    this.#warn = warn
  }

  /** After a commit. `empty`: checkpoints that let the WAL begin anew; they may fail when others read or write. */
  look(empty: () => void): void {
    const now = performance.now()
    if (now < this.#lookAt) return
    this.#lookAt = now + lookMs
    if (this.#size() <= walLimit) return void (this.#told = false)
    // Where many processes read one after the other there may be no moment without a reader: this waits for none, and makes one.
    try {
      empty()
    } catch {
      // Said below if it did not help.
    }
    const size = this.#size()
    if (size <= walLimit || this.#told) return
    this.#told = true
    const pids = readersOf(this.#store)
    const who = pids.length === 0 ? "a process that cannot be named" : `process ${pids.join(", ")}`
    this.#warn(
      `file:${this.#store}-wal has grown to ${Math.round(size / mebibyte)} MiB and goes on growing: a read transaction does not end. ` +
        `The file is read by ${who}. End the shell, backup or frozen process among them; it shrinks by itself then.`,
    )
  }

  #size(): number {
    return statSync(`${this.#store}-wal`, { throwIfNoEntry: false })?.size ?? 0
  }
}
