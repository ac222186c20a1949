import { PonosError, StoreFault, StoreUnavailable } from "../../errors.ts"

/** Primary result codes of SQLite (https://sqlite.org/rescode.html) that are told apart here. */
const BUSY = 5
const LOCKED = 6
const NOMEM = 7
const READONLY = 8
const IOERR = 10
const CORRUPT = 11
const FULL = 13
const CANTOPEN = 14
const NOTADB = 26

/** Whether an error is already one of ours, also of a duplicate install (errors compare by `_tag`). */
export const isPonos = (error: unknown): error is PonosError => error instanceof Error && "_tag" in error && "fate" in error

/** The primary result code of an error of SQLite; undefined for any other error. */
const codeOf = (error: unknown): number | undefined =>
  error instanceof Error && "errcode" in error && typeof error.errcode === "number" ? error.errcode & 0xff : undefined

/** Another process holds the lock: the transaction did not begin, and may be tried again. */
export const isBusy = (error: unknown): boolean => {
  const code = codeOf(error)
  return code === BUSY || code === LOCKED
}

export const isNotDatabase = (error: unknown): boolean => codeOf(error) === NOTADB

/** The file as a whole failed, not the rows of one group: nothing is gained by trying the groups one by one (B1). */
export const isWholeStore = (error: unknown): boolean => {
  const code = codeOf(error)
  return code !== undefined && [BUSY, LOCKED, NOMEM, READONLY, IOERR, FULL, CANTOPEN, NOTADB].includes(code)
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

const hints: Readonly<Record<number, string>> = {
  [FULL]: "The disk is full: free some space; the call may then be repeated.",
  [IOERR]: "The disk or the file system failed: look at the system's log. The call may be repeated.",
  [CANTOPEN]: "The file or its -wal and -shm companions cannot be opened: check that folder and file still exist and may be written.",
  [NOMEM]: "The process is out of memory. The call may be repeated.",
}

/** What a failed call throws: `StoreUnavailable` when repeating it may help, else `StoreFault` (E3). */
export const toFault = (url: string, error: unknown): PonosError => {
  if (isPonos(error)) return error
  const code = codeOf(error)
  const details = { url, ...(code === undefined ? {} : { sqlite: code }) }
  const hint = code === undefined ? undefined : hints[code]
  if (hint !== undefined) return new StoreUnavailable(`${url}: ${textOf(error)}. ${hint}`, details, error)
  if (code === READONLY) return new StoreFault(`${url} became read-only: make the file and its folder writable.`, details, error)
  if (code === CORRUPT)
    return new StoreFault(`${url} is damaged (${textOf(error)}): stop the workers and restore a backup.`, details, error)
  return new StoreFault(`${url}: ${textOf(error)}. This is a bug of Ponos or a damaged store.`, details, error)
}

/** `pid`: who holds the lock, if it is known. */
export const busyFor = (url: string, ms: number, error: unknown, pid: number | undefined): PonosError =>
  new StoreUnavailable(
    `${url}: ${pid === undefined ? "another process" : `process ${pid}`} held the write lock for ${ms} ms, the whole deadline of the call. ` +
      "Repeating it is safe. Look for a suspended process or another program that has this file open.",
    { url, ms, ...(pid === undefined ? {} : { pid }) },
    error,
  )

export const closedFault = (url: string): PonosError => new StoreUnavailable(`${url}: this engine was closed.`, { url })
