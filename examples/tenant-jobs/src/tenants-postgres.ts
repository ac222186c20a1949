import { postgresRows } from "@ponos/controller"
import type { Pool } from "pg"
import { shownStore } from "./args.ts"
import type { Tenant, TenantsDb, TenantTable } from "./tenants.ts"

const limits = { connectionTimeoutMillis: 5_000, query_timeout: 10_000, application_name: "ponos-demo" } as const

/** In a schema of its own, with the name of this run of the demo: the user's data is beside it. */
export const postgresTenants = (address: string, name: string): TenantsDb => {
  const schema = `ponos_${name.replaceAll("-", "_")}`
  const table = `${schema}.tenants`
  let making: Promise<TenantTable> | undefined
  return {
    shown: `${shownStore(address).replace(/\?.*/s, "")}, schema ${schema}`,
    // In quotes: Postgres would fold the names of the input's fields to lower case.
    desired: postgresRows<Tenant>(
      address,
      `select tenant_id as "tenantId", url, batch_size as "batchSize", poll_seconds as "pollSeconds", label from ${table} order by tenant_id`,
    ),
    create: () => (making = createTable(address, schema, table)),
    drop: async () => {
      if (making === undefined) return
      // A signal may come while the schema is being made.
      const made = await making.then(
        () => true,
        () => false,
      )
      if (made) await withPool(address, (pool) => pool.query(`drop schema if exists ${schema} cascade`))
    },
  }
}

/** The package is loaded only by who has the tenants in Postgres. */
const openPool = async (address: string): Promise<Pool> => {
  const { Pool } = await import("pg")
  const pool = new Pool({ connectionString: address, max: 2, ...limits })
  // Of connections that nobody uses at the moment; the next query says what is wrong.
  pool.on("error", () => {})
  return pool
}

const withPool = async (address: string, work: (pool: Pool) => Promise<unknown>): Promise<void> => {
  const pool = await openPool(address)
  try {
    await work(pool)
  } finally {
    await pool.end()
  }
}

const createTable = async (address: string, schema: string, table: string): Promise<TenantTable> => {
  // The controller's own way to the server: when it is closed, this says why, and what to do.
  for await (const { error } of postgresRows(address, "select 1").rows()) if (error) throw error
  // Several statements in one message are one transaction.
  const definition =
    `create schema ${schema}; create table ${table} (tenant_id text primary key, url text not null, batch_size integer not null,` +
    " poll_seconds double precision not null, label text not null)"
  await withPool(address, (pool) => pool.query(definition))
  const pool = await openPool(address)
  const insert = `insert into ${table} (tenant_id, url, batch_size, poll_seconds, label)
    select * from unnest($1::text[], $2::text[], $3::integer[], $4::double precision[], $5::text[])`
  const columns = (tenants: ReadonlyArray<Tenant>) =>
    (["tenantId", "url", "batchSize", "pollSeconds", "label"] as const).map((name) => tenants.map((tenant) => tenant[name]))
  return {
    insert: async (tenants) => void (await pool.query(insert, columns(tenants))),
    replace: async (leaving, coming) => {
      const client = await pool.connect()
      try {
        await client.query("begin")
        await client.query(`delete from ${table} where tenant_id = any($1)`, [leaving])
        await client.query(insert, columns(coming))
        await client.query("commit")
      } finally {
        // Closed and not given back: after a failure its transaction ends with it.
        client.release(true)
      }
    },
    configure: async (tenantIds, { batchSize, label }) =>
      void (await pool.query(`update ${table} set batch_size = $1, label = $2 where tenant_id = any($3)`, [batchSize, label, tenantIds])),
    ids: async () => (await pool.query<{ id: string }>(`select tenant_id as id from ${table} order by tenant_id`)).rows.map(({ id }) => id),
    close: () => pool.end(),
  }
}
