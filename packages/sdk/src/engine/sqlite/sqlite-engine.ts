import { isMainThread } from "node:worker_threads"
import type {
  AssignmentEntry,
  ClaimItem,
  ClaimReply,
  CommitGroup,
  CommitReply,
  Engine,
  EngineOptions,
  Hint,
  LifeHandle,
  MarkReply,
  LoadedRun,
  MemberEntry,
  MessageItem,
  MessageReply,
  PoolInfo,
  PoolSettings,
  Probe,
  ReleaseItem,
  RenewReply,
  RunRecord,
  ShardDigest,
  ShardEvent,
  ShardHeader,
  ShardOwner,
  ShardQueue,
  ShardStatus,
  StartItem,
  StartReply,
  TakeGroup,
  TakeReply,
  TerminateItem,
  TerminateReply,
  Unsubscribe,
} from "../engine.ts"
import type { AuditPage } from "../audit.ts"
import type { ForbidItem, ForwardGroup, ForwardReply, LinkItem, LinkReply } from "../links.ts"
import type { MapNotice, MapState, MapWrite, MapWriteReply } from "../maps.ts"
import type { Retention, SinkConsumer, SinkTake, SinkTakeReply, StreamAppend, StreamRead, StreamReadReply } from "../event-streams.ts"
import { optionTable } from "../../options.ts"
import { readAudit } from "./audit.ts"
import { appendChannel, eventChannel, hintChannel, mapChannel, textChannel } from "./bus.ts"
import { Calls } from "./calls.ts"
import type { Tx } from "./calls.ts"
import { commitRuns, poisonedGroup } from "./commit.ts"
import { readDigest } from "./digests.ts"
import { closedFault, isPonos, toFault } from "./faults.ts"
import { cutCommits, groupByShard, share, sizeOf } from "./groups.ts"
import type { CommitUnit } from "./groups.ts"
import { addLinks, forbidRuns, forwardEntries } from "./links.ts"
import { Lives } from "./lives.ts"
import { changeMap, destroyMap, readMap } from "./maps.ts"
import * as members from "./members.ts"
import { readAnswer, sendMessages } from "./message.ts"
import * as pools from "./pools.ts"
import { listRuns, readRun } from "./runs.ts"
import { claim, header, queue, release, status } from "./shards.ts"
import { startRuns } from "./start.ts"
import * as sinks from "./sinks.ts"
import { checkFile, parseLocation } from "./location.ts"
import { openStore } from "./store.ts"
import type { Store } from "./store.ts"
import * as streams from "./event-streams.ts"
import { takeRuns } from "./take.ts"
import { terminateRuns } from "./terminate.ts"
import { openInThread, threadFile } from "./threaded-engine.ts"
import { trimShard } from "./trim.ts"

const defaultTimeout = 5_000

/**
 * Opens `file:<path>`, `memory:` (a store of its own) or `memory:<name>` (shared by this name within the process). A file has a thread (S9),
 * unless this is a thread itself, or the clock is a function of this one.
 */
export const openSqliteEngine = async (url: string, options: EngineOptions): Promise<Engine> => {
  const location = parseLocation(url)
  if (location.type === "memory" || !(options.ownThread ?? (isMainThread && options.now === undefined)))
    return await openInProcess(url, options)
  // Before a thread is made for nothing.
  checkFile(url, location.path)
  try {
    return await openInThread(url, location.path, options)
  } catch (error) {
    if (isPonos(error)) throw error
    warningOf(options)(
      `the thread of ${url} could not be started (${error instanceof Error ? error.message : String(error)}): its transactions run in the event loop. ` +
        `Deploy ${threadFile()} beside the file that has this code.`,
    )
    return await openInProcess(url, options)
  }
}

const warningOf = ({ onWarning }: EngineOptions): ((text: string) => void) =>
  onWarning ?? ((text) => void process.stderr.write(`ponos: ${text}\n`))

export const openInProcess = async (url: string, options: EngineOptions): Promise<Engine> => {
  const warn = warningOf(options)
  const store = await openStore(url, options.connectTimeout ?? defaultTimeout, warn)
  return new SqliteEngine(store, options, warn)
}

/** Each verb is one function of a transaction (the other files here); this class brings them their transactions. */
class SqliteEngine implements Engine {
  readonly driver = "sqlite"
  readonly spansShards = true
  readonly url: string
  readonly #store: Store
  readonly #calls: Calls
  readonly #auditLength: number
  readonly #warn: (text: string) => void
  readonly #subscriptions = new Set<() => void>()
  readonly #lives: Lives
  #closed = false

  constructor(store: Store, options: EngineOptions, warn: (text: string) => void) {
    this.url = store.url
    this.#store = store
    this.#calls = new Calls(store, options.now ?? Date.now, options.callTimeout ?? defaultTimeout)
    this.#auditLength = options.auditLength ?? optionTable.auditLength.default
    this.#warn = warn
    this.#lives = new Lives(store, this.#calls, warn)
  }

  // --- pool ---------------------------------------------------------------------------------------------------------

  openPool(pool: string, settings: PoolSettings): Promise<PoolInfo> {
    return this.#calls.write(pool, (tx) => pools.openPool(tx, settings))
  }

  poolInfo(pool: string): Promise<PoolInfo | undefined> {
    return this.#calls.read(pool, pools.poolInfo)
  }

  addKinds(pool: string, kinds: ReadonlyArray<string>): Promise<void> {
    return this.#calls.write(pool, (tx) => pools.addKinds(tx, kinds))
  }

  kinds(pool: string): Promise<ReadonlyArray<string>> {
    return this.#calls.read(pool, pools.kinds)
  }

  // --- sessions, members, assignment ----------------------------------------------------------------------------------

  join(pool: string, member: MemberEntry): Promise<{ readonly memberVersion: number }> {
    return this.#calls.write(pool, (tx) => members.join(tx, member))
  }

  async registerLife(_pool: string, session: string): Promise<LifeHandle> {
    if (this.#closed) throw closedFault(this.url)
    return this.#lives.register(session)
  }

  /** A file has no connections that could be lost. */
  async presence(): Promise<undefined> {}

  async probe(_pool: string, signs: ReadonlyArray<string>): Promise<ReadonlyArray<Probe>> {
    return this.#lives.probe(signs)
  }

  updateMember(pool: string, member: MemberEntry, from?: string): Promise<boolean> {
    return this.#calls.write(pool, (tx) => members.updateMember(tx, member, from))
  }

  leave(pool: string, session: string): Promise<void> {
    return this.#calls.write(pool, (tx) => members.leave(tx, session))
  }

  renew(pool: string, session: string | undefined): Promise<RenewReply> {
    return this.#lives.renew(pool, session)
  }

  markDead(pool: string, session: string, counter: number, record?: string): Promise<MarkReply> {
    return this.#lives.markDead(pool, { session, counter, record })
  }

  members(pool: string): Promise<{ readonly memberVersion: number; readonly members: ReadonlyArray<MemberEntry> }> {
    return this.#calls.read(pool, members.members)
  }

  assignment(pool: string): Promise<AssignmentEntry> {
    return this.#calls.read(pool, members.assignment)
  }

  assign(pool: string, next: { readonly expectVersion: number; readonly memberVersion: number; readonly value: string }): Promise<boolean> {
    return this.#calls.write(pool, (tx) => members.assign(tx, next))
  }

  // --- client verbs -------------------------------------------------------------------------------------------------

  start(pool: string, items: ReadonlyArray<StartItem>): Promise<ReadonlyArray<StartReply>> {
    return this.#byShard(pool, items, startRuns)
  }

  message(pool: string, items: ReadonlyArray<MessageItem>): Promise<ReadonlyArray<MessageReply>> {
    return this.#byShard(pool, items, sendMessages)
  }

  terminate(pool: string, items: ReadonlyArray<TerminateItem>): Promise<ReadonlyArray<TerminateReply>> {
    return this.#byShard(pool, items, terminateRuns)
  }

  link(pool: string, items: ReadonlyArray<LinkItem>): Promise<ReadonlyArray<LinkReply>> {
    return this.#byShard(pool, items, addLinks)
  }

  forbid(pool: string, items: ReadonlyArray<ForbidItem>): Promise<ReadonlyArray<"forbidden" | "known">> {
    return this.#byShard(pool, items, forbidRuns)
  }

  read(
    pool: string,
    items: ReadonlyArray<{ readonly shard: number; readonly address: string }>,
    options: { readonly full?: boolean } = {},
  ): Promise<ReadonlyArray<LoadedRun | undefined>> {
    return this.#calls.readEach(pool, items, (tx, { shard, address }) => readRun(tx, shard, address, options.full ?? false))
  }

  answers(pool: string, items: ReadonlyArray<{ readonly shard: number; readonly id: string }>): Promise<ReadonlyArray<string | undefined>> {
    return this.#calls.readEach(pool, items, (tx, { shard, id }) => readAnswer(tx, shard, id))
  }

  list(
    pool: string,
    shard: number,
    cursor: string,
    limit: number,
  ): Promise<{ readonly cursor: string; readonly runs: ReadonlyArray<RunRecord> }> {
    return this.#calls.read(pool, (tx) => listRuns(tx, shard, cursor, limit))
  }

  digests(pool: string, controller: string, shards: ReadonlyArray<number>, fence?: string): Promise<ReadonlyArray<ShardDigest>> {
    const read = (tx: Tx, shard: number): ShardDigest => readDigest(tx, shard, controller, fence)
    if (fence === undefined) return this.#calls.readEach(pool, shards, read)
    return this.#calls.batch(pool, { units: shards, apply: read, cost: () => share(1, 0) })
  }

  // --- worker verbs -------------------------------------------------------------------------------------------------

  claim(pool: string, items: ReadonlyArray<ClaimItem>): Promise<ReadonlyArray<ClaimReply>> {
    return this.#eachOf(pool, items, (tx, item) => claim(tx, item, this.#auditLength))
  }

  release(pool: string, items: ReadonlyArray<ReleaseItem>): Promise<ReadonlyArray<"released" | "stale">> {
    return this.#eachOf(pool, items, (tx, item) => release(tx, item, this.#auditLength))
  }

  take(pool: string, groups: ReadonlyArray<TakeGroup>): Promise<ReadonlyArray<TakeReply>> {
    const cost = (_: TakeGroup, reply: TakeReply): number => (reply.status === "taken" ? share(reply.runs.length, sizeOf(reply.runs)) : 0)
    return this.#calls.batch(pool, { units: groups, apply: takeRuns, cost })
  }

  async commit(pool: string, groups: ReadonlyArray<CommitGroup>): Promise<ReadonlyArray<ReadonlyArray<CommitReply>>> {
    const { units, join } = cutCommits(groups)
    const apply = (tx: Tx, unit: CommitUnit): CommitReply[] => commitRuns(tx, unit.group)
    const poisoned = (unit: CommitUnit): CommitReply[] => poisonedGroup(unit.group)
    return join(await this.#calls.batch(pool, { units, apply, poisoned, cost: (unit) => share(unit.group.items.length, unit.bytes) }))
  }

  trim(pool: string, groups: ReadonlyArray<ShardOwner & { readonly limit: number }>): Promise<ReadonlyArray<number | "stale">> {
    return this.#calls.batch(pool, { units: groups, apply: trimShard, cost: (_, reply) => (reply === "stale" ? 0 : share(reply, 0)) })
  }

  forward(pool: string, groups: ReadonlyArray<ForwardGroup>): Promise<ReadonlyArray<ForwardReply>> {
    return this.#calls.batch(pool, {
      units: groups,
      apply: forwardEntries,
      cost: (group, reply) => share(group.sent.length, sizeOf(reply)),
    })
  }

  async audit(
    pool: string,
    items: ReadonlyArray<{ readonly shard: number; readonly after: number; readonly limit: number }>,
  ): Promise<ReadonlyArray<AuditPage>> {
    return await this.#calls.readEach(pool, items, (tx, item) => readAudit(tx, item, header(tx, item.shard)))
  }

  // --- reads for the pool's slow cycle --------------------------------------------------------------------------------

  headers(pool: string, shards: ReadonlyArray<number>): Promise<ReadonlyArray<ShardHeader>> {
    return this.#calls.readEach(pool, shards, header)
  }

  queues(pool: string, shards: ReadonlyArray<number>): Promise<ReadonlyArray<ShardQueue>> {
    return this.#calls.readEach(pool, shards, queue)
  }

  sweep(pool: string, shards: ReadonlyArray<number>): Promise<ReadonlyArray<ShardStatus>> {
    return this.#calls.readEach(pool, shards, status)
  }

  // --- maps -----------------------------------------------------------------------------------------------------------

  readMaps(pool: string, items: ReadonlyArray<{ readonly map: string; readonly known?: number }>): Promise<ReadonlyArray<MapState>> {
    return this.#calls.readEach(pool, items, (tx, { map, known }) => readMap(tx, map, known))
  }

  changeMaps(pool: string, items: ReadonlyArray<MapWrite>): Promise<ReadonlyArray<MapWriteReply>> {
    return this.#calls.batch(pool, {
      units: items,
      apply: changeMap,
      cost: (item) => share(item.operations.length, sizeOf(item.operations)),
    })
  }

  async destroyMaps(pool: string, maps: ReadonlyArray<string>): Promise<void> {
    await this.#calls.batch(pool, { units: maps, apply: destroyMap, cost: () => share(1, 0) })
  }

  onMapChange(pool: string, map: string, listener: (notice: MapNotice) => void): Promise<Unsubscribe> {
    return this.#subscribe(mapChannel(pool, map), (notice: MapNotice) => {
      if (notice.type === "unsure") return listener(notice)
      // From another process it came as JSON, which has no undefined.
      listener({ ...notice, changes: notice.changes.map(([key, value]) => [key, value ?? undefined]) })
    })
  }

  // --- streams --------------------------------------------------------------------------------------------------------

  appendStreams(pool: string, items: ReadonlyArray<StreamAppend>): Promise<ReadonlyArray<{ first: string; last: string }>> {
    return this.#calls.batch(pool, {
      units: items,
      apply: streams.appendEvents,
      cost: (item) => share(item.events.length, sizeOf(item.events)),
    })
  }

  async readStreams(pool: string, items: ReadonlyArray<StreamRead>): Promise<ReadonlyArray<StreamReadReply>> {
    return await this.#calls.readEach(pool, items, streams.readEvents)
  }

  lastPositions(pool: string, names: ReadonlyArray<string>): Promise<ReadonlyArray<string>> {
    return this.#calls.readEach(pool, names, streams.lastPosition)
  }

  async trimStreams(pool: string, items: ReadonlyArray<Retention & { readonly stream: string }>): Promise<void> {
    await this.#inSteps(pool, items, streams.trimStream)
  }

  async destroyStreams(pool: string, names: ReadonlyArray<string>): Promise<void> {
    await this.#inSteps(pool, names, streams.destroyStream)
  }

  async joinSinks(pool: string, items: ReadonlyArray<SinkConsumer & { readonly start: string }>): Promise<void> {
    await this.#eachOf(pool, items, sinks.joinSink)
  }

  takeEvents(pool: string, items: ReadonlyArray<SinkTake>): Promise<ReadonlyArray<SinkTakeReply>> {
    return this.#eachOf(pool, items, sinks.takeEvents)
  }

  async ackEvents(
    pool: string,
    items: ReadonlyArray<{ readonly stream: string; readonly sink: string; readonly positions: ReadonlyArray<string> }>,
  ): Promise<void> {
    await this.#calls.batch(pool, { units: items, apply: sinks.ackEvents, cost: (item) => share(item.positions.length, 0) })
  }

  beatSinks(pool: string, items: ReadonlyArray<SinkConsumer>): Promise<ReadonlyArray<ReadonlyMap<string, number>>> {
    return this.#eachOf(pool, items, sinks.beatSink)
  }

  async leaveSinks(pool: string, items: ReadonlyArray<SinkConsumer & { readonly counter?: number }>): Promise<void> {
    await this.#eachOf(pool, items, sinks.leaveSink)
  }

  async destroySinks(pool: string, items: ReadonlyArray<{ readonly stream: string; readonly sink: string }>): Promise<void> {
    await this.#eachOf(pool, items, sinks.destroySink)
  }

  onAppend(pool: string, stream: string, listener: () => void): Promise<Unsubscribe> {
    return this.#subscribe(appendChannel(pool, stream), () => listener())
  }

  // --- bus ------------------------------------------------------------------------------------------------------------

  onHint(pool: string, shard: number, listener: (hint: Hint) => void): Promise<Unsubscribe> {
    return this.#subscribe(hintChannel(pool, shard), listener)
  }

  onEvent(pool: string, shard: number, listener: (event: ShardEvent) => void): Promise<Unsubscribe> {
    return this.#subscribe(eventChannel(pool, shard), listener)
  }

  subscribe(pool: string, channel: string, listener: (text: string) => void): Promise<Unsubscribe> {
    return this.#subscribe(textChannel(pool, channel), listener)
  }

  publish(pool: string, channel: string, text: string): Promise<void> {
    return this.#calls.write(pool, (tx) => tx.text(channel, text))
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#calls.close()
    for (const end of this.#subscriptions) end()
    this.#subscriptions.clear()
    this.#lives.close()
    this.#store.leave()
  }

  /** `Value` is what is published on the channel, by this file's own verbs. */
  async #subscribe<Value>(channel: string, listener: (value: Value) => void): Promise<Unsubscribe> {
    if (this.#closed) throw closedFault(this.url)
    try {
      this.#store.busFile?.start()
    } catch (error) {
      throw toFault(this.url, error)
    }
    const end = this.#store.bus.subscribe(channel, (value) => {
      try {
        listener(value as Value)
      } catch (error) {
        this.#warn(
          `a listener on the bus of ${this.url} threw; it stays subscribed. ${error instanceof Error ? error.stack : String(error)}`,
        )
      }
    })
    this.#subscriptions.add(end)
    return async () => {
      this.#subscriptions.delete(end)
      end()
    }
  }

  #eachOf<Item, Reply>(pool: string, items: ReadonlyArray<Item>, apply: (tx: Tx, item: Item) => Reply): Promise<Reply[]> {
    return this.#calls.batch(pool, { units: items, apply, cost: () => share(1, 0) })
  }

  /** Until no item says that it has to be called again. */
  async #inSteps<Item>(pool: string, items: ReadonlyArray<Item>, apply: (tx: Tx, item: Item) => boolean): Promise<void> {
    for (let rest = items; rest.length > 0;) {
      const again = await this.#eachOf(pool, rest, apply)
      rest = rest.filter((_, n) => again[n])
    }
  }

  async #byShard<Item extends { readonly shard: number }, Reply>(
    pool: string,
    items: ReadonlyArray<Item>,
    apply: (tx: Tx, shard: number, items: ReadonlyArray<Item>) => ReadonlyArray<Reply>,
  ): Promise<ReadonlyArray<Reply>> {
    const units = groupByShard(items)
    const replies = await this.#calls.batch(pool, {
      units,
      apply: (tx, unit) => apply(tx, unit.shard, unit.items),
      cost: (unit) => share(unit.items.length, unit.bytes),
    })
    const inOrder: Reply[] = []
    units.forEach((unit, n) => unit.places.forEach((place, m) => (inOrder[place] = replies[n]?.[m] as Reply)))
    return inOrder
  }
}
