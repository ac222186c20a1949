/** The database of the tenants, made from its address by every process of the demo that needs it. */
import { postgresTenants } from "./tenants-postgres.ts"
import { sqliteTenants } from "./tenants-sqlite.ts"
import type { TenantsDb } from "./tenants.ts"

/**
 * `address` is that of a Postgres, or the path of a SQLite file. It may hold a password, so the demo passes it to its processes as
 * PONOS_TENANTS_DB: their arguments can be seen by anybody. `name` is unique for a run of the demo.
 */
export const openTenantsDb = (address: string, name: string): TenantsDb =>
  /^postgres(ql)?:/.test(address) ? postgresTenants(address, name) : sqliteTenants(address)
