import { setImmediate, setTimeout } from "node:timers"
import type { SQLInputValue } from "node:sqlite"
import type { Hint, ShardEvent } from "../engine.ts"
import type { MapNotice } from "../maps.ts"
import { appendChannel, eventChannel, hintChannel, mapChannel, textChannel } from "./bus.ts"
import type { Note } from "./bus.ts"
import { busyFor, closedFault, isBusy, isWholeStore, toFault } from "./faults.ts"
import type { Store } from "./store.ts"
import { writerOf } from "./write-lock.ts"

/** A transaction ends after this many items or bytes (B2), or after this time in ms, whichever comes first. */
export const batchItems = 200
export const batchBytes = 256 * 1024
/**
 * A unit cannot be cut and is looked at after it ran, so that a transaction may take this and one unit more: together below 5 ms (S9). Measured on
 * one idle core: 200 ends or messages of 1.2 kB 4.7 to 5.4 ms, a quarter of them 1.2 ms; of 100 bytes half as much.
 */
const batchMs = 3
/** As `batchMs`, of a transaction that only reads: it stands in nobody's way but the checkpoint's. */
const readMs = 10
export const unitItems = batchItems / 4
export const unitBytes = batchBytes / 4

/** `BEGIN` for reads; a writer takes the lock at once, because a read that becomes a write can fail half way. */
type Begin = "BEGIN" | "BEGIN IMMEDIATE"

const findPool = "SELECT id FROM pools WHERE name = ?"
const insertPool = "INSERT INTO pools (name) VALUES (?) RETURNING id"

/** What a verb sees of its transaction. Rows come as the caller's type, which is the select list of the statement. */
export class Tx {
  readonly pool: string
  /** Row id of the pool; 0, which has no rows, for a read of a pool that is not there. */
  readonly poolId: number
  /** Store time of the transaction (E4). */
  readonly now: number
  readonly notes: Note[] = []
  readonly #store: Store

  constructor(store: Store, pool: string, now: number, writes: boolean) {
    this.#store = store
    this.pool = pool
    this.now = Math.floor(now)
    const known = this.one<{ id: number }>(findPool, pool) ?? (writes ? this.one<{ id: number }>(insertPool, pool) : undefined)
    this.poolId = known?.id ?? 0
  }

  /** Store time in so many ms. Callers may compute with fractions (a back-off with jitter); the columns hold whole ms. */
  after(ms: number): number {
    return Math.round(this.now + ms)
  }

  one<Row>(sql: string, ...values: SQLInputValue[]): Row | undefined {
    return this.#store.statement(sql).get(...values) as Row | undefined
  }

  all<Row>(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.#store.statement(sql).all(...values) as Row[]
  }

  /** As `all`, but reads no further than the row after those that fill a batch with their texts. */
  filling<Row extends object>(sql: string, ...values: SQLInputValue[]): Row[] {
    const rows: Row[] = []
    let bytes = 0
    for (const row of this.#store.statement(sql).iterate(...values)) {
      rows.push(row as Row)
      if (bytes >= batchBytes) break
      for (const value of Object.values(row)) if (typeof value === "string") bytes += value.length
    }
    return rows
  }

  /** Number of rows changed. */
  run(sql: string, ...values: SQLInputValue[]): number {
    return this.#store.run(sql, ...values)
  }

  hint(hint: Hint): void {
    this.#say(hintChannel(this.pool, hint.shard), hint)
  }

  event(event: ShardEvent): void {
    this.#say(eventChannel(this.pool, event.shard), event)
  }

  text(channel: string, text: string): void {
    this.#say(textChannel(this.pool, channel), text)
  }

  mapNotice(map: string, notice: MapNotice): void {
    this.#say(mapChannel(this.pool, map), notice)
  }

  appendNotice(stream: string): void {
    this.#say(appendChannel(this.pool, stream), "")
  }

  #say(channel: string, value: unknown): void {
    if (this.#store.busFile !== undefined || this.#store.bus.has(channel)) this.notes.push([channel, value])
  }
}

/** One part of a verb that cannot be cut: items of one shard. */
export interface Work<Unit, Reply> {
  readonly units: ReadonlyArray<Unit>
  apply(tx: Tx, unit: Unit): Reply
  /** Share of a batch that the unit took; 1 is a full one. */
  cost(unit: Unit, reply: Reply): number
  /** The reply of a unit that failed half way, if the others shall not fail with it (B1). */
  poisoned?(unit: Unit, error: unknown): Reply
}

/** Runs the transactions of one engine: in the order of the calls, with the deadline of each, none of them blocking for long. */
export class Calls {
  readonly #store: Store
  readonly #now: () => number
  readonly #timeout: number
  /** Settles when the write before the next one is through; absent when nobody writes. */
  #tail: Promise<void> | undefined
  #turn: Promise<void> | undefined
  #closed = false

  constructor(store: Store, now: () => number, timeout: number) {
    this.#store = store
    this.#now = now
    this.#timeout = timeout
  }

  close(): void {
    this.#closed = true
  }

  /** A read of one consistent state. Readers never wait for writers (WAL). */
  async read<Result>(pool: string, work: (tx: Tx) => Result): Promise<Result> {
    const result = await this.#transaction("BEGIN", pool, this.#deadline(), work)
    await this.#nextTurn()
    return result
  }

  /** Reads each item; a long list is read in several transactions, so that none holds back a checkpoint (L1) or its thread. */
  async readEach<Item, Result>(pool: string, items: ReadonlyArray<Item>, work: (tx: Tx, item: Item) => Result): Promise<Result[]> {
    const results: Result[] = []
    while (results.length < items.length) {
      const part = await this.read(pool, (tx) => {
        const end = performance.now() + readMs
        const found: Result[] = []
        for (const item of items.slice(results.length, results.length + batchItems)) {
          found.push(work(tx, item))
          if (performance.now() >= end) break
        }
        return found
      })
      results.push(...part)
    }
    return results
  }

  async write<Result>(pool: string, work: (tx: Tx) => Result): Promise<Result> {
    const deadline = this.#deadline()
    const result = await this.#inOrder(() => this.#transaction("BEGIN IMMEDIATE", pool, deadline, work))
    await this.#nextTurn()
    return result
  }

  /** Applies the units in order, in as few transactions as their bounds allow (B2); each transaction has the deadline of a call. */
  async batch<Unit, Reply>(pool: string, work: Work<Unit, Reply>): Promise<Reply[]> {
    const { units } = work
    const replies: Reply[] = []
    if (units.length === 0) return replies
    await this.#inOrder(async () => {
      for (;;) {
        const rest = replies.length === 0 ? units : units.slice(replies.length)
        const part = (tx: Tx, isolate: boolean): Reply[] => this.#part(tx, rest, work, isolate)
        replies.push(...(await this.#transaction("BEGIN IMMEDIATE", pool, this.#deadline(), part, work.poisoned !== undefined)))
        if (replies.length === units.length) return
        await this.#nextTurn()
      }
    })
    await this.#nextTurn()
    return replies
  }

  #part<Unit, Reply>(tx: Tx, units: ReadonlyArray<Unit>, work: Work<Unit, Reply>, isolate: boolean): Reply[] {
    const replies: Reply[] = []
    const end = performance.now() + batchMs
    let cost = 0
    for (const unit of units) {
      const reply = isolate ? this.#isolated(tx, unit, work) : work.apply(tx, unit)
      replies.push(reply)
      cost += work.cost(unit, reply)
      if (cost >= 1 || performance.now() >= end) break
    }
    return replies
  }

  #isolated<Unit, Reply>(tx: Tx, unit: Unit, work: Work<Unit, Reply>): Reply {
    const said = tx.notes.length
    tx.run("SAVEPOINT unit")
    try {
      const reply = work.apply(tx, unit)
      tx.run("RELEASE unit")
      return reply
    } catch (error) {
      // SQLite itself rolls everything back on some errors: then there is nothing left to save.
      if (work.poisoned === undefined || isWholeStore(error) || !this.#store.inTransaction) throw error
      tx.run("ROLLBACK TO unit")
      tx.run("RELEASE unit")
      tx.notes.length = said
      return work.poisoned(unit, error)
    }
  }

  /**
   * When `work` throws and `isolates` is set, it runs a second time with `isolate`: savepoints cost 4 µs a group, so that they are only
   * set once something has failed. It must have no effects outside of the transaction.
   */
  async #transaction<Result>(
    begin: Begin,
    pool: string,
    deadline: number,
    work: (tx: Tx, isolate: boolean) => Result,
    isolates = false,
  ): Promise<Result> {
    let isolate = false
    for (;;) {
      if (this.#closed) throw closedFault(this.#store.url)
      try {
        return this.#attempt(begin, pool, (tx) => work(tx, isolate))
      } catch (error) {
        if (isBusy(error)) {
          if (performance.now() >= deadline) throw this.#busy(error)
        } else if (!isolates || isolate || isWholeStore(error)) {
          throw toFault(this.#store.url, error)
        } else {
          isolate = true
          continue
        }
      }
      // Of different length, so that processes which wait for the same lock do not meet again and again.
      await new Promise((resolve) => setTimeout(resolve, 1 + Math.random() * 2))
    }
  }

  /** From begin to commit in one turn: no other call on this connection comes between. */
  #attempt<Result>(begin: Begin, pool: string, work: (tx: Tx) => Result): Result {
    const store = this.#store
    store.run(begin)
    try {
      const tx = new Tx(store, pool, this.#now(), begin !== "BEGIN")
      const result = work(tx)
      if (tx.notes.length > 0) store.busFile?.write(tx.notes)
      store.run("COMMIT")
      store.busFile?.stir()
      if (begin === "BEGIN IMMEDIATE") store.committed()
      store.bus.deliverSoon(tx.notes)
      return result
    } catch (error) {
      if (store.inTransaction) store.run("ROLLBACK")
      throw error
    }
  }

  #busy(error: unknown): Error {
    const { url, path } = this.#store
    return busyFor(url, this.#timeout, error, path === undefined ? undefined : writerOf(path))
  }

  #deadline(): number {
    return performance.now() + this.#timeout
  }

  /** Writes of one engine take effect in the order of the calls, as on one connection to a server. */
  async #inOrder<Result>(work: () => Promise<Result>): Promise<Result> {
    const before = this.#tail
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#tail = promise
    try {
      if (before !== undefined) await before
      return await work()
    } finally {
      if (this.#tail === promise) this.#tail = undefined
      resolve()
    }
  }

  /** Every call ends in a later turn of the event loop, as with a server: a loop of calls must not starve timers and sockets. */
  #nextTurn(): Promise<void> {
    this.#turn ??= new Promise((resolve) => {
      setImmediate(() => {
        this.#turn = undefined
        resolve()
      })
    })
    return this.#turn
  }
}
