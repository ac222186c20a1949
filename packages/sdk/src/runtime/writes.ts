/** The writes that end an iteration or an attempt: one fenced commit each. */
import type { CommitItem, CommitReply, Next } from "../engine/engine.ts"
import type { OwnedShard } from "../pool/consumer.ts"
import { refusedWrite } from "./journal-writer.ts"
import type { Body, Waiting } from "./body.ts"
import { printBody } from "./body.ts"
import type { Deadlines } from "./ending.ts"

export interface WriteTarget {
  readonly address: string
  readonly run: string
  readonly revision: string
  readonly consumed: number
  /** Number of the last message seen (W6). */
  readonly seen: number
  readonly journalLength: number
  readonly answers?: CommitItem["answers"]
  /** Entries to append, with journal "keep". */
  readonly append?: ReadonlyArray<string>
}

/** Commits the record of a run; a refused write throws. Gives the reply and the new revision. */
export const writeRun = (
  shard: OwnedShard,
  target: WriteTarget,
  body: Body,
  next: Next,
  journal: CommitItem["journal"],
): Promise<{ readonly reply: CommitReply; readonly revision: string }> => {
  const newRevision = shard.nextRevision()
  const written = shard.commit({
    address: target.address,
    run: target.run,
    revision: target.revision,
    newRevision,
    journalLength: target.journalLength,
    append: target.append ?? [],
    journal,
    next,
    body: printBody({ ...body, at: Math.round(shard.now()) }),
    consumed: target.consumed,
    seen: target.seen,
    answers: target.answers ?? [],
  })
  return written.then((reply) => {
    if (reply.status !== "ok" && reply.status !== "unseen") throw refusedWrite(target.address, reply.status)
    return { reply, revision: newRevision }
  })
}

/** Not later than the run's deadline, where it has one. */
export const nextOf = (waiting: Waiting | undefined, { run, iteration }: Deadlines): Next => {
  if (waiting === undefined) return { phase: "ready" }
  const at = Math.min(waiting.due ?? never, run ?? never, iteration ?? never)
  return { phase: "parked", on: waiting.on ?? [], ...(at === never ? {} : { due: { at } }) }
}
const never = Number.POSITIVE_INFINITY

/**
 * Parks a run for `after` ms as it is, with its journal and what it waits for: it was brought for a reason that this worker cannot serve now.
 * Whoever looks at it next decides from the same body.
 */
export const park = (
  shard: OwnedShard,
  run: {
    readonly address: string
    readonly run: string
    readonly revision: string
    readonly consumed: number
    readonly inbox: ReadonlyArray<{ readonly number: number }>
    readonly journal: ReadonlyArray<string>
  },
  body: Body,
  after: number,
): Promise<unknown> => {
  const due = { at: Math.ceil(shard.now() + after) }
  const target = { ...run, seen: run.inbox.at(-1)?.number ?? run.consumed, journalLength: run.journal.length }
  return writeRun(shard, target, body, { phase: "parked", due, on: [] }, "keep")
}
