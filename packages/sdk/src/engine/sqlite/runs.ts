import type { LoadedRun, Message, MessageKind, RunRecord } from "../engine.ts"
import type { Tx } from "./calls.ts"
import { firstPlaceAt } from "./place.ts"
import { phases } from "./schema.ts"
import { header } from "./shards.ts"

/** What transitions look at; without the texts, which may be long. */
export interface RunHead {
  id: number
  phase: number
  run: string
  revision: string
  consumed: number
  due: number | null
  ready_seq: number | null
  wakes: string
  controller: string | null
  spec: string | null
  sum_a: number | null
  sum_b: number | null
  links: number
  /** Highest number in the inbox and in the journal; null when empty. */
  last: number | null
  entries: number | null
}
export interface RunRow extends RunHead {
  address: string
  outcome: string | null
  body: string
}

const headColumns =
  "id, phase, run, revision, consumed, due, ready_seq, wakes, controller, spec, sum_a, sum_b, links, " +
  "(SELECT max(number) FROM inbox WHERE inbox.run = runs.id) AS last, " +
  "(SELECT max(number) FROM journal WHERE journal.run = runs.id) AS entries"
export const runColumns = `${headColumns}, address, outcome, body`

const selectHead = `SELECT ${headColumns} FROM runs WHERE pool = ? AND shard = ? AND address = ?`
const selectRun = `SELECT ${runColumns} FROM runs WHERE pool = ? AND shard = ? AND address = ?`
const selectPage = `SELECT ${runColumns} FROM runs WHERE pool = ? AND shard = ? AND address > ? ORDER BY address LIMIT ?`
const selectInbox = "SELECT number, kind, name, request, at, payload FROM inbox WHERE run = ? ORDER BY number"
const selectJournal = "SELECT entry FROM journal WHERE run = ? ORDER BY number"
const deleteInbox = "DELETE FROM inbox WHERE run = ?"
const deleteJournal = "DELETE FROM journal WHERE run = ?"
const lastReady = "SELECT ready_seq FROM runs WHERE pool = ? AND shard = ? AND phase = 0 ORDER BY ready_seq DESC LIMIT 1"

export const runHead = (tx: Tx, shard: number, address: string): RunHead | undefined =>
  tx.one<RunHead>(selectHead, tx.poolId, shard, address)

/** Number of the newest message ever accepted for the run: what comes next is one more (W4). */
export const lastMessage = (run: RunHead): number => Math.max(run.last ?? 0, run.consumed)

/** `on` as it is stored. */
export const packNames = (names: ReadonlyArray<string>): string => names.join("\n")
const unpackNames = (text: string): ReadonlyArray<string> => (text === "" ? [] : text.split("\n"))

/** A parked run is woken by every message but a signal whose name it does not wait for. */
export const wakes = (run: { readonly wakes: string }, kind: string, name: string): boolean =>
  kind !== "signal" || unpackNames(run.wakes).includes(name)

const toRecord = (row: RunRow): RunRecord => {
  const phase = phases[row.phase] ?? "ended"
  return {
    address: row.address,
    phase,
    run: row.run,
    revision: row.revision,
    consumed: row.consumed,
    due: row.due ?? undefined,
    on: phase === "parked" ? unpackNames(row.wakes) : [],
    control: row.controller === null || row.spec === null ? undefined : { controller: row.controller, spec: row.spec },
    body: row.body,
    outcome: row.outcome ?? undefined,
  }
}

interface InboxRow {
  number: number
  kind: MessageKind
  name: string
  request: string
  at: number
  payload: string
}

const toMessage = ({ number, kind, name, request, at, payload }: InboxRow): Message => ({ number, kind, name, id: request, at, payload })

/** Most runs have an empty inbox and journal; the row itself says so, and nothing is asked for them. */
export const toLoaded = (tx: Tx, row: RunRow, full: boolean): LoadedRun =>
  Object.assign(toRecord(row), {
    inbox: full && row.last !== null ? tx.all<InboxRow>(selectInbox, row.id).map(toMessage) : [],
    journal: full && row.entries !== null ? tx.all<{ entry: string }>(selectJournal, row.id).map((line) => line.entry) : [],
  })

export const readRun = (tx: Tx, shard: number, address: string, full: boolean): LoadedRun | undefined => {
  const row = tx.one<RunRow>(selectRun, tx.poolId, shard, address)
  return row === undefined ? undefined : toLoaded(tx, row, full)
}

/** Pages go by address: a cursor is "a" and the last address of the page before. */
export const listRuns = (tx: Tx, shard: number, cursor: string, limit: number): { cursor: string; runs: ReadonlyArray<RunRecord> } => {
  const rows = tx.all<RunRow>(selectPage, tx.poolId, shard, cursor === "0" ? "" : cursor.slice(1), limit)
  const last = rows.length < limit ? undefined : rows.at(-1)
  return { cursor: last === undefined ? "0" : `a${last.address}`, runs: rows.map(toRecord) }
}

/** Drops what an iteration or a run leaves behind; asks only where there is something. */
export const dropInbox = (tx: Tx, run: RunHead): void => {
  if (run.last !== null) tx.run(deleteInbox, run.id)
}
export const dropJournal = (tx: Tx, run: RunHead): void => {
  if (run.entries !== null) tx.run(deleteJournal, run.id)
}

/** Gives out places at the end of a shard's ready list. */
export class ReadyList {
  readonly #tx: Tx
  readonly #shard: number
  readonly #hints: boolean
  #last: number | undefined

  /** `hints`: the first place given in an empty list publishes a hint (W7). The owner's own commits need none. */
  constructor(tx: Tx, shard: number, options: { readonly hints: boolean }) {
    this.#tx = tx
    this.#shard = shard
    this.#hints = options.hints
  }

  next(): number {
    if (this.#last === undefined) {
      const row = this.#tx.one<{ ready_seq: number }>(lastReady, this.#tx.poolId, this.#shard)
      if (row === undefined && this.#hints) hintReady(this.#tx, this.#shard)
      this.#last = Math.max(row?.ready_seq ?? 0, firstPlaceAt(this.#tx.now))
    }
    return ++this.#last
  }
}

export const hintReady = (tx: Tx, shard: number): void => tx.hint({ type: "ready", shard, epoch: header(tx, shard).epoch })
