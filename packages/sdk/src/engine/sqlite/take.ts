import type { LoadedRun, TakeGroup, TakeReply } from "../engine.ts"
import { refuse } from "./audit.ts"
import { batchBytes } from "./calls.ts"
import type { Tx } from "./calls.ts"
import { sizeOf } from "./groups.ts"
import { timeOfPlace } from "./place.ts"
import { readRun, runColumns, toLoaded } from "./runs.ts"
import type { RunRow } from "./runs.ts"
import { ACTIVE, READY } from "./schema.ts"
import { header, owns } from "./shards.ts"

/** More than this many of a group do not fit into one short transaction: the rest is `more`. */
export const takeLimit = 200

const readyRuns = `SELECT ${runColumns} FROM runs WHERE pool = ? AND shard = ? AND phase = 0 ORDER BY ready_seq LIMIT ?`
const dueRuns = `SELECT ${runColumns} FROM runs WHERE pool = ? AND shard = ? AND phase = 2 AND due IS NOT NULL AND due <= ? ORDER BY due, address LIMIT ?`
const activate = "UPDATE runs SET phase = 1, ready_seq = NULL WHERE id = ?"
const futureDue = "SELECT due FROM runs WHERE pool = ? AND shard = ? AND phase = 2 AND due IS NOT NULL AND due > ? ORDER BY due LIMIT 1"

export const takeRuns = (tx: Tx, group: TakeGroup): TakeReply => {
  if (!owns(tx, group)) return { status: refuse(tx, group, "take", header(tx, group.shard)) }
  const { shard, timers } = group
  const limit = Math.min(group.limit, takeLimit)
  // One more than wanted, or than fits, tells whether there is more.
  const ready = tx.filling<RunRow>(readyRuns, tx.poolId, shard, limit + 1)
  const due = timers ? tx.filling<RunRow>(dueRuns, tx.poolId, shard, tx.now, limit + 1) : []
  // Half of the places, and of the bytes, are for timers, if so many are due: neither a ready list that is never empty nor runs that always sleep for no
  // time may keep the others from being taken.
  const places = Math.max(limit - ready.length, Math.ceil(limit / 2))
  const timed = due.slice(0, places)
  const prompt = ready.slice(0, limit - timed.length)
  const bytes = timed.length > 0 && prompt.length > 0 ? batchBytes / 2 : batchBytes
  const asked = new Set(group.addresses)
  const taken = [timed, prompt].flatMap((rows) => activateRuns(tx, rows, bytes, asked))
  const more = ready.length + due.length > limit || taken.length < timed.length + prompt.length
  const runs = [...taken, ...loadActive(tx, group, taken)]
  const nextDue = timers ? tx.one<{ due: number }>(futureDue, tx.poolId, shard, tx.now)?.due : undefined
  return { status: "taken", runs, more, nextDue, now: tx.now }
}

/** No further one once what they carry is so much (B2). */
const activateRuns = (tx: Tx, rows: ReadonlyArray<RunRow>, maxBytes: number, asked: ReadonlySet<string>): LoadedRun[] => {
  const runs: LoadedRun[] = []
  let bytes = 0
  for (const row of rows) {
    if (bytes >= maxBytes) break
    const run = activated(tx, row, asked)
    runs.push(run)
    bytes += sizeOf(run)
  }
  return runs
}

/** W1: it moves to active and stays there until a commit. */
const activated = (tx: Tx, run: RunRow, asked: ReadonlySet<string>): LoadedRun => {
  const since = asked.has(run.address) ? undefined : run.phase === READY ? timeOfPlace(run.ready_seq) : (run.due ?? undefined)
  tx.run(activate, run.id)
  run.phase = ACTIVE
  return Object.assign(toLoaded(tx, run, true), { since })
}

const loadActive = (tx: Tx, group: TakeGroup, taken: ReadonlyArray<LoadedRun>): LoadedRun[] => {
  const wanted = new Set(group.addresses)
  for (const run of taken) wanted.delete(run.address)
  const runs: LoadedRun[] = []
  for (const address of wanted) {
    const run = readRun(tx, group.shard, address, true)
    if (run?.phase === "active") runs.push(run)
  }
  return runs
}
