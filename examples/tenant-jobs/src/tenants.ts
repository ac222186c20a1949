/**
 * The tenants, as rows of a database: what an application has anyway, and the truth that the controller follows. The demo's script writes
 * them, the controller process reads them.
 */
import type { Source } from "@ponos/controller"

export interface Tenant {
  readonly tenantId: string
  readonly url: string
  readonly batchSize: number
  readonly pollSeconds: number
  readonly label: string
}

/** What the script does to the tenants. Each call is one transaction: the controller sees all of it or nothing. */
export interface TenantTable {
  insert(tenants: ReadonlyArray<Tenant>): Promise<void>
  replace(leaving: ReadonlyArray<string>, coming: ReadonlyArray<Tenant>): Promise<void>
  configure(tenantIds: ReadonlyArray<string>, settings: Pick<Tenant, "batchSize" | "label">): Promise<void>
  ids(): Promise<string[]>
  close(): Promise<void>
}

/** A database for the tenants of one run of the demo: tenants-sqlite.ts, or tenants-postgres.ts. */
export interface TenantsDb {
  /** Where it is, without a password. */
  readonly shown: string
  /** The rows, as the controller follows them. */
  readonly desired: Source<Tenant>
  /** Makes the empty table. Called once, by the demo itself. */
  create(): Promise<TenantTable>
  /** Removes what `create` made, unless it goes with the demo's directory. */
  drop(): Promise<void>
}
