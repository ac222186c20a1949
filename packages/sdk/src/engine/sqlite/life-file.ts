/**
 * How other processes of a `file:` store see that one is gone (S9): each session has a database file of its own beside the store, held with
 * `locking_mode=EXCLUSIVE` and `BEGIN EXCLUSIVE`. The kernel drops the lock with the process, however it dies; a frozen one keeps it.
 *
 * - The file is empty and stays so: the lock is all of it. Measured: a probe costs 0.1 ms, and sees a kill -9 within milliseconds.
 * - A POSIX lock is the process's: any open and close of the file in the holder, by other means than SQLite, would drop it. So the holder
 *   never opens it again (`stat` does not), and its own sessions are known without a look. A program that opens it all the same (a
 *   backup of the folder made inside of a worker) ends that session; the overlap is bounded as after a false close in lives.ts: its
 *   writes are refused from the first claim on, and its next renewal answers "dead".
 * - A probe opens without creating, and compares device and inode with the sign before and after: a file that is missing or another one is
 *   `unknown`, so that the counter decides.
 * - Its mtime, in whole seconds since 1970, counts the session's renewals (every file system keeps whole seconds). `utimes` by path opens
 *   nothing, so that it drops no lock, and it waits for nobody: a writer of the main file that is frozen inside of its transaction stops
 *   no renewal. How a renewal and a mark meet is in members.ts. ctime is when that last happened, and tells how old a leftover is.
 */
import { readdirSync, rmSync, statSync, utimesSync } from "node:fs"
import { basename, dirname, join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import type { Probe } from "../engine.ts"
import { isBusy } from "./faults.ts"

/** A file without a holder that is younger than this may be one that is about to be locked. */
const leftoverMs = 60_000

const suffix = ".life"
export const lifePath = (store: string, session: string): string => `${store}.${encodeURIComponent(session)}${suffix}`

/** Device and inode: the same name may be another file. */
const identityOf = (path: string): string | undefined => {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false })
  return stat === undefined ? undefined : `${stat.dev}:${stat.ino}`
}

const setCounter = (path: string, counter: number): void => utimesSync(path, Date.now() / 1_000, counter)
const counterAt = (path: string): number | undefined => {
  const stat = statSync(path, { throwIfNoEntry: false })
  return stat === undefined ? undefined : Math.floor(stat.mtimeMs / 1_000)
}

/** Renewals that the session's file has counted; 0 without a file. */
export const renewalsOf = (store: string, session: string): number => counterAt(lifePath(store, session)) ?? 0

/** Counts a renewal; false when it cannot: then it has to be counted elsewhere. Only the process of the session may call it. */
export const countRenewal = (store: string, session: string): boolean => {
  const path = lifePath(store, session)
  try {
    const counter = counterAt(path)
    if (counter === undefined) return false
    setCounter(path, counter + 1)
    return true
  } catch {
    return false
  }
}

/** What this thread holds, over all engines: kept here so that nothing closes it before its time. Other threads meet SQLite's own lock. */
const held = new Map<string, DatabaseSync>()

export interface HeldLife {
  readonly sign: string
  /** Removes the file. */
  end(): void
}

/** Throws as SQLite and the file system do. */
export const holdLife = (store: string, session: string): HeldLife => {
  const path = lifePath(store, session)
  const db = new DatabaseSync(path)
  try {
    // In memory, since node's SQLite refuses to go without: a journal file would stand beside each life.
    db.exec("PRAGMA busy_timeout = 0; PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE")
    setCounter(path, 0)
    if (counterAt(path) !== 0) throw new Error("its file system does not keep the time of a file that it is told")
  } catch (error) {
    db.close()
    throw error
  }
  held.set(path, db)
  return {
    sign: `file=${identityOf(path) ?? ""} session=${session}`,
    end: () => {
      if (held.get(path) !== db) return
      held.delete(path)
      // Before the lock: a probe then finds no file, or the lock, but never a free file of a living process.
      rmSync(path, { force: true })
      db.close()
    },
  }
}

/** Whether somebody holds the file; `undefined` when it cannot be told. */
const isHeld = (path: string): boolean | undefined => {
  if (held.has(path)) return true
  let db: DatabaseSync | undefined
  try {
    // Read-only never creates. A reader's lock is enough to meet the holder's, and stands in nobody's way.
    db = new DatabaseSync(path, { readOnly: true })
    db.exec("PRAGMA busy_timeout = 0")
    db.prepare("SELECT count(*) FROM sqlite_schema").get()
    return false
  } catch (error) {
    return isBusy(error) ? true : undefined
  } finally {
    db?.close()
  }
}

export const probeLife = (store: string, sign: string): Probe => {
  const [, identity, session] = /^file=(\S+) session=(.+)$/.exec(sign) ?? []
  if (identity === undefined || session === undefined) return "unknown"
  const path = lifePath(store, session)
  if (identityOf(path) !== identity) return "unknown"
  const found = isHeld(path)
  if (found === undefined || identityOf(path) !== identity) return "unknown"
  return found ? "alive" : "dead"
}

/** After the session was marked dead. A frozen holder keeps its lock on a file that has no name any more. */
export const removeLife = (store: string, session: string): void => {
  const path = lifePath(store, session)
  // Held by this very process: it ends it itself.
  if (!held.has(path)) rmSync(path, { force: true })
}

/** Removes what sessions left that nobody marked dead: those of the last worker, or of all at a power failure. */
export const removeLeftovers = (store: string, now = Date.now()): void => {
  const folder = dirname(store)
  const prefix = `${basename(store)}.`
  for (const name of readdirSync(folder)) {
    if (!name.startsWith(prefix) || !name.endsWith(suffix)) continue
    const path = join(folder, name)
    const stat = statSync(path, { throwIfNoEntry: false })
    if (stat !== undefined && now - stat.ctimeMs > leftoverMs && isHeld(path) === false) rmSync(path, { force: true })
  }
}
