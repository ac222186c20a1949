/** postgresRows against a real Postgres; every test has a schema of its own and leaves no connection behind. */
import { execFile } from "node:child_process"
import { createServer } from "node:net"
import { once } from "node:events"
import { promisify } from "node:util"
import { Client, types } from "pg"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { usePostgres } from "../../../tools/with-postgres.ts"
import { uniqueName } from "../../../tools/with-redis.ts"
import { createController, postgresRows, type Source, type SourceRow } from "../src/index.ts"
import { feedClient, type FeedInput } from "./feed.ts"
import { until } from "./wait.ts"

const postgres = await usePostgres()

const all = async (source: Source<unknown>): Promise<ReadonlyArray<SourceRow>> => {
  const found: Array<SourceRow> = []
  for await (const row of source.rows()) found.push(row)
  return found
}
const values = async (source: Source<unknown>): Promise<ReadonlyArray<unknown>> => (await all(source)).map(({ value }) => value)

postgres.describe("postgresRows", () => {
  let admin: Client
  let table: string
  /** Connections that the sources of this test have on the server. Other tests of a shared server may have theirs: they read other tables. */
  const connections = async (): Promise<number> => {
    const { rows } = await admin.query<{ count: number }>(
      "SELECT count(*)::int FROM pg_stat_activity WHERE application_name = 'ponos-controller' AND query LIKE $1",
      [`%${table}%`],
    )
    return rows[0]?.count ?? 0
  }

  beforeEach(async () => {
    admin = new Client({ connectionString: postgres.url() })
    await admin.connect()
    const schema = uniqueName("rows").replaceAll("-", "_")
    table = `${schema}.tenants`
    await admin.query(`CREATE SCHEMA ${schema}; CREATE TABLE ${table} (id text, poll int, note text)`)
  })

  afterEach(async () => {
    await until("the end of all connections", async () => (await connections()) === 0)
    await admin.query(`DROP SCHEMA ${table.replace(".tenants", "")} CASCADE`)
    await admin.end()
  })

  const insert = (count: number) =>
    admin.query(`INSERT INTO ${table} SELECT 't' || lpad(n::text, 4, '0'), 5, NULL FROM generate_series(1, ${count}) AS n`)
  const rowsOf = (columns: string, map?: (row: Readonly<Record<string, unknown>>) => unknown) =>
    postgresRows(postgres.url(), `SELECT ${columns} FROM ${table} ORDER BY id`, map)

  test("columns are fields by name, NULL is an absent field, and values are those of pg", async () => {
    await admin.query(`INSERT INTO ${table} VALUES ('a', 1, NULL), ('b', 2, 'x')`)
    expect(await values(rowsOf('id AS "tenantId", poll, note'))).toEqual([
      { tenantId: "a", poll: 1 },
      { tenantId: "b", poll: 2, note: "x" },
    ])
    const typed = `SELECT 1::bigint AS big, 1.5::float8 AS float, true AS flag, '{"a": [1]}'::jsonb AS json, ARRAY[1, 2] AS list`
    expect(await values(postgresRows(postgres.url(), typed))).toEqual([
      { big: "1", float: 1.5, flag: true, json: { a: [1] }, list: [1, 2] },
    ])
  })

  test("more rows than a batch come in order, numbered, and again at the next pass", async () => {
    await insert(1_234)
    const source = rowsOf("id")
    for (let pass = 0; pass < 2; pass++) {
      const rows = await all(source)
      expect(rows).toHaveLength(1_234)
      expect(rows.at(-1)).toEqual({ position: "row 1234", value: { id: "t1234" } })
    }
    await admin.query(`DELETE FROM ${table}`)
    expect(await all(source)).toEqual([])
  })

  test("a pass sees one snapshot, whatever is written while it reads", async () => {
    await insert(2_000)
    const found: Array<unknown> = []
    for await (const { value } of rowsOf("id, poll").rows()) {
      if (found.push(value) === 1) await admin.query(`UPDATE ${table} SET poll = 60; DELETE FROM ${table} WHERE id > 't1000'`)
    }
    expect(found).toHaveLength(2_000)
    expect(found.at(-1)).toEqual({ id: "t2000", poll: 5 })
  })

  test("a row that its map or a parser refuses is damaged, and the others are not", async () => {
    await admin.query(`INSERT INTO ${table} VALUES ('a', 1, NULL), ('b', 2, NULL)`)
    const mapped = await all(
      rowsOf("id, poll", ({ id, poll }) => {
        if (poll === 1) throw new Error("no")
        return { tenantId: id }
      }),
    )
    expect(mapped.map(({ position, value, error }) => [position, value, error?.message])).toEqual([
      ["row 1", { id: "a", poll: 1 }, "the map of postgresRows threw: no"],
      ["row 2", { tenantId: "b" }, undefined],
    ])

    const before = types.getTypeParser(types.builtins.INT4)
    types.setTypeParser(types.builtins.INT4, (text) => {
      if (text === "1") throw new Error("not a one")
      return Number(text)
    })
    try {
      const parsed = await all(rowsOf('id AS "tenantId", poll'))
      expect(parsed[0]?.error?.message).toBe('column "poll" cannot be read: not a one')
      expect(parsed[0]?.value).toMatchObject({ tenantId: "a" })
      expect(parsed[1]?.value).toEqual({ tenantId: "b", poll: 2 })
    } finally {
      types.setTypeParser(types.builtins.INT4, before)
    }
  })

  test("a controller starts the jobs of the good rows and names the bad one", async () => {
    await admin.query(`INSERT INTO ${table} VALUES ('a', 5, NULL), ('b', 0, NULL), ('c', 5, 'x')`)
    await using client = feedClient({ pool: uniqueName("pg"), store: "memory:", shards: 8 })
    const source = postgresRows<FeedInput>(postgres.url(), `SELECT id AS "tenantId", poll AS "pollSeconds", note FROM ${table} ORDER BY id`)
    const tenants = createController({ job: client.tenantFeed, desired: source })
    const plan = await tenants.plan()
    expect(plan.counts).toMatchObject({ create: 2 })
    expect(plan.desired).toMatchObject({ complete: true, invalid: 1 })
    expect(plan.desired.problems[0]).toMatchObject({ key: "b", path: "pollSeconds", position: "row 2" })
  })

  test("does not write", async () => {
    await insert(1)
    await expect(all(postgresRows(postgres.url(), `DELETE FROM ${table} RETURNING id`))).rejects.toThrow(/read-only transaction/)
    expect(await values(rowsOf("id"))).toHaveLength(1)
  })

  test("a wrong query fails in the words of Postgres", async () => {
    await expect(all(rowsOf("missing"))).rejects.toThrow(/column "missing" does not exist/)
    await expect(all(postgresRows(postgres.url(), `SELECT 1; SELECT id FROM ${table}`))).rejects.toThrow(/multiple commands/)
  })

  test("a reader that stops midway leaves no connection", async () => {
    await insert(2_000)
    for await (const { position } of rowsOf("id").rows()) if (position === "row 700") break
    await until("the end of the connection", async () => (await connections()) === 0)
  })

  test("a connection that is lost midway ends the pass, and says so", async () => {
    await insert(2_000)
    const reading = async () => {
      for await (const { position } of rowsOf("id").rows())
        if (position === "row 1")
          await admin.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND query LIKE $1`, [
            `%${table}%`,
          ])
    }
    await expect(reading()).rejects.toMatchObject({
      _tag: "StoreUnavailable",
      message: expect.stringMatching(/to give postgresRows all its rows, got: .+ The next pass reads again/),
    })
  })

  test("a missing database is told without the password", async () => {
    const url = new URL(postgres.url())
    url.pathname = "/nowhere"
    const error = await all(postgresRows(url.href, "SELECT 1")).catch((reason: unknown) => reason)
    expect(error).toMatchObject({
      _tag: "StoreUnavailable",
      message: expect.stringMatching(/to take a connection of postgresRows within 5 s, got: .*does not exist/),
    })
    if (url.password !== "") expect(String(error)).not.toContain(url.password)
  })
})

describe("postgresRows without a Postgres", () => {
  test("an address where nobody listens fails, with what to check", async () => {
    await expect(all(postgresRows("postgres://user:sesame@127.0.0.1:1/app", "SELECT 1"))).rejects.toMatchObject({
      _tag: "StoreUnavailable",
      message:
        "StoreUnavailable [ponos:store_unavailable] expected postgres://127.0.0.1:1/app to take a connection of postgresRows within 5 s, " +
        "got: connect ECONNREFUSED 127.0.0.1:1. Check that Postgres runs there, and that address, user, password and database are right.",
    })
  })

  test("a server that never answers is given up", async () => {
    const silent = createServer().listen(0, "127.0.0.1")
    await once(silent, "listening")
    const connected = once(silent, "connection")
    const { port } = silent.address() as { port: number }
    const reading = all(postgresRows(`postgres://127.0.0.1:${port}/app`, "SELECT 1"))
    await expect(reading).rejects.toThrow(/within 5 s, got: timeout expired/)
    const [socket] = await connected
    if (!socket.destroyed) await once(socket.resume(), "close")
    silent.close()
  })

  test("without the packages it says what to install; the rest of the controller works", async () => {
    const program = `
      import { registerHooks } from "node:module"
      registerHooks({
        resolve(name, context, next) {
          if (/^pg(-cursor)?$/.test(name)) throw Object.assign(new Error("Cannot find package '" + name + "'"), { code: "ERR_MODULE_NOT_FOUND" })
          return next(name, context)
        },
      })
      const { postgresRows } = await import(${JSON.stringify(new URL("../src/index.ts", import.meta.url).href)})
      const source = postgresRows("postgres://127.0.0.1:1/app", "SELECT 1")
      try {
        for await (const row of source.rows()) throw new Error(row.position)
      } catch (error) {
        console.log(JSON.stringify({ tag: error._tag, message: error.message }))
      }`
    const { stdout } = await promisify(execFile)(process.execPath, ["--conditions=source", "--input-type=module", "--eval", program])
    expect(JSON.parse(stdout)).toEqual({
      tag: "ModuleUnusable",
      message:
        "ModuleUnusable [ponos:module_unusable] expected the packages pg and pg-cursor, with which postgresRows reads, " +
        "got: Cannot find package 'pg'. Run `npm install pg pg-cursor`.",
    })
  })
})
