/** Links of runs, and the outbox of a shard (links.ts of the engine). */
import type { ForbidItem, ForwardGroup, ForwardReply, LinkItem, LinkReply, OutboxEntry } from "../links.ts"
import { refuse } from "./audit.ts"
import type { Tx } from "./calls.ts"
import { runHead } from "./runs.ts"
import type { RunHead } from "./runs.ts"
import { ENDED } from "./schema.ts"
import { header, outboxLength, owns } from "./shards.ts"

const selectLink = "SELECT id FROM links WHERE run = ? AND link = ?"
const insertLink = "INSERT INTO links (run, link) VALUES (?, ?)"
const selectLinks = "SELECT link FROM links WHERE run = ? ORDER BY id"
const dropLink = "DELETE FROM links WHERE run = ? AND link = ?"
const countLink = "UPDATE runs SET links = links + ? WHERE id = ?"
const selectOutcome = "SELECT outcome FROM runs WHERE id = ?"

const moveLinks =
  "INSERT INTO outbox (pool, shard, address, run, link, outcome) SELECT ?, ?, ?, ?, link, ? FROM links WHERE run = ? ORDER BY id"
const dropLinks = "DELETE FROM links WHERE run = ?"
const clearCount = "UPDATE runs SET links = 0 WHERE id = ?"

const insertForbidden = "INSERT OR IGNORE INTO requests (pool, shard, request, expiry, answer) VALUES (?, ?, ?, ?, 'forbidden')"
const selectRequest = "SELECT answer FROM requests WHERE pool = ? AND shard = ? AND request = ?"

const removeEntry = "DELETE FROM outbox WHERE pool = ? AND shard = ? AND address = ? AND run = ? AND link = ?"
const drawEntries = "SELECT address, run, link, outcome FROM outbox WHERE pool = ? AND shard = ? ORDER BY random() LIMIT ?"

export const addLinks = (tx: Tx, shard: number, items: ReadonlyArray<LinkItem>): LinkReply[] =>
  items.map((item) => addLink(tx, shard, item))

const addLink = (tx: Tx, shard: number, item: LinkItem): LinkReply => {
  const run = runHead(tx, shard, item.address)
  const reply = (status: LinkReply["status"], outcome?: string): LinkReply => ({ status, run: run?.run ?? "", outcome, links: [] })
  if (run === undefined) return reply("absent")
  if (item.run !== undefined && item.run !== run.run) return reply("replaced")
  if (run.phase === ENDED) return reply("ended", tx.one<{ outcome: string }>(selectOutcome, run.id)?.outcome)
  const dropped = (item.drop ?? []).reduce((count, link) => count + tx.run(dropLink, run.id, link), 0)
  const status = insert(tx, shard, run, item, dropped)
  const change = (status === "added" ? 1 : 0) - dropped
  if (change !== 0) tx.run(countLink, change, run.id)
  if (status !== "too many") return reply(status === "added" ? "linked" : status)
  return { ...reply("full"), links: tx.all<{ link: string }>(selectLinks, run.id).map((row) => row.link) }
}

const insert = (tx: Tx, shard: number, run: RunHead, item: LinkItem, dropped: number): "linked" | "added" | "full" | "too many" => {
  if (tx.one(selectLink, run.id, item.link) !== undefined) return "linked"
  if (run.links - dropped >= item.limit) return "too many"
  if (outboxLength(tx, shard) >= item.outboxLimit) return "full"
  tx.run(insertLink, run.id, item.link)
  return "added"
}

/** The run has ended: its links, if it has any, go to the shard's outbox with the outcome, and the owner is told (X1). */
export const releaseLinks = (tx: Tx, shard: number, address: string, run: RunHead, outcome: string): void => {
  if (run.links === 0) return
  tx.run(moveLinks, tx.poolId, shard, address, run.run, outcome, run.id)
  tx.run(dropLinks, run.id)
  tx.run(clearCount, run.id)
  tx.hint({ type: "outbox", shard })
}

export const forbidRuns = (tx: Tx, shard: number, items: ReadonlyArray<ForbidItem>): ("forbidden" | "known")[] =>
  items.map(({ run, retention }) => {
    tx.run(insertForbidden, tx.poolId, shard, run, tx.after(retention))
    return isForbidden(tx, shard, run) === true ? "forbidden" : "known"
  })

/** `undefined`: the id of this run is not known. */
export const isForbidden = (tx: Tx, shard: number, run: string): boolean | undefined => {
  const known = tx.one<{ answer: string | null }>(selectRequest, tx.poolId, shard, run)
  return known === undefined ? undefined : known.answer === "forbidden"
}

export const forwardEntries = (tx: Tx, group: ForwardGroup): ForwardReply => {
  const { shard } = group
  if (!owns(tx, group)) return { status: refuse(tx, group, "forward", header(tx, shard)) }
  for (const { address, run, link } of group.sent) tx.run(removeEntry, tx.poolId, shard, address, run, link)
  return { status: "forwarded", entries: tx.all<OutboxEntry>(drawEntries, tx.poolId, shard, group.limit) }
}
