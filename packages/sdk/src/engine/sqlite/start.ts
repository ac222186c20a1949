import type { StartItem, StartReply } from "../engine.ts"
import type { Tx } from "./calls.ts"
import { acceptFence, addToDigest } from "./digests.ts"
import { isForbidden } from "./links.ts"
import { sendMessage } from "./message.ts"
import { dropInbox, dropJournal, hintReady, ReadyList, runHead } from "./runs.ts"
import type { RunHead } from "./runs.ts"
import { ENDED, PARKED, READY } from "./schema.ts"
import { nextDue } from "./shards.ts"

const insert =
  "INSERT INTO runs (pool, shard, address, phase, ready_seq, due, run, revision, consumed, wakes, controller, spec, sum_a, sum_b, body) " +
  "VALUES (?, ?, ?, ?, ?, ?, ?, '0', 0, '', ?, ?, ?, ?, ?)"
const insertRequest = "INSERT INTO requests (pool, shard, request, expiry) VALUES (?, ?, ?, ?)"
const replace =
  "UPDATE runs SET phase = ?, ready_seq = ?, due = ?, expiry = NULL, run = ?, revision = '0', consumed = 0, wakes = '', " +
  "controller = ?, spec = ?, sum_a = ?, sum_b = ?, outcome = NULL, body = ? WHERE id = ?"

export const startRuns = (tx: Tx, shard: number, items: ReadonlyArray<StartItem>): StartReply[] => {
  const ready = new ReadyList(tx, shard, { hints: true })
  const delays = items.some(isDelayed)
  const before = delays ? nextDue(tx, shard) : undefined
  const replies = items.map((item) => {
    const reply = startRun(tx, item, ready)
    return item.signal === undefined ? reply : { ...reply, signal: sendFirst(tx, item, item.signal, reply, ready) }
  })
  // W7: an owner that sleeps until a later time has to know of an earlier one.
  const first = delays ? nextDue(tx, shard) : undefined
  if (first !== undefined && (before === undefined || first < before)) hintReady(tx, shard)
  return replies
}

/** The signal of a start, to the run that was started, or to the one that was there. */
const sendFirst = (
  tx: Tx,
  { shard, address }: StartItem,
  { ifRunning, ...signal }: NonNullable<StartItem["signal"]>,
  { status, run }: StartReply,
  ready: ReadyList,
): StartReply["signal"] => {
  if (status !== "started" && (status !== "running" || ifRunning === "drop")) return undefined
  return sendMessage(tx, { ...signal, shard, address, run, kind: "signal" }, ready).status
}

const isDelayed = (item: StartItem): boolean => item.after !== undefined && item.after > 0

const startRun = (tx: Tx, item: StartItem, ready: ReadyList): StartReply => {
  const { shard, run } = item
  const known = runHead(tx, shard, item.address)
  if (!acceptFence(tx, shard, item.control)) return { status: "fenced", run: "" }
  if (item.remember !== undefined) {
    const forbidden = isForbidden(tx, shard, run)
    if (forbidden !== undefined) return { status: forbidden ? "forbidden" : "started", run }
  }
  const refusal = known === undefined ? undefined : refuse(known, item)
  if (refusal !== undefined) return refusal

  const due = isDelayed(item) ? tx.after(item.after ?? 0) : null
  const phase = due === null ? READY : PARKED
  const { controller = null, spec = null, sums = [null, null] } = item.control ?? {}
  const place = due === null ? ready.next() : null
  if (known === undefined) {
    tx.run(insert, tx.poolId, shard, item.address, phase, place, due, run, controller, spec, sums[0], sums[1], item.body)
  } else {
    dropInbox(tx, known)
    dropJournal(tx, known)
    tx.run(replace, phase, place, due, run, controller, spec, sums[0], sums[1], item.body, known.id)
  }
  if (item.remember !== undefined) tx.run(insertRequest, tx.poolId, shard, run, tx.after(item.remember))
  if (item.control !== undefined) addToDigest(tx, shard, item.control)
  return { status: "started", run }
}

/** The same run id again is a repetition, also when the run has ended by now (E3). */
const refuse = (known: RunHead, item: StartItem): StartReply | undefined => {
  if (known.run === item.run) return { status: "started", run: known.run }
  if (known.phase !== ENDED) return { status: "running", run: known.run }
  return item.ifEnded === "reject" ? { status: "ended", run: known.run } : undefined
}
