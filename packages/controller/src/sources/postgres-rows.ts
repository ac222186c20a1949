import { BadOption } from "@ponos/sdk"
import type { CustomTypesConfig } from "pg"
import { messageOf, openConnection, shownAddress } from "./postgres-connection.ts"
import type { Source, SourceRow } from "./source.ts"

/** A row as `pg` gives it: `bigint` and `numeric` are text, `timestamptz` is a Date, `jsonb` is its value. */
export type PostgresRow = Readonly<Record<string, unknown>>

/** Held in memory at a time. */
const rowsPerBatch = 500

/** In place of a column that its parser refused. */
class BadColumn {
  readonly reason: string

  constructor(error: unknown) {
    this.reason = messageOf(error)
  }
}

/** The parsers of `pg`, which an application may have replaced: one that throws would do so in a listener of the socket and end the process. */
const guarded = ({ getTypeParser }: CustomTypesConfig): CustomTypesConfig => ({
  getTypeParser: (oid: number) => {
    const parse: (text: string) => unknown = getTypeParser(oid, "text")
    return (text: string): unknown => {
      try {
        return parse(text)
      } catch (error) {
        return new BadColumn(error)
      }
    }
  },
})

/** By column name. NULL is an absent field: a field that may be `null` needs a `map`. */
const byColumn = (row: PostgresRow): unknown => Object.fromEntries(Object.entries(row).filter(([, column]) => column !== null))

const toSourceRow = (position: string, row: PostgresRow, map: (row: PostgresRow) => unknown): SourceRow => {
  const bad = Object.entries(row).find(([, column]) => column instanceof BadColumn) as [string, BadColumn] | undefined
  if (bad !== undefined) return { position, value: row, error: new Error(`column ${JSON.stringify(bad[0])} cannot be read: ${bad[1].reason}`) } // prettier-ignore
  try {
    return { position, value: map(row) }
  } catch (error) {
    return { position, value: row, error: new Error(`the map of postgresRows threw: ${messageOf(error)}`) }
  }
}

async function* read(address: string, shown: string, sql: string, map: (row: PostgresRow) => unknown): AsyncGenerator<SourceRow> {
  const { client, Cursor, types, faultOf, close } = await openConnection(address, shown)
  try {
    const cursor = client.query(new Cursor<PostgresRow>(sql, undefined, { types: guarded(types) }))
    const next = () => cursor.read(rowsPerBatch).catch((error: unknown) => Promise.reject(faultOf(error)))
    let number = 0
    for (let rows = await next(); rows.length > 0; rows = await next())
      for (const row of rows) yield toSourceRow(`row ${++number}`, row, map)
    // a pooler keeps a connection that ends outside of a transaction
    await client.query("COMMIT")
  } finally {
    await close()
  }
}

/**
 * The rows of a query on a Postgres database, read with a cursor in one read-only transaction for each pass. Columns are fields of the input by
 * name, or use `map`. Postgres folds names to lower case: write `select id as "tenantId"`, in quotes.
 *
 * Needs the packages `pg` and `pg-cursor`. A connection must be there within 5 s, and a batch of 500 rows within 60 s.
 */
export const postgresRows = <I = any>(connectionString: string, sql: string, map?: (row: PostgresRow) => I): Source<I> => {
  const shown = shownAddress(connectionString)
  if (typeof sql !== "string" || sql.trim() === "")
    throw new BadOption(`expected the second argument of postgresRows to be an SQL query, got: ${JSON.stringify(sql)}`, {
      where: "postgresRows",
    })
  return { _tag: "Source", name: `table in ${shown}`, rows: () => read(connectionString, shown, sql, map ?? byColumn) }
}
