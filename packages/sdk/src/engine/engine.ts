/**
 * The store, as verbs. One interface, two drivers (Redis, SQLite), one conformance suite.
 *
 * - E1 Every verb takes many items, groups them by shard, and answers per item in the order given. A batch is not a
 *   transaction (B1); a driver cuts it at 200 items or 256 KiB (B2). An empty list answers an empty list, without a call.
 * - E2 Worker verbs (`claim`, `release`, `take`, `commit`, `trim`, `forward`) carry (shard, session, epoch) and begin with that fence; a stale one
 *   changes nothing but the shard's audit (audit.ts) and answers `"stale"` (O3). `commit` also carries run and revision per item.
 * - E3 All verbs are safe to repeat and then give the first answer (B4). A verb that fails throws `StoreUnavailable`
 *   (outcome unknown: repeat it) or `StoreFault` (a bug or a damaged store).
 * - E4 Only the store's clock decides what is due, expired or how large an epoch is. Times are epoch milliseconds of that clock.
 * - E5 Strings in, strings out: `body`, `payload`, journal entries and outcomes are opaque text without NUL characters
 *   (JSON escapes them; node:sqlite of Node 22 cuts text there). Addresses, names and ids never contain
 *   control characters (checked above), which drivers may use as separators.
 * - E6 Volatile bus: `publish`/`subscribe` may lose anything at any time. Nothing but latency depends on it (W7).
 * - E7 Retention is a minimum: ended runs, request ids and answers stay, and count, until `trim` removes them.
 * - E8 A life is what the store, or the kernel, drops when a process dies (S7: its connections, S9: its lock file). `probe` says `dead` only
 *   of a life that existed and is wholly gone; whatever it cannot know (another life of the server, no right to look, a file that is not
 *   there) is `unknown`. `dead` is final for that life, but its session may have registered another one meanwhile: who acts on it
 *   compares the record (`markDead`).
 * - E9 Maps (maps.ts) and streams (event-streams.ts) belong to a pool's name only, which need not be opened. A write carries a request id, and its
 *   repetition within the given retention changes nothing and gets the first answer. A write to a map takes effect whole or not at all, and
 *   adds one to the revision; an event's number in its stream is the one before it plus one.
 */
import type { AuditVerbs, WriteInterval } from "./audit.ts"
import type { LinkVerbs } from "./links.ts"
import type { MapVerbs } from "./maps.ts"
import type { StreamVerbs } from "./event-streams.ts"

/** `kind/key`: identity of a job; at most one live run. Kinds contain no slash. */
export type Address = string

export type Phase = "ready" | "active" | "parked" | "ended"

/** What a controller writes into the runs that it started (K2, K4). */
export interface Control {
  /** Stable name of the controller. */
  readonly controller: string
  /** `job.fence` of the controller's run as 19 zero-padded digits; a shard that has seen a higher one refuses. */
  readonly fence: string
  /** Hash of the desired spec. */
  readonly spec: string
  /** Two 48-bit hashes (two seeds) of (address, spec), summed up in the shard's digest. */
  readonly sums: readonly [number, number]
}

export interface RunRecord {
  readonly address: Address
  readonly phase: Phase
  /** Run id: one life under the address. */
  readonly run: string
  /** Changed by every write of the owner (`"0"` after start); compared for equality only. */
  readonly revision: string
  /** How many messages of this run were consumed and trimmed; message numbers go on from here (W4). */
  readonly consumed: number
  /**
   * When the agenda wakes a parked run. It stays when a message wakes the run before its time, and while it is active, until the next write of
   * its record: whoever runs it knows why it was brought.
   */
  readonly due: number | undefined
  /** Of a parked run: names of signals that wake it. Other kinds of message always wake. */
  readonly on: ReadonlyArray<string>
  /** Controller and spec of a controlled run. */
  readonly control: { readonly controller: string; readonly spec: string } | undefined
  readonly body: string
  /** Of an ended run. */
  readonly outcome: string | undefined
}

/** `signal` wakes a parked run when its name is in `on`; every other kind always does. */
export type MessageKind = "signal" | "update" | "cancel" | "input" | "result"

export interface Message {
  /** 1, 2, 3 … within a run, in the order of acknowledgement (W4, P5). */
  readonly number: number
  readonly kind: MessageKind
  readonly name: string
  /** Request id; unique per shard while retained (J4). */
  readonly id: string
  /** When the store accepted it. */
  readonly at: number
  readonly payload: string
}

/** A run with what waits for it: unconsumed messages (numbers `consumed + 1 …`) and the journal of its current iteration. */
export interface LoadedRun extends RunRecord {
  readonly inbox: ReadonlyArray<Message>
  readonly journal: ReadonlyArray<string>
  /**
   * Of a run that a take brought from ready or due to active: when it became that. Unknown for those that were asked for by address, and for
   * what was written before this was kept.
   */
  readonly since?: number | undefined
}

export interface StartItem {
  readonly shard: number
  readonly address: Address
  /** Id of the new run, made by the caller; repeating the call with it is safe. */
  readonly run: string
  readonly body: string
  /** Delay in ms before the first iteration; absent or 0: ready at once. */
  readonly after?: number
  /** When an ended run of the address is still retained: start anew (default) or refuse. */
  readonly ifEnded?: "start" | "reject"
  readonly control?: Control
  /** How long the run id is remembered as started, ms, also when another run has the address by then; absent: as long as its record is there. */
  readonly remember?: number
  /**
   * A signal that is in the inbox with the start, before the first iteration. When another live run has the address, it goes to that one, unless
   * `ifRunning` is `drop`.
   */
  readonly signal?: Pick<MessageItem, "name" | "id" | "payload" | "inboxLimit" | "retention"> & { readonly ifRunning: "send" | "drop" }
}
/** Judged in this order: `fenced`; `forbidden`; the same run id again, live or ended → `started`; `running`; `ended`. */
export interface StartReply {
  /**
   * `running`: another live run has the address (its id in `run`); `ended`: refused by `ifEnded`; `fenced`: a newer controller exists; `forbidden`
   * (links.ts): only where the id is to be remembered.
   */
  readonly status: "started" | "running" | "ended" | "fenced" | "forbidden"
  readonly run: string
  /** Of a signal that was sent to `run`, with a start or without one. */
  readonly signal?: MessageReply["status"] | undefined
}

export interface MessageItem {
  readonly shard: number
  readonly address: Address
  /** If given, the message is for this run only. */
  readonly run?: string
  readonly kind: MessageKind
  readonly name: string
  /** Request id: a second message with it within `retention` is answered `duplicate`. */
  readonly id: string
  readonly payload: string
  /** Refused as `full` when the inbox already holds this many (L1: results and cancels are given a higher one). */
  readonly inboxLimit: number
  /** How long the request id and the answer are kept, ms. */
  readonly retention: number
  /**
   * With kind `input`: replaces the run's spec (and adopts a run without a controller); refused as `replaced` when the stored spec is not
   * `expectSpec`, where "" stands for no controller.
   */
  readonly control?: Control
  readonly expectSpec?: string
}
/** Judged in this order: `duplicate`, `fenced`, `absent`, `replaced` (another run than `run`), `ended`, `replaced` (another spec), `full`. */
export interface MessageReply {
  /** `replaced`: the address has another run than `run`, or the run has another spec than `expectSpec`. */
  readonly status: "accepted" | "duplicate" | "absent" | "ended" | "replaced" | "full" | "fenced"
  /** The run that has the address, "" when absent. */
  readonly run: string
  /** Number given to the message (accepted), else 0. */
  readonly number: number
  /** The recorded answer of a duplicate, when there is one. */
  readonly answer: string | undefined
}

export interface TerminateItem {
  readonly shard: number
  readonly address: Address
  readonly run?: string
  readonly outcome: string
  /** A revision never used before, so that a late write of the owner is refused. */
  readonly newRevision: string
  /** How long the ended run is kept, ms. */
  readonly retention: number
  readonly control?: Pick<Control, "controller" | "fence">
  readonly expectSpec?: string
}
/** Judged in this order: `fenced`, `absent`, `replaced` (run), `terminated` (my repetition) or `ended`, `replaced` (spec). */
export interface TerminateReply {
  readonly status: "terminated" | "absent" | "ended" | "replaced" | "fenced"
  readonly run: string
}

export interface ShardOwner {
  readonly shard: number
  readonly session: string
  readonly epoch: number
}

/** A release tells when its owner's writes were accepted, for the audit. */
export interface ReleaseItem extends ShardOwner {
  readonly writes?: WriteInterval | undefined
}

export interface ShardHeader {
  readonly shard: number
  /** "" when released or never claimed. */
  readonly session: string
  readonly epoch: number
}

export interface ClaimItem {
  readonly shard: number
  readonly session: string
  /** The header as read: a claim is a compare-and-set on it (O1). */
  readonly from: { readonly session: string; readonly epoch: number }
  /** Highest epoch that the claimant knows of this shard (O2). */
  readonly knownEpoch: number
}
export type ClaimReply =
  | { readonly status: "claimed"; readonly epoch: number; readonly active: ReadonlyArray<Address> }
  /** The header is another than `from`: it is in `header`. A repetition of a claim that was granted is answered `claimed`. */
  | { readonly status: "refused"; readonly header: ShardHeader }

export interface TakeGroup extends ShardOwner {
  /** At most this many of due and ready runs, in this order, move to active (a driver may stop earlier and say `more`). */
  readonly limit: number
  /** Also take what is due by the agenda, and report the next due time. */
  readonly timers: boolean
  /** Load also these addresses, if active (recovery, gaps in message numbers). They count not against `limit`. */
  readonly addresses?: ReadonlyArray<Address>
}
export type TakeReply =
  | {
      readonly status: "taken"
      readonly runs: ReadonlyArray<LoadedRun>
      /** The ready list or the agenda holds more. */
      readonly more: boolean
      /** Earliest future due time on the agenda; only when `timers` was asked. */
      readonly nextDue: number | undefined
      /** Store time of the take. */
      readonly now: number
    }
  | { readonly status: "stale" }

/** What becomes of a run with a commit. */
export type Next =
  /** Goes on: a journal append. The record is rewritten only if `body` is given. */
  | { readonly phase: "active" }
  /** Runs again at once. */
  | { readonly phase: "ready" }
  /** Sleeps until `due` (ms from now, or store time) or a message; neither: until a message. */
  | { readonly phase: "parked"; readonly due?: { readonly after: number } | { readonly at: number }; readonly on: ReadonlyArray<string> }
  /**
   * Inbox and journal are dropped. `ifUnseen: "refuse"` (default `"end"`): when a message later than `seen` is there, nothing is written
   * and the item answers `unseen`, so that no acknowledged message goes unread and unreported (W6): load the run again.
   */
  | { readonly phase: "ended"; readonly outcome: string; readonly retention: number; readonly ifUnseen?: "end" | "refuse" }

export interface CommitItem {
  readonly address: Address
  readonly run: string
  /** Revision as last read or written by the caller. */
  readonly revision: string
  /** Revision after this write; unique (epoch and a count). Not stored when `phase` is active and `body` is absent: then the journal's length is the revision. */
  readonly newRevision: string
  /** Length of the journal before this write. */
  readonly journalLength: number
  /** Entries appended (only with `journal: "keep"`). A journal that already ends with just these is a repetition of a mere append. */
  readonly append: ReadonlyArray<string>
  /** `clear` drops the journal: the iteration ended. */
  readonly journal: "keep" | "clear"
  readonly next: Next
  readonly body?: string
  /** Messages consumed in all; the inbox is trimmed up to here. Takes effect only with a write of the record (not with a mere append). */
  readonly consumed: number
  /** Number of the last message that the run has seen: a later one that wakes makes it ready at once (W6). */
  readonly seen: number
  /** Answers of updates, kept as long as their request ids. */
  readonly answers: ReadonlyArray<{ readonly id: string; readonly answer: string }>
}
export interface CommitGroup extends ShardOwner {
  readonly items: ReadonlyArray<CommitItem>
}
export interface CommitReply {
  /**
   * `stale`: the shard is not mine any more. `conflict`: the run was replaced, terminated or written by another, or is not active (drop it,
   * load it again). `unseen`: see `ifUnseen`; the run stays active, `lastMessage` is the newest.
   * `poisoned`: this group failed half way; outcome unknown for its items (B1): load them again.
   */
  readonly status: "ok" | "stale" | "conflict" | "poisoned" | "unseen"
  /** Phase after the write: `ready` instead of `parked` when an unseen message woke it (W6). */
  readonly phase: Phase
  /** Number of the newest message ever accepted for the run; 0 when refused (`unseen` excepted), and of a mere append of entries, which asks for none. */
  readonly lastMessage: number
  /** Store time of the write. */
  readonly now: number
}

/** What waits for its owner in a shard. */
interface Waiting {
  /** Length of the ready list. */
  readonly ready: number
  /** Parked runs whose time has come. */
  readonly due: number
  /** Since when the run that waits longest of these does; undefined when none waits. */
  readonly oldest: number | undefined
}

export interface ShardQueue extends Waiting {
  readonly shard: number
  readonly active: number
  readonly now: number
}

export interface ShardStatus extends ShardHeader, Waiting {
  readonly active: ReadonlyArray<Address>
  readonly nextDue: number | undefined
  /** Entries in the outbox (links.ts). */
  readonly outbox: number
  readonly now: number
}

export interface ShardDigest {
  readonly shard: number
  /** Highest fence seen from the controller, "" if none. */
  readonly fence: string
  readonly count: number
  readonly sums: readonly [string, string]
}

export interface PoolSettings {
  readonly shards: number
}
export interface PoolInfo extends PoolSettings {
  /** Made when the pool was first opened; another one means that the store was emptied (O4). */
  readonly incarnation: string
  readonly now: number
}

export interface MemberEntry {
  readonly session: string
  /** JSON of the member record (S1). */
  readonly record: string
}
/** What others can see of the process of a session (E8). */
export interface Life {
  /** Text by which others `probe` it; a part of the member record. "" where it cannot be probed: then `why` says the reason. */
  readonly sign: string
  /** How much of what `sign` names is still there. A driver replaces what is lost, and tells the new sign. */
  readonly left: "all" | "some" | "none"
  readonly why?: string
}
export type Probe = "alive" | "dead" | "unknown"

/** What came of a mark: the session is dead by it, was gone already, or is not the one that was seen. */
export type MarkReply = "marked" | "gone" | "refused"

/** A connection of this process as the store sees it, in the driver's own words; can be sent between threads. */
export type Presence = Readonly<Record<string, string | boolean>>

export interface LifeOptions {
  /** Nothing stands between this process and the store that could close one side of a connection only, although their addresses differ (S7). */
  readonly direct?: boolean
  /** Told of each loss and of each new sign, also of one without a loss. */
  readonly onChange?: (life: Life) => void
  /** The session is renewed over the connection of another engine of this process: what that one's `presence` tells. */
  readonly renewals?: {
    readonly current: () => Presence | undefined
    /** Gives what ends it. */
    readonly onChange: (listener: () => void) => () => void
  }
}
export interface LifeHandle {
  readonly life: Life
  /** The session ended: nothing is told any more, and what was made for it alone is removed. */
  end(): Promise<void>
}

export interface RenewReply {
  /** False: the session was marked dead or never joined. It never lives again (S1). */
  readonly alive: boolean
  readonly counters: ReadonlyMap<string, number>
  readonly memberVersion: number
  readonly assignmentVersion: number
  readonly incarnation: string
  readonly now: number
}
export interface AssignmentEntry {
  /** 0 when none was ever written. */
  readonly version: number
  readonly memberVersion: number
  readonly value: string
}

/** What travels on the bus. Volatile (E6). */
export type Hint =
  /**
   * The shard's ready list was empty and is not, or its earliest due time became earlier (W7). Not for what the owner itself commits.
   * Epoch 0: hints may have been lost with a connection, pull.
   */
  | { readonly type: "ready"; readonly shard: number; readonly epoch: number }
  /** A message for an active run; applied directly only if its number is the next (W2, W4). */
  | { readonly type: "message"; readonly shard: number; readonly address: Address; readonly run: string; readonly message: Message }
  /** A run was ended by a client: abort it. */
  | { readonly type: "terminated"; readonly shard: number; readonly address: Address; readonly run: string }
  /** The shard was released and waits for its next owner. */
  | { readonly type: "released"; readonly shard: number; readonly epoch: number }
  /** A run ended that has links: the outbox holds something. */
  | { readonly type: "outbox"; readonly shard: number }

export type ShardEvent =
  | { readonly type: "ended"; readonly shard: number; readonly address: Address; readonly run: string }
  | { readonly type: "answered"; readonly shard: number; readonly id: string }

export type Unsubscribe = () => Promise<void>

export interface Engine extends AuditVerbs, LinkVerbs, MapVerbs, StreamVerbs {
  readonly driver: "redis" | "sqlite"
  /** The address as given, without a password: for messages. */
  readonly url: string
  /** One call may serve many shards; where not, on a cluster, a verb over many shards is as many calls (B2). */
  readonly spansShards: boolean
  /**
   * Only where calls do not span shards: names the server that has the shard now, as far as is known. Calls for different servers are made apart, so
   * that one which does not answer holds up nobody else (shard-batcher.ts, server-turns.ts).
   */
  serverOf?(pool: string, shard: number): string

  // --- pool -------------------------------------------------------------------------------------------------------
  /** Creates the pool's settings if absent, else compares: throws `PoolMismatch`. */
  openPool(pool: string, settings: PoolSettings): Promise<PoolInfo>
  /** The settings of an existing pool, for clients. */
  poolInfo(pool: string): Promise<PoolInfo | undefined>
  addKinds(pool: string, kinds: ReadonlyArray<string>): Promise<void>
  kinds(pool: string): Promise<ReadonlyArray<string>>

  // --- sessions, members, assignment (one slot per pool, A1) --------------------------------------------------------
  /** Registers a session with counter 1. */
  join(pool: string, member: MemberEntry): Promise<{ readonly memberVersion: number }>
  /**
   * Makes the process of a session visible to `probe` (S1), and gives its renewals, probes and marks a connection of their own where there are
   * connections and no `renewals` were given, so that a busy data path does not starve them.
   */
  registerLife(pool: string, session: string, options?: LifeOptions): Promise<LifeHandle>
  /**
   * The connection over which this engine renews sessions of the pool, for `LifeOptions.renewals` of another engine; tells each change. `undefined`:
   * it is lost, or the driver has no connections.
   */
  presence(pool: string, onChange: (presence: Presence | undefined) => void): Promise<Presence | undefined>
  /** One look at lives, in the order given. Never waits for a store that is away: that is `unknown`. */
  probe(pool: string, signs: ReadonlyArray<string>): Promise<ReadonlyArray<Probe>>
  /**
   * Replaces the record of a living session (leaving, another life); false when it is dead. With `from`, a compare-and-set (S8): false also when
   * the record is neither `from` nor the new one, so that a write which was held up on a dying connection cannot undo a later one.
   */
  updateMember(pool: string, member: MemberEntry, from?: string): Promise<boolean>
  leave(pool: string, session: string): Promise<void>
  /** Increments the session's counter and returns what everybody needs, in one call (S2). With `undefined`: only reads. */
  renew(pool: string, session: string | undefined): Promise<RenewReply>
  /**
   * Marks a session dead if its counter still is `counter` (S3) and, where given, its record still is `record` (S7: it has not registered another
   * life). One that is gone already is as dead, but this call did not do it: several watch, and one of them tells.
   */
  markDead(pool: string, session: string, counter: number, record?: string): Promise<MarkReply>
  members(pool: string): Promise<{ readonly memberVersion: number; readonly members: ReadonlyArray<MemberEntry> }>
  assignment(pool: string): Promise<AssignmentEntry>
  /** Compare-and-set on both versions: refused (false) when the assignment or the member list has moved on (A1). */
  assign(pool: string, next: { readonly expectVersion: number; readonly memberVersion: number; readonly value: string }): Promise<boolean>

  // --- client verbs -----------------------------------------------------------------------------------------------
  start(pool: string, items: ReadonlyArray<StartItem>): Promise<ReadonlyArray<StartReply>>
  message(pool: string, items: ReadonlyArray<MessageItem>): Promise<ReadonlyArray<MessageReply>>
  terminate(pool: string, items: ReadonlyArray<TerminateItem>): Promise<ReadonlyArray<TerminateReply>>
  /** Reads runs; `inbox` and `journal` are filled only if `full`. */
  read(
    pool: string,
    items: ReadonlyArray<{ readonly shard: number; readonly address: Address }>,
    options?: { readonly full?: boolean },
  ): Promise<ReadonlyArray<LoadedRun | undefined>>
  /** Recorded answers of updates by request id. */
  answers(pool: string, items: ReadonlyArray<{ readonly shard: number; readonly id: string }>): Promise<ReadonlyArray<string | undefined>>
  /** One page of about `limit` of a shard's runs, in no order; "0" begins, the returned cursor "0" ends. Each run that exists throughout is seen at least once. */
  list(
    pool: string,
    shard: number,
    cursor: string,
    limit: number,
  ): Promise<{ readonly cursor: string; readonly runs: ReadonlyArray<RunRecord> }>
  /** Per-shard digests of a controller's live runs (K4); with `fence` it is raised first (K2). */
  digests(pool: string, controller: string, shards: ReadonlyArray<number>, fence?: string): Promise<ReadonlyArray<ShardDigest>>

  // --- worker verbs (fenced) --------------------------------------------------------------------------------------
  claim(pool: string, items: ReadonlyArray<ClaimItem>): Promise<ReadonlyArray<ClaimReply>>
  release(pool: string, items: ReadonlyArray<ReleaseItem>): Promise<ReadonlyArray<"released" | "stale">>
  take(pool: string, groups: ReadonlyArray<TakeGroup>): Promise<ReadonlyArray<TakeReply>>
  commit(pool: string, groups: ReadonlyArray<CommitGroup>): Promise<ReadonlyArray<ReadonlyArray<CommitReply>>>
  /** Removes at most `limit` ended runs, request ids and answers whose retention is over, the oldest first. */
  trim(pool: string, groups: ReadonlyArray<ShardOwner & { readonly limit: number }>): Promise<ReadonlyArray<number | "stale">>

  // --- reads for the pool's slow cycle ------------------------------------------------------------------------------
  headers(pool: string, shards: ReadonlyArray<number>): Promise<ReadonlyArray<ShardHeader>>
  /** How much waits and runs, and for how long: for counting workers. */
  queues(pool: string, shards: ReadonlyArray<number>): Promise<ReadonlyArray<ShardQueue>>
  /** State of shards: proves what hints only promise (W7). */
  sweep(pool: string, shards: ReadonlyArray<number>): Promise<ReadonlyArray<ShardStatus>>

  // --- bus (volatile) -----------------------------------------------------------------------------------------------
  /** Hints of one shard, for its owner and its next owner. */
  onHint(pool: string, shard: number, listener: (hint: Hint) => void): Promise<Unsubscribe>
  /** Ends and answers of one shard, for clients that wait. */
  onEvent(pool: string, shard: number, listener: (event: ShardEvent) => void): Promise<Unsubscribe>
  /** Any other channel of a pool: `"members"` (published by join, updateMember, leave, markDead, assign), queries, replies. */
  subscribe(pool: string, channel: string, listener: (text: string) => void): Promise<Unsubscribe>
  publish(pool: string, channel: string, text: string): Promise<void>

  /** Ends all connections; verbs in flight fail. Idempotent. */
  close(): Promise<void>
}

export interface EngineOptions {
  /**
   * Deadline of a verb, ms; default 5000. One try of a call gets half of it; then the connection is rebuilt and the call repeated until
   * the deadline (B4).
   */
  readonly callTimeout?: number
  /** How long to wait for the first connection, ms; default 5000. */
  readonly connectTimeout?: number
  /** Key prefix in Redis; default "p". */
  readonly prefix?: string
  /** Entries that the audit of each shard keeps; default 256. */
  readonly auditLength?: number
  /** Test override of the store's clock (E4); absent: the store's own. */
  readonly now?: () => number
  /**
   * Whether a `file:` store works in a thread of its own, so that its transactions stop no event loop; default true, and false inside of
   * another thread and with `now`.
   */
  readonly ownThread?: boolean
  /**
   * The engine keeps the process alive only while one of its calls is under way: for clients, whose `close` may be forgotten. Default false. A `file:`
   * store is so anyway.
   */
  readonly background?: boolean
  /** Receives warnings (eviction policy, old server …); default: one line on stderr. */
  readonly onWarning?: (text: string) => void
}
