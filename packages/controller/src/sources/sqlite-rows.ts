import { DatabaseSync } from "node:sqlite"
import { setImmediate as turn } from "node:timers/promises"
import { BadOption } from "@ponos/sdk"
import { toPath } from "./file.ts"
import type { Source, SourceRow } from "./source.ts"

/** A row as SQLite gives it. */
export type SqliteRow = Readonly<Record<string, string | number | bigint | Uint8Array | null>>

/** How long to wait for a writer of the table, ms. */
const busyTimeoutMs = 5_000
/** Rows between two turns of the event loop: some milliseconds. */
const rowsPerTurn = 500

/** By column name. NULL is an absent field: a field that may be `null` needs a `map`. */
const byColumn = (row: SqliteRow): unknown => {
  const value: Record<string, unknown> = {}
  for (const [name, column] of Object.entries(row)) if (column !== null) value[name] = column
  return value
}

async function* read(path: string, sql: string, map: (row: SqliteRow) => unknown): AsyncGenerator<SourceRow> {
  const db = new DatabaseSync(path, { readOnly: true, timeout: busyTimeoutMs })
  try {
    let number = 0
    for (const row of db.prepare(sql).iterate()) {
      const position = `row ${++number}`
      let value: unknown
      try {
        value = map(row as SqliteRow)
      } catch (error) {
        yield {
          position,
          value: row,
          error: new Error(`the map of sqliteRows threw: ${error instanceof Error ? error.message : String(error)}`),
        }
        continue
      }
      yield { position, value }
      if (number % rowsPerTurn === 0) await turn()
    }
  } finally {
    db.close()
  }
}

/**
 * The rows of a query on a SQLite file, opened read-only for each pass and read as a stream. Columns are fields of the input by name, or use
 * `map`, for example for booleans and dates, which SQLite does not have.
 */
export const sqliteRows = <I = any>(file: string | URL, sql: string, map?: (row: SqliteRow) => I): Source<I> => {
  const path = toPath(file, "sqliteRows")
  if (typeof sql !== "string" || sql.trim() === "")
    throw new BadOption(`expected the second argument of sqliteRows to be an SQL query, got: ${JSON.stringify(sql)}`, {
      where: "sqliteRows",
    })
  return { _tag: "Source", name: `table in ${path}`, rows: () => read(path, sql, map ?? byColumn) }
}
