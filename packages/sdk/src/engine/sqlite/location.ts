import { accessSync, constants, statSync, statfsSync } from "node:fs"
import { dirname, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { BadOption, StoreUnavailable, StoreUnsupported } from "../../errors.ts"

export type Location =
  | { readonly type: "file"; readonly path: string }
  /** Without a name: a store of its own for each call. */
  | { readonly type: "memory"; readonly name: string | undefined }

const badUrl = (url: string, what: string): Error =>
  new BadOption(`expected store to be "file:<path>", "memory:" or "memory:<name>", got: ${JSON.stringify(url)} (${what})`, {
    option: "url",
    url,
  })

const pathOf = (url: string): string => {
  if (!url.startsWith("file://")) return resolve(url.slice("file:".length))
  try {
    return fileURLToPath(url)
  } catch (error) {
    throw badUrl(url, `${error instanceof Error ? error.message : String(error)}; a relative path is written file:./ponos.db`)
  }
}

export const parseLocation = (url: string): Location => {
  if (url.startsWith("memory:")) return { type: "memory", name: url.slice("memory:".length) || undefined }
  if (!url.startsWith("file:")) throw badUrl(url, "another scheme")
  if (url === "file:" || url.endsWith("/")) throw badUrl(url, "the name of the file is missing")
  if (url.includes("\0")) throw badUrl(url, "a path has no NUL")
  return { type: "file", path: pathOf(url) }
}

/**
 * Types of file systems that several hosts may share, as statfs(2) tells them on Linux: their locks and shared memory do not hold what WAL
 * needs (S9). 9p is also how a virtual machine or WSL 2 sees its host's folders.
 */
const sharedTypes = new Map([
  [0x6969, "NFS"],
  [0x517b, "SMB"],
  [0xff534d42, "CIFS"],
  [0xfe534d42, "SMB2"],
  [0x5346414f, "AFS"],
  [0x6b414653, "AFS"],
  [0x00c36400, "Ceph"],
  [0x0bd00bd0, "Lustre"],
  [0x47504653, "GPFS"],
  [0x19830326, "BeeGFS"],
  [0x7461636f, "OCFS2"],
  [0x01161970, "GFS2"],
  [0x01021997, "9p"],
])

/** `type`: of `statfs`, which node gives as a signed or an unsigned number. `undefined`: a disk of this host, as far as can be told. */
export const sharedFileSystem = (type: number): string | undefined => sharedTypes.get(type >>> 0)

const statOf = (path: string): ReturnType<typeof statSync> => statSync(path, { throwIfNoEntry: false })

const writable = (path: string, mode: number): boolean => {
  try {
    accessSync(path, mode)
    return true
  } catch {
    return false
  }
}

/** Finds out before SQLite does why a file cannot be opened: SQLite has one message ("unable to open database file") for all of it. */
export const checkFile = (url: string, path: string): void => {
  const folder = dirname(path)
  const details = { option: "url", url, path }
  const parent = statOf(folder)
  if (parent === undefined) {
    throw new BadOption(`expected the folder of ${url} to exist, got: no folder ${folder}. Create it first (mkdir -p).`, details)
  }
  if (!parent.isDirectory()) throw new BadOption(`expected the folder of ${url} to be a folder, got: the file ${folder}.`, details)
  const file = statOf(path)
  if (file?.isDirectory())
    throw new BadOption(`expected ${url} to name a file, got: a folder. Add a file name, for example ponos.db.`, details)
  const network = sharedFileSystem(statfsSync(folder).type)
  if (network !== undefined) {
    throw new StoreUnsupported(
      `expected ${url} to be on a local disk, got: ${network}. SQLite's locks do not hold there; use a local path, or Redis.`,
      { ...details, fileSystem: network },
    )
  }
  if (!writable(folder, constants.W_OK | constants.X_OK)) {
    throw new StoreUnavailable(
      `expected the folder of ${url} to be writable, got: ${folder} is not, for this user. SQLite keeps a -wal and a -shm file beside the store.`,
      details,
    )
  }
  if (file !== undefined && !writable(path, constants.R_OK | constants.W_OK)) {
    throw new StoreUnavailable(
      `expected ${url} to be readable and writable, got: it is not, for this user. Change its mode or owner.`,
      details,
    )
  }
}
