/** What Redis and its connection can answer, told apart by what helps. */
import { BadOption, PonosError, StoreFault, StoreUnavailable } from "../../errors.ts"

/** The connection ended, or did not answer in time: outcome unknown, repeat on a new one (B4). */
export class ConnectionLost extends Error {}

/** Refusals that pass: on a replica after a failover, while loading, at maxmemory (B3) … Repeated until the deadline. */
const passing = /^(LOADING|READONLY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|MOVED|ASK|BUSY|NOREPLICAS|MISCONF|OOM)\b/
/** Those after which another server may answer, at the same address or at the one that is found now. */
const elsewhere = /^(READONLY|MASTERDOWN|LOADING|MOVED)\b/
const login = /^(WRONGPASS|NOAUTH|NOPERM)\b|invalid username-password|AUTH.*without any password/i

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

export const isPassing = (error: unknown): boolean => error instanceof ConnectionLost || passing.test(textOf(error))
export const isElsewhere = (error: unknown): boolean => elsewhere.test(textOf(error))
export const isDown = (error: unknown): boolean => textOf(error).startsWith("CLUSTERDOWN")
export const isNoScript = (error: unknown): boolean => textOf(error).startsWith("NOSCRIPT")

/** Where a cluster says that a slot is: for good (MOVED), or for this one call while the slot is on its way (ASK). */
export interface Redirect {
  readonly asking: boolean
  readonly slot: number
  /** "" where the server means the host that was asked. */
  readonly host: string
  readonly port: number
}
export function redirectOf(error: unknown): Redirect | undefined {
  const [, word, slot, host = "", port] = /^(MOVED|ASK) (\d+) (.*):(\d+)/.exec(textOf(error)) ?? []
  if (word === undefined) return undefined
  return { asking: word === "ASK", slot: Number(slot), host: host === "?" ? "" : host, port: Number(port) }
}

/** ioredis hangs the command with its arguments, AUTH's too, on its errors: only the text goes on. */
const bare = (error: unknown): Error => new Error(textOf(error))

/** What to do, by what was said. */
function remedy(text: string): string {
  if (text.startsWith("OOM")) return "Redis is at its maxmemory: raise it, or let workers end and trim runs."
  if (text.startsWith("READONLY")) return "This is a replica: name the primary in the store URL."
  if (text.startsWith("CLUSTERDOWN")) return "The cluster has slots that no primary serves: look at CLUSTER INFO and CLUSTER NODES."
  if (text.startsWith("LOADING")) return "Redis is still loading its data: wait."
  if (/RESP type|Protocol error/i.test(text))
    return "What answers there does not speak the protocol of Redis: check host and port in the store URL."
  if (text.startsWith("MISCONF")) return "Redis cannot save to disk and refuses writes: look at its log."
  return "Check that Redis runs there, that the address is right and that nothing between blocks it."
}

export function unavailable(shown: string, ms: number, error: unknown): PonosError {
  const text = textOf(error)
  const message = `${shown} gave no answer within ${Math.round(ms)} ms (${text}). The outcome is unknown and repeating is safe. ${remedy(text)}`
  return new StoreUnavailable(message, { store: shown, ms }, bare(error))
}

export function unreachable(shown: string, ms: number, error: unknown): PonosError {
  const text = textOf(error)
  return new StoreUnavailable(
    `${shown} could not be reached within ${Math.round(ms)} ms (${text}). ${remedy(text)}`,
    { store: shown, ms },
    bare(error),
  )
}

export const closedFault = (shown: string): PonosError => new StoreUnavailable(`${shown}: this engine was closed.`, { store: shown })

/** For all other answers of Redis. */
export function toFault(shown: string, error: unknown): PonosError {
  if (error instanceof PonosError) return error
  const text = textOf(error)
  if (login.test(text)) {
    return new BadOption(
      `${shown} refused the login (${text}). Check user and password in the store URL, and the user's rights.`,
      { store: shown },
      bare(error),
    )
  }
  if (text.includes("SELECT is not allowed in cluster mode"))
    return new BadOption(`expected the store URL to end without a database number, because a Redis Cluster has only one, got: ${shown}`, {
      store: shown,
    })
  if (/DB index/i.test(text))
    return new BadOption(
      `expected the store URL to end with the number of a database that Redis has (16 of them, 0 to 15, by default), got: ${shown}`,
      { store: shown },
      bare(error),
    )
  return new StoreFault(`${shown} answered: ${text}. This is a bug of Ponos or a damaged store.`, { store: shown }, bare(error))
}
