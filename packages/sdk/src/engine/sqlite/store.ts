import { DatabaseSync } from "node:sqlite"
import type { SQLInputValue, StatementSync } from "node:sqlite"
import { setTimeout as sleep } from "node:timers/promises"
import { BadOption, StoreUnsupported } from "../../errors.ts"
import { Bus } from "./bus.ts"
import { BusFile } from "./bus-file.ts"
import { busyFor, isBusy, isNotDatabase, toFault } from "./faults.ts"
import { checkFile, parseLocation } from "./location.ts"
import { migrate } from "./schema.ts"
import { Wal, walLimit, walPages } from "./wal.ts"
import { writerOf } from "./write-lock.ts"

/**
 * How long SQLite itself may wait for a lock, ms: it blocks the event loop, so that this only covers the common case of
 * another process's transaction of a millisecond or two. After it the wait goes on without blocking (`calls.ts`).
 */
const busyTimeout = 2
const cacheKiB = 16 * 1024

/** An open database with its prepared statements and its bus. Several engines share the one of a named `memory:` store. */
export class Store {
  readonly url: string
  /** Of a file: where the lives of its processes stand beside it. */
  readonly path: string | undefined
  readonly bus: Bus
  /** The bus between processes; absent in memory. */
  readonly busFile: BusFile | undefined
  readonly #wal: Wal | undefined
  readonly #db: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()
  readonly #onClose: () => void
  #users = 1

  /** `path`: of a file, which other processes may share. */
  constructor(url: string, db: DatabaseSync, path: string | undefined, warn: (text: string) => void, onClose: () => void) {
    this.url = url
    this.path = path
    this.bus = new Bus()
    this.#db = db
    this.#onClose = onClose
    this.#wal = path === undefined ? undefined : new Wal(path, warn)
    this.busFile = path !== undefined ? new BusFile(this, this.bus) : undefined
  }

  get inTransaction(): boolean {
    return this.#db.isTransaction
  }

  /** Prepares each text once: the texts are the constants of the verbs, so that there is a bounded number of them. */
  statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql)
    if (statement === undefined) {
      statement = this.#db.prepare(sql)
      this.#statements.set(sql, statement)
    }
    return statement
  }

  run(sql: string, ...values: SQLInputValue[]): number {
    return Number(this.statement(sql).run(...values).changes)
  }

  /** Another one when another connection has committed. Throws as SQLite does. */
  dataVersion(): number {
    return Number(this.statement("PRAGMA data_version").get()?.["data_version"])
  }

  /** After each transaction that wrote. */
  committed(): void {
    this.#wal?.look(() => this.#emptyWal())
  }

  /** What copies much holds no lock against writers; only when all is copied comes the one that keeps them out, and has little to do. */
  #emptyWal(): void {
    const copied = this.#db.prepare("PRAGMA wal_checkpoint(PASSIVE)").get()
    if (copied?.["log"] === copied?.["checkpointed"]) this.#db.exec("PRAGMA wal_checkpoint(TRUNCATE)")
  }

  join(): this {
    this.#users++
    return this
  }

  /** Closes the database with its last engine. */
  leave(): void {
    if (--this.#users > 0) return
    this.#onClose()
    this.busFile?.close()
    this.bus.clear()
    this.#statements.clear()
    this.#db.close()
  }
}

/** Named stores of this process; one is dropped when the last engine on it closes. */
const named = new Map<string, Store>()

const openMemory = (url: string, name: string | undefined): Store => {
  const known = name === undefined ? undefined : named.get(name)
  if (known !== undefined) return known.join()
  const db = new DatabaseSync(":memory:")
  migrate(db, url)
  const store = new Store(
    url,
    db,
    undefined,
    () => {},
    () => {
      if (name !== undefined) named.delete(name)
    },
  )
  if (name !== undefined) named.set(name, store)
  return store
}

const configure = (db: DatabaseSync, url: string): void => {
  db.exec(`PRAGMA busy_timeout = ${busyTimeout}`)
  const mode = db.prepare("PRAGMA journal_mode = WAL").get()?.["journal_mode"]
  if (mode !== "wal") {
    throw new StoreUnsupported(
      `expected ${url} to take WAL mode, got: ${String(mode)}. Its file system lacks shared memory; put the store on a local disk.`,
      { url, mode },
    )
  }
  db.exec(`
    PRAGMA synchronous = NORMAL;
    PRAGMA journal_size_limit = ${walLimit};
    PRAGMA wal_autocheckpoint = ${walPages};
    PRAGMA cache_size = -${cacheKiB};
  `)
  migrate(db, url)
}

const toOpenFault = (url: string, error: unknown): Error =>
  isNotDatabase(error)
    ? new BadOption(
        `expected ${url} to be a Ponos store or a file that does not exist yet, got: a file that is no SQLite database. Name another file.`,
        { option: "url", url },
        error,
      )
    : toFault(url, error)

/** While another process makes the tables or holds the file for a moment, opening waits. */
const openFile = async (url: string, path: string, timeout: number, warn: (text: string) => void): Promise<Store> => {
  checkFile(url, path)
  const deadline = performance.now() + timeout
  for (;;) {
    let db: DatabaseSync | undefined
    try {
      db = new DatabaseSync(path)
      configure(db, url)
      return new Store(url, db, path, warn, () => {})
    } catch (error) {
      db?.close()
      if (!isBusy(error)) throw toOpenFault(url, error)
      if (performance.now() > deadline) throw busyFor(url, timeout, error, writerOf(path))
    }
    await sleep(5)
  }
}

/** `warn`: of a file. */
export const openStore = async (url: string, timeout: number, warn: (text: string) => void): Promise<Store> => {
  const location = parseLocation(url)
  return location.type === "memory" ? openMemory(url, location.name) : await openFile(url, location.path, timeout, warn)
}
