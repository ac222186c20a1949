/** A pool of its own on a store under test, with two engines, a clock that the test moves, and the shortest way to each verb. */
import { expect } from "vitest"
import { uniqueName } from "../../../../tools/with-redis.ts"
import type {
  ClaimReply,
  CommitItem,
  CommitReply,
  Engine,
  EngineOptions,
  LoadedRun,
  Message,
  MessageItem,
  MessageReply,
  Next,
  ShardOwner,
  StartItem,
  StartReply,
  TakeGroup,
  TerminateItem,
} from "../../src/engine/engine.ts"

/** One store; all engines that it opens see the same data. */
export interface TestStore {
  open(options?: EngineOptions): Promise<Engine>
  /** All that the store holds of the pool but its audit, as text: equal before and after what must change nothing (E2). */
  dump?(pool: string): Promise<string>
  /** Removes the pool and fails when something of it is elsewhere than it should be. */
  remove(pool: string): Promise<void>
}

export const shardCount = 8
/** 2026-01-01, when nothing is over yet. */
const beginning = 1_767_225_600_000

export class World {
  readonly pool: string
  readonly engine: Engine
  /** Another process, as far as the store can tell. */
  readonly other: Engine
  now = beginning
  readonly #store: TestStore
  #count = 0

  private constructor(store: TestStore, pool: string, engines: readonly [Engine, Engine], setClock: (now: () => number) => void) {
    this.#store = store
    this.pool = pool
    this.engine = engines[0]
    this.other = engines[1]
    setClock(() => this.now)
  }

  static async create(store: TestStore): Promise<World> {
    let clock = () => beginning
    const options = { now: () => clock() }
    const pool = uniqueName("pool")
    const engines = [await store.open(options), await store.open(options)] as const
    await engines[0].openPool(pool, { shards: shardCount })
    return new World(store, pool, engines, (now) => (clock = now))
  }

  async close(): Promise<void> {
    await this.engine.close()
    await this.other.close()
    await this.#store.remove(this.pool)
  }

  /** A further engine, which the test closes. */
  async open(options?: EngineOptions): Promise<Engine> {
    return await this.#store.open(options)
  }

  /** A number that this world has not given yet. */
  next(): number {
    return ++this.#count
  }
  /** A revision never used before, as owners make them. */
  revision(): string {
    return `1.${this.next()}`
  }

  async own(shard = 0, session = "s1", engine = this.engine): Promise<ShardOwner> {
    const reply = await this.claim(shard, session, undefined, engine)
    if (reply.status !== "claimed") throw new Error(`shard ${shard} belongs to ${reply.header.session}`)
    return { shard, session, epoch: reply.epoch }
  }
  async claim(shard: number, session: string, from?: { session: string; epoch: number }, engine = this.engine): Promise<ClaimReply> {
    const [header] = await engine.headers(this.pool, [shard])
    return only(await engine.claim(this.pool, [{ shard, session, from: from ?? header ?? { session: "", epoch: 0 }, knownEpoch: 0 }]))
  }

  async start(address: string, more: Partial<StartItem> = {}): Promise<StartReply> {
    return only(await this.engine.start(this.pool, [{ shard: 0, address, run: `run-${this.next()}`, body: '{"input":1}', ...more }]))
  }
  async message(address: string, more: Partial<MessageItem> = {}): Promise<MessageReply> {
    return only(await this.engine.message(this.pool, [this.messageItem(address, more)]))
  }
  messageItem(address: string, more: Partial<MessageItem> = {}): MessageItem {
    const id = `request-${this.next()}`
    return { shard: 0, address, kind: "signal", name: "go", id, payload: "{}", inboxLimit: 100, retention: 60_000, ...more }
  }
  terminateItem(address: string, more: Partial<TerminateItem> = {}): TerminateItem {
    return { shard: 0, address, outcome: '{"terminated":true}', newRevision: `t.${this.next()}`, retention: 60_000, ...more }
  }

  async take(owner: ShardOwner, more: Partial<TakeGroup> = {}) {
    const reply = only(await this.engine.take(this.pool, [{ ...owner, limit: 10, timers: false, ...more }]))
    if (reply.status === "stale") throw new Error(`shard ${owner.shard} does not belong to ${owner.session} any more`)
    return reply
  }
  /** Starts a run and takes it. */
  async running(owner: ShardOwner, address: string, more: Partial<StartItem> = {}): Promise<LoadedRun> {
    await this.start(address, { shard: owner.shard, ...more })
    const { runs } = await this.take(owner)
    return found(runs.find((run) => run.address === address))
  }

  /** A commit of a run as it was loaded. */
  item(run: LoadedRun, next: Next, more: Partial<CommitItem> = {}): CommitItem {
    return {
      address: run.address,
      run: run.run,
      revision: run.revision,
      newRevision: this.revision(),
      journalLength: run.journal.length,
      append: [],
      journal: next.phase === "active" ? "keep" : "clear",
      next,
      consumed: run.consumed,
      seen: run.consumed + run.inbox.length,
      answers: [],
      ...more,
    }
  }
  async commit(owner: ShardOwner, item: CommitItem): Promise<CommitReply> {
    return only(only(await this.engine.commit(this.pool, [{ ...owner, items: [item] }])))
  }

  /** A run as anybody sees it, with its lists. */
  async read(address: string, shard = 0): Promise<LoadedRun> {
    return found((await this.engine.read(this.pool, [{ shard, address }], { full: true }))[0])
  }
  async inbox(address: string, shard = 0): Promise<ReadonlyArray<Message>> {
    return (await this.read(address, shard)).inbox
  }

  /** All that verbs show of the pool, and what the store really holds where the test can look. */
  async observe(): Promise<string> {
    const shards = Array.from({ length: shardCount }, (_, shard) => shard)
    const runs = []
    for (const shard of shards) {
      const { runs: page } = await this.engine.list(this.pool, shard, "0", 1000)
      const items = page.map(({ address }) => ({ shard, address })).toSorted((a, b) => (a.address < b.address ? -1 : 1))
      runs.push(await this.engine.read(this.pool, items, { full: true }))
    }
    const status = (await this.engine.sweep(this.pool, shards)).map((shard) => ({ ...shard, active: shard.active.toSorted() }))
    const digests = await this.engine.digests(this.pool, "controller", shards)
    return JSON.stringify({ runs, status, digests }) + ((await this.#store.dump?.(this.pool)) ?? "")
  }
}

export function only<T>(replies: ReadonlyArray<T>): T {
  expect(replies).toHaveLength(1)
  return replies[0] as T
}
export function found<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("expected a value, got none")
  return value
}

/** Collects what a listener hears, and waits for what must come; never a fixed time. */
export class Heard<T> {
  readonly all: T[] = []
  readonly listener = (item: T): void => {
    this.all.push(item)
    for (const check of this.#checks) check()
  }
  readonly #checks = new Set<() => void>()

  async until(condition: (all: ReadonlyArray<T>) => boolean, ms = 5000): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#checks.delete(check)
        reject(new Error(`heard only ${JSON.stringify(this.all)}`))
      }, ms)
      const check = () => {
        if (!condition(this.all)) return
        clearTimeout(timer)
        this.#checks.delete(check)
        resolve()
      }
      this.#checks.add(check)
      check()
    })
  }
}
