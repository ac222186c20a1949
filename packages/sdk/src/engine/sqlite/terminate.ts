import type { TerminateItem, TerminateReply } from "../engine.ts"
import type { Tx } from "./calls.ts"
import { acceptFence, removeFromDigest } from "./digests.ts"
import { releaseLinks } from "./links.ts"
import { dropInbox, dropJournal, runHead } from "./runs.ts"
import { ACTIVE, ENDED } from "./schema.ts"

const end = "UPDATE runs SET phase = 3, ready_seq = NULL, due = NULL, wakes = '', revision = ?, outcome = ?, expiry = ? WHERE id = ?"

export const terminateRuns = (tx: Tx, shard: number, items: ReadonlyArray<TerminateItem>): TerminateReply[] =>
  items.map((item) => terminateRun(tx, shard, item))

const terminateRun = (tx: Tx, shard: number, item: TerminateItem): TerminateReply => {
  const { address } = item
  const run = runHead(tx, shard, address)
  const reply = (status: TerminateReply["status"]): TerminateReply => ({ status, run: run?.run ?? "" })
  if (!acceptFence(tx, shard, item.control)) return reply("fenced")
  if (run === undefined) return reply("absent")
  if (item.run !== undefined && item.run !== run.run) return reply("replaced")
  // The revision is unique, so that finding it means that this call was here before (E3).
  if (run.phase === ENDED) return reply(run.revision === item.newRevision ? "terminated" : "ended")
  if (item.expectSpec !== undefined && item.expectSpec !== (run.spec ?? "")) return reply("replaced")

  tx.run(end, item.newRevision, item.outcome, tx.after(item.retention), run.id)
  releaseLinks(tx, shard, address, run, item.outcome)
  dropInbox(tx, run)
  dropJournal(tx, run)
  removeFromDigest(tx, shard, run)
  if (run.phase === ACTIVE) tx.hint({ type: "terminated", shard, address, run: run.run })
  tx.event({ type: "ended", shard, address, run: run.run })
  return reply("terminated")
}
