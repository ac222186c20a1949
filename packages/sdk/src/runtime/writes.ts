/** The writes that end an iteration or an attempt: one fenced commit each. */
import type { CommitItem, CommitReply, LoadedRun, Next } from "../engine/engine.ts"
import type { CommitSource, OwnedShard } from "../pool/consumer.ts"
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

export interface Written {
  readonly reply: CommitReply
  /** The new one. */
  readonly revision: string
}

/** One promise for all of it: each run ends with one. */
class RunWrite implements CommitSource {
  readonly #item: CommitItem
  readonly #resolve: (written: Written) => void
  readonly refused: (error: unknown) => void

  constructor(item: CommitItem, resolve: (written: Written) => void, reject: (error: unknown) => void) {
    this.#item = item
    this.#resolve = resolve
    this.refused = reject
  }

  get address(): string {
    return this.#item.address
  }

  item(): CommitItem {
    return this.#item
  }

  committed(reply: CommitReply): void {
    const { address, newRevision } = this.#item
    if (reply.status === "ok" || reply.status === "unseen") this.#resolve({ reply, revision: newRevision })
    else this.refused(refusedWrite(address, reply.status))
  }
}

/** Commits the record of a run; a refused write rejects. */
export const writeRun = (
  shard: OwnedShard,
  target: WriteTarget,
  body: Body,
  next: Next,
  journal: CommitItem["journal"],
): Promise<Written> => {
  const item: CommitItem = {
    address: target.address,
    run: target.run,
    revision: target.revision,
    newRevision: shard.nextRevision(),
    journalLength: target.journalLength,
    append: target.append ?? none,
    journal,
    next,
    body: printBody({ ...body, at: Math.round(shard.now()) }),
    consumed: target.consumed,
    seen: target.seen,
    answers: target.answers ?? none,
  }
  return new Promise((resolve, reject) => shard.write(new RunWrite(item, resolve, reject)))
}
const none: ReadonlyArray<never> = []

/** Not later than the run's deadline, where it has one. */
export const nextOf = (waiting: Waiting | undefined, { run, iteration }: Deadlines): Next => {
  if (waiting === undefined) return { phase: "ready" }
  const at = Math.min(waiting.due ?? never, run ?? never, iteration ?? never)
  return { phase: "parked", on: waiting.on ?? [], ...(at === never ? {} : { due: { at } }) }
}
const never = Number.POSITIVE_INFINITY

type Brought = Pick<WriteTarget, "address" | "run" | "revision" | "consumed"> & Pick<LoadedRun, "inbox" | "journal">

const targetOf = (run: Brought): WriteTarget => ({
  ...run,
  seen: run.inbox.at(-1)?.number ?? run.consumed,
  journalLength: run.journal.length,
})

/** Writes the body of a run that stays active, with its journal. True: messages came that it has not seen. */
export const hold = async (shard: OwnedShard, run: Brought, body: Body): Promise<boolean> => {
  const target = targetOf(run)
  const { reply } = await writeRun(shard, target, body, { phase: "active" }, "keep")
  return reply.lastMessage > target.seen
}

/**
 * Parks a run for `after` ms as it is, with its journal and what it waits for: it was brought for a reason that this worker cannot serve now.
 * Whoever looks at it next decides from the same body.
 */
export const park = (shard: OwnedShard, run: Brought, body: Body, after: number): Promise<unknown> => {
  const due = { at: shard.timeAfter(after) }
  return writeRun(shard, targetOf(run), body, { phase: "parked", due, on: [] }, "keep")
}
