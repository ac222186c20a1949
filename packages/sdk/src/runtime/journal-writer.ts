/**
 * Entries on their way to the store. Those of one event-loop turn travel together, one commit after another, so that the journal has them in the
 * order in which they were made. A refused or failed write ends the attempt.
 */
import type { CommitItem, CommitReply, Message } from "../engine/engine.ts"
import { Deposed, JournalFull } from "../errors.ts"
import type { CommitSource, OwnedShard } from "../pool/consumer.ts"
import type { AttemptOptions } from "./attempt-options.ts"
import type { Entry } from "./journal.ts"
import { printEntry } from "./journal.ts"

/** The attempt whose journal it is: itself, and no closures of it, as each run in memory has one. */
export interface JournalWriterHost {
  readonly shard: OwnedShard
  readonly options: Pick<AttemptOptions, "address" | "run" | "revision" | "inbox" | "entries" | "limits">
  /** Why nothing more is written, if so. */
  readonly dead: Error | undefined
  /** What the first entry of a journal carries besides (J1). */
  beginning(): Pick<Entry, "b" | "w">
  written(entries: ReadonlyArray<Entry>): void
  die(reason: Error): void
}

export interface Acknowledged {
  acknowledged: boolean
}

/** Deferred entries that wait for a write at most: what a lost attempt computes anew, and what one write carries. */
const deferredMax = 100
/** Entries of one write: a script of Redis cannot take 8,000 at once. */
const entriesMax = 1_000

export class JournalWriter implements CommitSource {
  readonly #host: JournalWriterHost
  #entries: Array<Entry> = none
  #answers: CommitItem["answers"] = none
  /** Told when the write of what was added with them is acknowledged. */
  #acknowledge: Array<Acknowledged> = none
  /** What travels. */
  #sent: ReadonlyArray<Entry> = none
  #toldOfSent: ReadonlyArray<Acknowledged> = none
  /** A write was asked for, or is under way. */
  #busy = false
  /** Who waits for the end of that. */
  #idle: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined
  /** Entries are deferred, or were, and the write that has them is not acknowledged. */
  #deferred = false
  #length: number

  constructor(host: JournalWriterHost) {
    this.#host = host
    this.#length = host.options.entries.length
  }

  get address(): string {
    return this.#host.options.address
  }

  /** Entries that are stored. */
  get length(): number {
    return this.#length
  }

  /** A write was asked for, or is under way. */
  get busy(): boolean {
    return this.#busy
  }

  /** Resolves when nothing is left to be written, if something is under way. */
  get flushing(): Promise<void> | undefined {
    if (this.#busy) this.#idle ??= Promise.withResolvers<void>()
    return this.#idle?.promise
  }

  /** With the next write, whenever that is. */
  add(entry: Entry): void {
    this.#entries = grown(this.#entries, entry)
  }

  answer(message: Message, answer: string): void {
    this.#answers = [...this.#answers, { id: message.id, answer }]
  }

  /** With the next write, at the latest before the next body that asks for it (J2). */
  defer(entry: Entry): void {
    this.#entries = grown(this.#entries, entry)
    this.#deferred = true
    if (this.#entries.length >= deferredMax) this.#ask()
  }

  /** Now. */
  write(entry: Entry, told?: Acknowledged): void {
    this.#entries = grown(this.#entries, entry)
    if (told !== undefined) this.#acknowledge = grown(this.#acknowledge, told)
    this.#ask()
  }

  /** What was deferred is written before what depends on it begins. */
  settled(): Promise<void> | undefined {
    if (!this.#deferred) return undefined
    this.#ask()
    return this.flushing
  }

  /** What gathered is written now; false: nothing did. */
  flush(): boolean {
    if (this.#entries.length === 0) return false
    this.#ask()
    return true
  }

  #ask(): void {
    if (this.#busy) return
    this.#busy = true
    this.#host.shard.write(this)
  }

  committed(reply: CommitReply): void {
    if (reply.status !== "ok") return this.refused(refusedWrite(this.address, reply.status))
    const sent = this.#sent
    this.#length += sent.length
    this.#deferred &&= this.#entries.length > 0
    for (const told of this.#toldOfSent) told.acknowledged = true
    try {
      this.#host.written(sent)
    } catch (error) {
      this.#host.die(error as Error)
    }
    this.#goOn()
  }

  /** What follows a refused write is refused too: it is dropped. An attempt that has ended does not die of it, and must not ask for ever. */
  refused(error: unknown): void {
    this.#entries = none
    this.#answers = none
    this.#acknowledge = none
    this.#host.die(error as Error)
    this.#goOn()
  }

  /** What gathered meanwhile is next. */
  #goOn(): void {
    this.#sent = none
    this.#toldOfSent = none
    if (this.#entries.length > 0 && this.#host.dead === undefined) return this.#host.shard.write(this)
    this.#busy = false
    this.#idle?.resolve()
    this.#idle = undefined
  }

  item(): CommitItem | undefined {
    if (this.#entries.length > 0 && this.#host.dead === undefined) {
      const item = this.#next()
      if (item !== undefined) return item
    }
    this.#goOn()
    return undefined
  }

  /** What has gathered, as a commit; none when the journal is full, which ends the attempt. */
  #next(): CommitItem | undefined {
    const { address, run, revision, limits, inbox } = this.#host.options
    const all = this.#entries
    const entries = all.length <= entriesMax ? all : all.slice(0, entriesMax)
    // answers, and who waits for an entry, go with the last of a long list: a part of it is as good as none to them
    const last = entries === all
    this.#entries = last ? none : all.slice(entries.length)
    this.#sent = entries
    const answers = last ? this.#answers : none
    if (last) {
      this.#answers = none
      this.#toldOfSent = this.#acknowledge
      this.#acknowledge = none
    }
    const { journalLimit } = limits
    if (this.#length + entries.length > journalLimit) {
      this.#host.die(
        new JournalFull(
          `the journal of ${address} would exceed ${journalLimit} entries in one iteration. End iterations with job.again(…).`,
          {
            journalLimit,
          },
        ),
      )
      return undefined
    }
    if (this.#length === 0) entries[0] = { ...(entries[0] as Entry), ...this.#host.beginning() }
    return {
      address,
      run,
      revision,
      newRevision: revision,
      journalLength: this.#length,
      journal: "keep",
      next: active,
      consumed: inbox.consumed,
      seen: inbox.last,
      append: entries.length === 1 ? [printEntry(entries[0] as Entry)] : entries.map(printEntry),
      answers,
    }
  }
}

/** Never changed: see `grown`. */
const none: Array<never> = []
/** The list with one more. Most have one in all; a list that begins empty makes room for seventeen when it gets the first. */
const grown = <A>(list: Array<A>, one: A): Array<A> => {
  if (list.length === 0) return [one]
  list.push(one)
  return list
}
const active = { phase: "active" } as const

export const refusedWrite = (address: string, status: Exclude<CommitReply["status"], "ok">): Error =>
  new Deposed(
    status === "poisoned"
      ? `the store failed half way through a write of ${address}: the run is loaded again.`
      : `the store refused a write of ${address}: ${status === "stale" ? "its shard has another owner" : "the run was ended or replaced"}. This attempt was stopped.`,
    { status },
  )
