import type { CommitGroup, CommitItem, CommitReply, Next } from "../engine.ts"
import { refuse } from "./audit.ts"
import type { Tx } from "./calls.ts"
import { removeFromDigest } from "./digests.ts"
import { releaseLinks } from "./links.ts"
import { dropInbox, dropJournal, lastMessage, packNames, ReadyList, runHead, wakes } from "./runs.ts"
import type { RunHead } from "./runs.ts"
import { ACTIVE, PARKED, phases, READY } from "./schema.ts"
import { header, owns } from "./shards.ts"

const write =
  "UPDATE runs SET phase = ?, ready_seq = ?, due = ?, wakes = ?, revision = ?, consumed = ?, expiry = ?, outcome = ?, body = coalesce(?, body) " +
  "WHERE id = ?"
const insertEntry = "INSERT INTO journal (run, number, entry) VALUES (?, ?, ?)"
const entriesAfter = "SELECT entry FROM journal WHERE run = ? AND number > ? ORDER BY number"
const trimInbox = "DELETE FROM inbox WHERE run = ? AND number <= ?"
const unseen = "SELECT kind, name FROM inbox WHERE run = ? AND number > ?"
const setAnswer = "UPDATE requests SET answer = ? WHERE pool = ? AND shard = ? AND request = ?"

/** Nothing was written, so that only a conflict, which was judged on the run itself, tells the time. */
const refused = (status: CommitReply["status"], now: number): CommitReply => ({ status, phase: "active", lastMessage: 0, now })

export const poisonedGroup = (group: CommitGroup): CommitReply[] => group.items.map(() => refused("poisoned", 0))

export const commitRuns = (tx: Tx, group: CommitGroup): CommitReply[] => {
  if (!owns(tx, group)) {
    const status = refuse(tx, group, "commit", header(tx, group.shard))
    return group.items.map(() => refused(status, 0))
  }
  const ready = new ReadyList(tx, group.shard, { hints: false })
  return group.items.map((item) => commitRun(tx, group.shard, item, ready))
}

const reply = (tx: Tx, status: "ok" | "unseen", run: RunHead, phase: number): CommitReply => ({
  status,
  phase: phases[phase] ?? "ended",
  lastMessage: lastMessage(run),
  now: tx.now,
})

const commitRun = (tx: Tx, shard: number, item: CommitItem, ready: ReadyList): CommitReply => {
  const run = runHead(tx, shard, item.address)
  if (run === undefined || run.run !== item.run) return refused("conflict", tx.now)
  const appends = item.next.phase === "active" && item.body === undefined && item.journal === "keep"
  // O3: my own repetition is answered as the first time, a write of anybody else wins.
  if (!appends && run.revision === item.newRevision) return reply(tx, "ok", run, run.phase)
  if (run.revision !== item.revision || run.phase !== ACTIVE) return refused("conflict", tx.now)
  const length = run.entries ?? 0
  // An append does not change the revision: here the journal itself tells a repetition (O3).
  if (appends && item.append.length > 0 && length === item.journalLength + item.append.length) {
    return isWritten(tx, run, item) ? appended(tx, run, item) : refused("conflict", tx.now)
  }
  const grows = appends || (item.journal === "keep" && item.append.length > 0)
  if (grows && length !== item.journalLength) return refused("conflict", tx.now)
  if (appends) return appendOnly(tx, shard, run, item)
  const { next } = item
  if (next.phase === "ended" && next.ifUnseen === "refuse" && lastMessage(run) > item.seen) return reply(tx, "unseen", run, ACTIVE)
  return writeRun(tx, shard, run, item, ready)
}

/** Who appends entries does not ask for messages. */
const appended = (tx: Tx, run: RunHead, item: CommitItem): CommitReply =>
  item.append.length === 0 ? reply(tx, "ok", run, ACTIVE) : { status: "ok", phase: "active", lastMessage: 0, now: tx.now }

/** Length alone would take another attempt's late write for one's own. */
const isWritten = (tx: Tx, run: RunHead, item: CommitItem): boolean => {
  const rows = tx.all<{ entry: string }>(entriesAfter, run.id, item.journalLength)
  return rows.every((row, n) => row.entry === item.append[n])
}

/** A step: the record, which may be long, stays as it is. */
const appendOnly = (tx: Tx, shard: number, run: RunHead, item: CommitItem): CommitReply => {
  writeJournal(tx, run, item)
  recordAnswers(tx, shard, item)
  return appended(tx, run, item)
}

const writeRun = (tx: Tx, shard: number, run: RunHead, item: CommitItem, ready: ReadyList): CommitReply => {
  const { next } = item
  const consumed = Math.max(item.consumed, run.consumed)
  const names = next.phase === "parked" ? packNames(next.on) : ""
  const phase = phaseAfter(tx, run, item, names)
  const due = phase === PARKED ? dueOf(tx, next) : null
  const place = phase === READY ? ready.next() : null
  const expiry = next.phase === "ended" ? tx.after(next.retention) : null
  const outcome = next.phase === "ended" ? next.outcome : null
  tx.run(write, phase, place, due, phase === PARKED ? names : "", item.newRevision, consumed, expiry, outcome, item.body ?? null, run.id)

  if (next.phase === "ended") {
    releaseLinks(tx, shard, item.address, run, next.outcome)
    dropInbox(tx, run)
    dropJournal(tx, run)
    removeFromDigest(tx, shard, run)
    tx.event({ type: "ended", shard, address: item.address, run: run.run })
  } else {
    writeJournal(tx, run, item)
    if (run.last !== null && consumed > run.consumed) tx.run(trimInbox, run.id, consumed)
  }
  recordAnswers(tx, shard, item)
  return reply(tx, "ok", run, phase)
}

/** W6: a run that would sleep although a message came that it has not seen and waits for is ready at once. */
const phaseAfter = (tx: Tx, run: RunHead, item: CommitItem, names: string): number => {
  if (item.next.phase !== "parked") return phases.indexOf(item.next.phase)
  if (lastMessage(run) <= item.seen) return PARKED
  const late = tx.all<{ kind: string; name: string }>(unseen, run.id, Math.max(item.seen, item.consumed))
  return late.some((message) => wakes({ wakes: names }, message.kind, message.name)) ? READY : PARKED
}

const dueOf = (tx: Tx, next: Next): number | null => {
  if (next.phase !== "parked" || next.due === undefined) return null
  return "at" in next.due ? Math.round(next.due.at) : tx.after(next.due.after)
}

const writeJournal = (tx: Tx, run: RunHead, item: CommitItem): void => {
  if (item.journal === "clear") dropJournal(tx, run)
  else item.append.forEach((entry, index) => tx.run(insertEntry, run.id, (run.entries ?? 0) + index + 1, entry))
}

/** J4: an answer is kept as long as its request id. */
const recordAnswers = (tx: Tx, shard: number, item: CommitItem): void => {
  for (const { id, answer } of item.answers) {
    tx.run(setAnswer, answer, tx.poolId, shard, id)
    tx.event({ type: "answered", shard, id })
  }
}
