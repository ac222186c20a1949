/** One connection to Postgres for one pass: opened within limits, always closed, and its failures told in the words of its user. */
import { Socket } from "node:net"
import { BadOption, ModuleUnusable, StoreUnavailable } from "@ponos/sdk"
import type { Client, DatabaseError } from "pg"

/** From the first packet to the end of the log-in, ms. */
const connectTimeoutMs = 5_000
/** For one batch on the server, ms: a sort of the whole table comes before the first one. */
const statementTimeoutMs = 60_000
/** A frozen server and a cut network say nothing: a connection that is silent for longer than any statement may take is given up, ms. */
const silenceMs = statementTimeoutMs + 5_000
/** How long a polite end may take, ms. */
const closeTimeoutMs = 1_000

/**
 * A statement sees one snapshot anyhow; the transaction makes it read-only, and its settings end with it, as a pooler in front of Postgres
 * needs it. A reader that hangs must not hold the snapshot, which would keep Postgres from cleaning up.
 */
const begin =
  `BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET LOCAL statement_timeout = ${statementTimeoutMs}; ` +
  `SET LOCAL idle_in_transaction_session_timeout = ${statementTimeoutMs}`

/** What Postgres says when the query is not at fault: connection, resources, operator, snapshot lost on a replica, idle for too long. */
const interruption = /^(08|53|57|40|25P03)/
const tooSlow = "57014"

export const messageOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error)
  // a name with several addresses gives an AggregateError without a message
  return error.message || ((error as NodeJS.ErrnoException).code ?? error.name)
}

/** What may be shown of an address: no user name and no password. Refuses what is no address. */
export const shownAddress = (connectionString: unknown): string => {
  const refused = (got: string) =>
    new BadOption(
      `expected the first argument of postgresRows to be an address as in postgres://user:password@host:5432/database, got: ${got}`,
      { where: "postgresRows" },
    )
  if (typeof connectionString !== "string") throw refused(typeof connectionString)
  if (!/^postgres(ql)?:\/\//.test(connectionString)) throw refused("a text that does not begin so")
  const url = URL.parse(connectionString)
  // a "/" in a password ends the host early: what follows, up to the "@", would be shown as the database
  if (url === null || url.pathname.includes("@"))
    throw refused("an address that cannot be read (special characters of a password are written as in encodeURIComponent)")
  return `postgres://${url.host}${url.pathname}`
}

/** Loaded when rows are read, so that only who reads from Postgres needs the packages. */
const loadLibrary = async () => {
  try {
    const [pg, cursor] = await Promise.all([import("pg"), import("pg-cursor")])
    return { pg, Cursor: cursor.default }
  } catch (error) {
    throw new ModuleUnusable(
      `expected the packages pg and pg-cursor, with which postgresRows reads, got: ${messageOf(error)}. Run \`npm install pg pg-cursor\`.`,
      { packages: ["pg", "pg-cursor"] },
      error,
    )
  }
}

/** A connection in a read-only transaction. */
export const openConnection = async (connectionString: string, shown: string) => {
  const { pg, Cursor } = await loadLibrary()
  // made here, because a client that waits for an answer cannot end its connection in bounded time itself
  const socket = new Socket()
  const client: Client = new pg.Client({
    connectionString,
    connectionTimeoutMillis: connectTimeoutMs,
    application_name: "ponos-controller",
    stream: () => socket,
  })
  // a lost connection is also the failure of the call that waits for an answer
  client.on("error", () => {})

  const unavailable = (expected: string, error: unknown, remedy: string) =>
    new StoreUnavailable(`expected ${shown} to ${expected}, got: ${messageOf(error)}. ${remedy}`, { source: shown }, error)

  /** The failure of a query: as Postgres words it, or, when the query is not at fault, what happened to the connection. */
  const faultOf = (error: unknown): unknown => {
    const state = error instanceof pg.DatabaseError ? (error as DatabaseError).code : undefined
    if (state !== undefined && !interruption.test(state)) return error
    const remedy =
      state === tooSlow
        ? `A batch of rows may take ${statementTimeoutMs / 1_000} s: give the query an index, or nothing to sort.`
        : "The next pass reads again from the beginning; if this stays, look at the log of Postgres."
    return unavailable("give postgresRows all its rows", error, remedy)
  }

  /** Says good-bye, or cuts the connection of a query that has not ended: the server then ends it and its transaction. */
  const close = async (): Promise<void> => {
    socket.setTimeout(closeTimeoutMs)
    await client.end()
    socket.destroy()
  }

  try {
    await client.connect()
    socket.setTimeout(silenceMs, () => socket.destroy(new Error(`no answer for ${socket.timeout} ms`)))
    await client.query(begin)
  } catch (error) {
    await close()
    throw unavailable(
      `take a connection of postgresRows within ${connectTimeoutMs / 1_000} s`,
      error,
      "Check that Postgres runs there, and that address, user, password and database are right.",
    )
  }
  return { client, Cursor, types: pg.types, faultOf, close }
}
