/**
 * Entries on their way to the store. Those of one event-loop turn travel together, one commit after another, so that the journal has them in the
 * order in which they were made. A refused or failed write ends the attempt.
 */
import type { CommitReply, Message } from "../engine/engine.ts"
import { Deposed, JournalFull } from "../errors.ts"
import type { OwnedShard } from "../pool/consumer.ts"
import type { Inbox } from "./inbox.ts"
import type { Entry } from "./journal.ts"
import { printEntry } from "./journal.ts"

export interface JournalWriterHost {
  readonly shard: OwnedShard
  readonly address: string
  readonly run: string
  readonly revision: string
  /** Entries that are stored. */
  readonly length: number
  readonly limit: number
  readonly inbox: Inbox
  /** What the first entry of a journal carries besides (J1). */
  readonly beginning: () => Pick<Entry, "b" | "w">
  readonly over: () => boolean
  readonly onWritten: (entries: ReadonlyArray<Entry>) => void
  readonly die: (reason: Error) => void
}

/** Deferred entries that wait for a write at most: what a lost attempt computes anew, and what one write carries. */
const deferredMax = 100

export class JournalWriter {
  readonly #host: JournalWriterHost
  #entries: Array<Entry> = []
  #answers: Array<{ readonly id: string; readonly answer: string }> = []
  /** Told when the write of what was added with them is acknowledged. */
  #acknowledge: Array<() => void> = []
  #flushing: Promise<void> | undefined
  #deferred = false
  #length: number

  constructor(host: JournalWriterHost) {
    this.#host = host
    this.#length = host.length
  }

  /** Entries that are stored. */
  get length(): number {
    return this.#length
  }

  /** The write under way. */
  get flushing(): Promise<void> | undefined {
    return this.#flushing
  }

  /** With the next write, whenever that is. */
  add(entry: Entry): void {
    this.#entries.push(entry)
  }

  answer(message: Message, answer: string): void {
    this.#answers.push({ id: message.id, answer })
  }

  /** With the next write, at the latest before the next body that asks for it (J2). */
  defer(entry: Entry): void {
    this.#entries.push(entry)
    this.#deferred = true
    if (this.#entries.length >= deferredMax) void this.flush()
  }

  /** Now. */
  write(entry: Entry, acknowledged?: () => void): Promise<void> {
    this.#entries.push(entry)
    if (acknowledged !== undefined) this.#acknowledge.push(acknowledged)
    return this.flush()
  }

  /** What was deferred is written before what depends on it begins. */
  settled(): Promise<void> | undefined {
    return this.#deferred ? this.flush() : undefined
  }

  flush(): Promise<void> {
    this.#flushing ??= this.#writeAll()
    return this.#flushing
  }

  async #writeAll(): Promise<void> {
    // one microtask: entries made in the same turn travel together
    await Promise.resolve()
    try {
      while (this.#entries.length > 0 && !this.#host.over()) await this.#write()
    } finally {
      // in the same turn in which nothing was found: an entry that came later would wait for a write that is over
      this.#flushing = undefined
    }
  }

  async #write(): Promise<void> {
    const { address, limit, beginning, die, onWritten } = this.#host
    const entries = this.#entries
    const answers = this.#answers
    const acknowledge = this.#acknowledge
    this.#entries = []
    this.#answers = []
    this.#acknowledge = []
    this.#deferred = false
    if (this.#length + entries.length > limit)
      return die(
        new JournalFull(`the journal of ${address} would exceed ${limit} entries in one iteration. End iterations with job.again(…).`, {
          journalLimit: limit,
        }),
      )
    if (this.#length === 0) entries[0] = { ...(entries[0] as Entry), ...beginning() }
    if (!(await this.#commit(entries.map(printEntry), answers))) return
    this.#length += entries.length
    for (const told of acknowledge) told()
    onWritten(entries)
  }

  async #commit(append: ReadonlyArray<string>, answers: ReadonlyArray<{ readonly id: string; readonly answer: string }>): Promise<boolean> {
    const { shard, address, run, revision, inbox, die } = this.#host
    try {
      const reply = await shard.commit({
        address,
        run,
        revision,
        newRevision: revision,
        journalLength: this.#length,
        journal: "keep",
        next: { phase: "active" },
        consumed: inbox.consumed,
        seen: inbox.last,
        append,
        answers,
      })
      if (reply.status === "ok") return true
      die(refusedWrite(address, reply.status))
    } catch (error) {
      die(error as Error)
    }
    return false
  }
}

export const refusedWrite = (address: string, status: Exclude<CommitReply["status"], "ok">): Error =>
  new Deposed(
    status === "poisoned"
      ? `the store failed half way through a write of ${address}: the run is loaded again.`
      : `the store refused a write of ${address}: ${status === "stale" ? "its shard has another owner" : "the run was ended or replaced"}. This attempt was stopped.`,
    { status },
  )
