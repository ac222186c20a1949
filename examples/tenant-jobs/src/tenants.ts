/**
 * The tenants, as rows of a SQLite file: what an application has anyway, and the truth that the controller follows. The demo's script
 * writes it, the controller process reads it.
 */
import { DatabaseSync } from "node:sqlite"

export interface Tenant {
  readonly tenantId: string
  readonly url: string
  readonly batchSize: number
  readonly pollSeconds: number
  readonly label: string
}

/** Columns named as the fields of the job's input. */
export const tenantsQuery =
  "select tenant_id as tenantId, url, batch_size as batchSize, poll_seconds as pollSeconds, label from tenants order by tenant_id"

export interface TenantTable {
  insert(tenants: ReadonlyArray<Tenant>): void
  remove(tenantIds: ReadonlyArray<string>): void
  configure(tenantIds: ReadonlyArray<string>, settings: Pick<Tenant, "batchSize" | "label">): void
  /** Several changes at once: the controller sees all of them or none. */
  together(changes: () => void): void
  ids(): string[]
  close(): void
}

export const openTenants = (path: string): TenantTable => {
  const database = new DatabaseSync(path, { timeout: 5_000 })
  database.exec("pragma journal_mode = wal")
  database.exec(
    "create table if not exists tenants (tenant_id text primary key, url text not null, batch_size integer not null," +
      " poll_seconds real not null, label text not null)",
  )
  const insert = database.prepare("insert into tenants (tenant_id, url, batch_size, poll_seconds, label) values (?, ?, ?, ?, ?)")
  const remove = database.prepare("delete from tenants where tenant_id = ?")
  const configure = database.prepare("update tenants set batch_size = ?, label = ? where tenant_id = ?")
  const ids = database.prepare("select tenant_id as id from tenants order by tenant_id")
  const together = (changes: () => void) => {
    if (database.isTransaction) return changes()
    database.exec("begin immediate")
    try {
      changes()
      database.exec("commit")
    } catch (error) {
      database.exec("rollback")
      throw error
    }
  }
  return {
    together,
    insert: (tenants) =>
      together(() => {
        for (const { tenantId, url, batchSize, pollSeconds, label } of tenants) insert.run(tenantId, url, batchSize, pollSeconds, label)
      }),
    remove: (tenantIds) => together(() => tenantIds.forEach((id) => remove.run(id))),
    configure: (tenantIds, { batchSize, label }) => together(() => tenantIds.forEach((id) => configure.run(batchSize, label, id))),
    ids: () => ids.all().map((row) => String(row["id"])),
    close: () => database.close(),
  }
}
