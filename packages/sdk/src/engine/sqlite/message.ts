import type { MessageItem, MessageReply } from "../engine.ts"
import type { Tx } from "./calls.ts"
import { acceptFence, addToDigest, removeFromDigest } from "./digests.ts"
import { lastMessage, ReadyList, runHead, wakes } from "./runs.ts"
import type { RunHead } from "./runs.ts"
import { ACTIVE, ENDED, PARKED } from "./schema.ts"

const selectRequest = "SELECT answer FROM requests WHERE pool = ? AND shard = ? AND request = ?"
const insertRequest = "INSERT INTO requests (pool, shard, request, expiry) VALUES (?, ?, ?, ?)"
const insertMessage = "INSERT INTO inbox (run, number, kind, name, request, at, payload) VALUES (?, ?, ?, ?, ?, ?, ?)"
const wake = "UPDATE runs SET phase = 0, ready_seq = ? WHERE id = ?"
const setSpec = "UPDATE runs SET controller = ?, spec = ?, sum_a = ?, sum_b = ? WHERE id = ?"

export const sendMessages = (tx: Tx, shard: number, items: ReadonlyArray<MessageItem>): MessageReply[] => {
  const ready = new ReadyList(tx, shard, { hints: true })
  return items.map((item) => sendMessage(tx, item, ready))
}

export const sendMessage = (tx: Tx, item: MessageItem, ready: ReadyList): MessageReply => {
  const { shard, id, kind, name, payload } = item
  const run = runHead(tx, shard, item.address)
  const reply = (status: MessageReply["status"], number = 0, answer?: string): MessageReply => ({
    status,
    run: run?.run ?? "",
    number,
    answer,
  })
  // A known request id comes before all else: the first answer stays, whatever became of the run since (E3, J4).
  const known = tx.one<{ answer: string | null }>(selectRequest, tx.poolId, shard, id)
  if (known !== undefined) return reply("duplicate", 0, known.answer ?? undefined)
  if (!acceptFence(tx, shard, item.control)) return reply("fenced")
  if (run === undefined) return reply("absent")
  if (item.run !== undefined && item.run !== run.run) return reply("replaced")
  if (run.phase === ENDED) return reply("ended")
  if (item.expectSpec !== undefined && item.expectSpec !== (run.spec ?? "")) return reply("replaced")
  const last = lastMessage(run)
  if (last - run.consumed >= item.inboxLimit) return reply("full")

  const number = last + 1
  tx.run(insertRequest, tx.poolId, shard, id, tx.after(item.retention))
  tx.run(insertMessage, run.id, number, kind, name, id, tx.now, payload)
  if (item.control !== undefined) replaceSpec(tx, shard, run, item.control)
  if (run.phase === PARKED && wakes(run, kind, name)) tx.run(wake, ready.next(), run.id)
  if (run.phase === ACTIVE) {
    const message = { number, kind, name, id, at: tx.now, payload }
    tx.hint({ type: "message", shard, address: item.address, run: run.run, message })
  }
  return reply("accepted", number)
}

const replaceSpec = (tx: Tx, shard: number, run: RunHead, control: NonNullable<MessageItem["control"]>): void => {
  removeFromDigest(tx, shard, run)
  tx.run(setSpec, control.controller, control.spec, control.sums[0], control.sums[1], run.id)
  addToDigest(tx, shard, control)
}

export const readAnswer = (tx: Tx, shard: number, id: string): string | undefined =>
  tx.one<{ answer: string | null }>(selectRequest, tx.poolId, shard, id)?.answer ?? undefined
