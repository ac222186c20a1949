/** The servers of a store, for what is above: calls go to who serves their first key. One server, or a cluster (cluster.ts). */
import type { Link } from "./link.ts"
import type { Script } from "./scripts.ts"

/** What a verb needs: all keys of a call, and the first argument of a command, name the slot. */
export interface Caller {
  run(script: Script, keys: ReadonlyArray<string>, args: ReadonlyArray<string>): Promise<unknown>
  command(name: string, args: ReadonlyArray<string>): Promise<unknown>
}

export interface Servers extends Caller {
  /** Calls may not span slots. */
  readonly cluster: boolean
  /** Where the key's calls go now; undefined: nowhere, as far as is known. */
  linkOf(key: string): Link | undefined
  /** The name of who has the key now, "" where nobody is known to. */
  serverOf(key: string): string
  /** Told of each link, those that are there and those that come, before its first connection is in use. */
  onLink(listener: (link: Link) => void): void
  /** Told when keys may have moved to other links. */
  onMoved(listener: () => void): void
  /** A server says that something is not where it was thought to be. */
  refresh(): void
  close(): void
}

export const single = (link: Link): Servers => ({
  cluster: false,
  run: (script, keys, args) => link.run(script, keys, args),
  command: (name, args) => link.command(name, args),
  linkOf: () => link,
  serverOf: () => "",
  onLink: (listener) => listener(link),
  onMoved: () => {},
  refresh: () => {},
  close: () => link.close(),
})
