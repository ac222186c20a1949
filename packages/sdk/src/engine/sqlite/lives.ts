/** Lives and counters of sessions over both of their places: the file of each (life-file.ts), and its row (members.ts, where the steps are numbered). */
import type { LifeHandle, MarkReply, Probe, RenewReply } from "../engine.ts"
import type { Calls, Tx } from "./calls.ts"
import { countRenewal, holdLife, probeLife, removeLeftovers, removeLife, renewalsOf, type HeldLife } from "./life-file.ts"
import * as members from "./members.ts"
import type { Mark, RenewalsOf } from "./members.ts"
import type { Store } from "./store.ts"
import { freeWriteLock } from "./write-lock.ts"

export class Lives {
  readonly #store: Store
  readonly #calls: Calls
  readonly #warn: (text: string) => void
  readonly #renewalsOf: RenewalsOf
  readonly #held = new Set<HeldLife>()

  constructor(store: Store, calls: Calls, warn: (text: string) => void) {
    this.#store = store
    this.#calls = calls
    this.#warn = warn
    const { path } = store
    this.#renewalsOf = path === undefined ? () => 0 : (session) => renewalsOf(path, session)
  }

  close(): void {
    for (const life of this.#held) life.end()
    this.#held.clear()
  }

  register(session: string): LifeHandle {
    const { path } = this.#store
    // A store in memory has one process: when it dies, nobody is left to look.
    if (path === undefined) return { life: { sign: "", left: "all" }, end: async () => {} }
    try {
      removeLeftovers(path)
      const held = holdLife(path, session)
      this.#held.add(held)
      const end = async (): Promise<void> => {
        this.#held.delete(held)
        held.end()
      }
      return { life: { sign: held.sign, left: "all" }, end }
    } catch (error) {
      const why = `no lock file could be made beside ${this.#store.url} (${error instanceof Error ? error.message : String(error)})`
      return { life: { sign: "", left: "all", why }, end: async () => {} }
    }
  }

  /** In a file it writes nothing unless somebody is about to mark the session dead: no other writer can hold it up (S9). */
  async renew(pool: string, session: string | undefined): Promise<RenewReply> {
    const { path } = this.#store
    const read = (tx: Tx) => members.readRenewal(tx, session, this.#renewalsOf)
    const write = (change: (tx: Tx, session: string) => void, of: string) =>
      this.#calls.write(pool, (tx) => {
        change(tx, of)
        return read(tx).reply
      })
    if (session !== undefined && !(path !== undefined && countRenewal(path, session))) return await write(members.countInRow, session)
    const { reply, suspect } = await this.#calls.read(pool, read)
    return suspect && session !== undefined ? await write(members.clearSuspect, session) : reply
  }

  async markDead(pool: string, mark: Mark): Promise<MarkReply> {
    const { path } = this.#store
    const { session, record } = mark
    const end = path === undefined || record !== undefined ? undefined : this.#freeWriteLock(path, session)
    try {
      const found = await this.#calls.write(pool, (tx) => members.suspectMember(tx, mark, this.#renewalsOf))
      const reply = found === "suspect" ? await this.#calls.write(pool, (tx) => members.markDead(tx, mark, this.#renewalsOf)) : found
      if (reply !== "refused" && path !== undefined) removeLife(path, session)
      return reply
    } finally {
      end?.()
    }
  }

  #freeWriteLock(path: string, session: string): () => void {
    const version = (): number | undefined => {
      try {
        return this.#store.dataVersion()
      } catch {
        return undefined
      }
    }
    return freeWriteLock({ store: path, session, version, tell: this.#warn })
  }

  probe(signs: ReadonlyArray<string>): ReadonlyArray<Probe> {
    const { path } = this.#store
    return signs.map((sign) => (path === undefined ? "unknown" : probeLife(path, sign)))
  }
}
