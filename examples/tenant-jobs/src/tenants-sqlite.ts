import { DatabaseSync } from "node:sqlite"
import { sqliteRows } from "@ponos/controller"
import type { Tenant, TenantsDb, TenantTable } from "./tenants.ts"

/** Columns named as the fields of the job's input. */
const query =
  "select tenant_id as tenantId, url, batch_size as batchSize, poll_seconds as pollSeconds, label from tenants order by tenant_id"

export const sqliteTenants = (path: string): TenantsDb => ({
  shown: "SQLite",
  desired: sqliteRows<Tenant>(path, query),
  create: async () => openTable(path),
  drop: async () => {},
})

const openTable = (path: string): TenantTable => {
  const database = new DatabaseSync(path, { timeout: 5_000 })
  database.exec("pragma journal_mode = wal")
  database.exec(
    "create table tenants (tenant_id text primary key, url text not null, batch_size integer not null, poll_seconds real not null," +
      " label text not null)",
  )
  const insert = database.prepare("insert into tenants (tenant_id, url, batch_size, poll_seconds, label) values (?, ?, ?, ?, ?)")
  const remove = database.prepare("delete from tenants where tenant_id = ?")
  const configure = database.prepare("update tenants set batch_size = ?, label = ? where tenant_id = ?")
  const ids = database.prepare("select tenant_id as id from tenants order by tenant_id")
  const together = (changes: () => void): void => {
    database.exec("begin immediate")
    try {
      changes()
      database.exec("commit")
    } catch (error) {
      database.exec("rollback")
      throw error
    }
  }
  const add = ({ tenantId, url, batchSize, pollSeconds, label }: Tenant) => insert.run(tenantId, url, batchSize, pollSeconds, label)
  return {
    insert: async (tenants) => together(() => tenants.forEach(add)),
    replace: async (leaving, coming) =>
      together(() => {
        for (const id of leaving) remove.run(id)
        coming.forEach(add)
      }),
    configure: async (tenantIds, { batchSize, label }) => together(() => tenantIds.forEach((id) => configure.run(batchSize, label, id))),
    ids: async () => ids.all().map((row) => String(row["id"])),
    close: async () => database.close(),
  }
}
