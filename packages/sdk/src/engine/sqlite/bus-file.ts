import type { Bus, Note } from "./bus.ts"
import type { Store } from "./store.ts"

/** Poll interval while there is traffic, and the longest one when there is none, ms. One look costs 9 µs. */
const fastPoll = 2
const slowPoll = 20
/** Traffic counts as recent for this long, ms. */
const activeFor = 500
/** Rows read in one look; a reader that falls behind goes on at once with the next ones. */
const pageRows = 500
/** The ring: rows older than this (ms), or beyond this many, are dropped by writers (E6). */
const keepMs = 10_000
const keepRows = 20_000
/** A writer trims at most this often, ms. */
const trimEvery = 1_000

const newest = "SELECT coalesce(max(id), 0) AS id FROM bus"
const insertNotes = "INSERT INTO bus (source, at, notes) VALUES (?, ?, ?)"
const pageAfter = "SELECT id, source, notes FROM bus WHERE id > ? ORDER BY id LIMIT ?"
// The newest row stays, because the next id is the highest one + 1 and must never come again.
const trimRows = "DELETE FROM bus WHERE id < (SELECT max(id) FROM bus) AND (at < ? OR id <= (SELECT max(id) FROM bus) - ?)"

/**
 * The bus between the processes of one file: one row for each transaction that has something to say, written in that transaction and
 * read by polling `PRAGMA data_version`, which changes when another connection has committed. Own notes are delivered without it.
 */
export class BusFile {
  readonly #store: Store
  readonly #bus: Bus
  /** Tells own rows from others'. */
  readonly #source = Math.floor(Math.random() * Number.MAX_SAFE_INTEGER)
  #timer: NodeJS.Timeout | undefined
  #interval = fastPoll
  #activeUntil = 0
  #version = -1
  #lastId = 0
  #trimAt = 0

  constructor(store: Store, bus: Bus) {
    this.#store = store
    this.#bus = bus
  }

  /** Part of the writing transaction. The age of rows is of the machine's clock also where a test overrides the store's. */
  write(notes: ReadonlyArray<Note>): void {
    const now = Date.now()
    this.#store.run(insertNotes, this.#source, now, JSON.stringify(notes))
    if (now >= this.#trimAt) {
      this.#trimAt = now + trimEvery
      this.#store.run(trimRows, now - keepMs, keepRows)
    }
  }

  /** Own calls are a sign that answers of others are near. */
  stir(): void {
    this.#activeUntil = performance.now() + activeFor
    if (this.#timer === undefined || this.#interval === fastPoll) return
    this.#interval = fastPoll
    this.#schedule()
  }

  /** Begins to read with what is written from now on. Throws as SQLite does. */
  start(): void {
    if (this.#timer !== undefined) return
    this.#lastId = Number(this.#store.statement(newest).get()?.["id"])
    this.#activeUntil = performance.now() + activeFor
    this.#interval = fastPoll
    this.#schedule()
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #schedule(): void {
    clearTimeout(this.#timer)
    // Listening alone never keeps a process alive.
    this.#timer = setTimeout(() => this.#poll(), this.#interval).unref()
  }

  #poll(): void {
    if (this.#bus.idle) return this.close()
    const read = this.#read()
    const now = performance.now()
    if (read > 0) this.#activeUntil = now + activeFor
    this.#interval = now < this.#activeUntil ? fastPoll : Math.min(slowPoll, this.#interval * 2)
    // A listener may have closed the engine, or subscribed anew.
    if (this.#timer !== undefined) this.#schedule()
  }

  /** Number of rows read. Whatever fails here is only lost to the bus (E6); the verbs report what is wrong with the file. */
  #read(): number {
    let rows: ReadonlyArray<Record<string, unknown>>
    try {
      const version = this.#store.dataVersion()
      if (version === this.#version) return 0
      rows = this.#store.statement(pageAfter).all(this.#lastId, pageRows)
      // A full page leaves the version unread, so that the next look goes on.
      if (rows.length < pageRows) this.#version = version
    } catch {
      return 0
    }
    for (const { id, source, notes } of rows) {
      this.#lastId = Number(id)
      if (source !== this.#source) this.#bus.deliver(JSON.parse(String(notes)) as Note[])
    }
    return rows.length
  }
}
