/**
 * Who holds the write lock of a file. A process that is frozen inside of a write transaction (SIGSTOP, a debugger, a frozen container, a disk that
 * hangs) keeps it, and nobody else can write, not even that its session is dead: measured, 15 of 20 times all other writers stood (S9).
 *
 * SQLite's API does not name the holder; Linux lists the locks of all processes in /proc/locks. The lock is byte 120 of the `-shm` file
 * (https://sqlite.org/walformat.html#wal_locks). Elsewhere, and where the holder is in another PID namespace, it is only reported that
 * the lock is held.
 *
 * A survivor kills the holder if all of this is true:
 * - K1 The session was silent for its lease and the margin: it is being marked dead by counter, and its own trust ended before (L5).
 * - K2 The kernel names one process as the holder of both the write lock and the session's life file. So it is of this kernel and this boot, it is
 *   the process of that session and no other that was given its pid, and no host name, boot id or pid of a record has to be believed.
 * - K3 It was seen so in `looksMin` looks, `lookMs` apart, with one start time, and nobody committed anything in between (`PRAGMA data_version`): it is
 *   one transaction that stands still, where they take milliseconds, and not a process whose other sessions live and write.
 * SIGKILL also ends a stopped process; the kernel then drops its locks, and what it had not committed is not there.
 */
import { readFileSync, statSync } from "node:fs"
import { setInterval } from "node:timers"
import { lifePath } from "./life-file.ts"

const lookMs = 50
const looksMin = 4
/** WAL_WRITE_LOCK, at the 120th byte of the shared-memory file. */
const writeLockByte = 120

/** WAL_READ_LOCK(0) to (4): who holds one shared is reading. */
const readLockBytes = [123, 127] as const

export interface FileLock {
  readonly pid: number
  readonly shared: boolean
  /** As the kernel names it, which on some file systems is not what `stat` says. */
  readonly device: string
  readonly inode: number
  readonly from: number
  readonly to: number
}

/** As `1: POSIX  ADVISORY  WRITE 4711 fe:00:1234 120 120`; who waits for a lock has `->` after the number. */
const lockLine = /^\d+: POSIX +ADVISORY +(READ|WRITE) (\d+) ([\da-f]+:[\da-f]+):(\d+) (\d+) (\d+|EOF)$/

/** The locks that are held. */
export const parseLocks = (text: string): ReadonlyArray<FileLock> =>
  text.split("\n").flatMap((line) => {
    const [, type, pid, device = "", inode, from, to] = lockLine.exec(line) ?? []
    if (pid === undefined) return []
    return [
      {
        pid: Number(pid),
        shared: type === "READ",
        device,
        inode: Number(inode),
        from: Number(from),
        to: to === "EOF" ? Number.POSITIVE_INFINITY : Number(to),
      },
    ]
  })

const isWriteLock = (lock: FileLock, shm: number): boolean =>
  !lock.shared && lock.inode === shm && lock.from <= writeLockByte && lock.to >= writeLockByte

/** K2. `shm`, `life`: inodes. */
export const stuckHolder = (locks: ReadonlyArray<FileLock>, shm: number, life: number): number | undefined => {
  const writer = locks.find((lock) => isWriteLock(lock, shm))
  if (writer === undefined || writer.pid <= 0) return undefined
  const same = locks.some((lock) => !lock.shared && lock.inode === life && lock.pid === writer.pid && lock.device === writer.device)
  return same ? writer.pid : undefined
}

/** Where there is no list of locks it is empty. */
const readLocks = (): ReadonlyArray<FileLock> => {
  try {
    return parseLocks(readFileSync("/proc/locks", "utf8"))
  } catch {
    return []
  }
}

/** In clock ticks since boot: tells two processes with one pid apart. */
const startOf = (pid: number): string | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    // The name of the program comes second, in parentheses, and may hold anything.
    return stat
      .slice(stat.lastIndexOf(")") + 2)
      .split(" ")
      .at(19)
  } catch {
    return undefined
  }
}

const inodeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.ino ?? -1
const shmOf = (store: string): number => inodeOf(`${store}-shm`)

/** For messages. */
export const writerOf = (store: string): number | undefined => {
  const shm = shmOf(store)
  const pid = readLocks().find((lock) => isWriteLock(lock, shm))?.pid
  return pid === undefined || pid <= 0 ? undefined : pid
}

/** Those that read at this moment, for messages. */
export const readersOf = (store: string): ReadonlyArray<number> => {
  const shm = shmOf(store)
  const [from, to] = readLockBytes
  const reads = readLocks().filter((lock) => lock.shared && lock.inode === shm && lock.from <= to && lock.to >= from && lock.pid > 0)
  return [...new Set(reads.map(({ pid }) => pid))]
}

/** Who is seen to hold the lock (K2), and the version of what is committed. */
export interface Sight {
  readonly pid: number
  readonly start: string
  readonly version: number
}
export type Seen = Sight & { readonly looks: number }

/** K3: how often in a row the same was seen. */
export const lookAgain = (seen: Seen | undefined, sight: Sight): Seen => {
  const same = seen?.pid === sight.pid && seen.start === sight.start && seen.version === sight.version
  return { ...sight, looks: same ? seen.looks + 1 : 1 }
}
export const isStuck = (seen: Seen): boolean => seen.looks >= looksMin

const killHolder = (pid: number, held: string, tell: (text: string) => void): void => {
  try {
    process.kill(pid, "SIGKILL")
    tell(`${held}: it was killed, so that others can write. Look for what froze it (SIGSTOP, a debugger, a hanging disk).`)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    tell(`${held}, and may not be killed by this process (${why}): until it is ended or goes on nobody can write. End it.`)
  }
}

export interface MarkInWay {
  readonly store: string
  readonly session: string
  /** `PRAGMA data_version`; `undefined` when it cannot be read now. */
  readonly version: () => number | undefined
  readonly tell: (text: string) => void
}

/** While a session is being marked dead by counter (K1). Returns what ends it: the mark came through, or failed. */
export const freeWriteLock = ({ store, session, version, tell }: MarkInWay): (() => void) => {
  let seen: Seen | undefined
  const sight = (): Sight | undefined => {
    const pid = stuckHolder(readLocks(), shmOf(store), inodeOf(lifePath(store, session)))
    if (pid === undefined || pid === process.pid) return undefined
    const [start, committed] = [startOf(pid), version()]
    return start === undefined || committed === undefined ? undefined : { pid, start, version: committed }
  }
  const look = (): void => {
    const found = sight()
    seen = found === undefined ? undefined : lookAgain(seen, found)
    if (seen === undefined || !isStuck(seen)) return
    clearInterval(timer)
    killHolder(
      seen.pid,
      `process ${seen.pid} holds the write lock of file:${store} and its session ${session} is dead by its counter`,
      tell,
    )
  }
  const timer = setInterval(look, lookMs)
  return () => clearInterval(timer)
}
