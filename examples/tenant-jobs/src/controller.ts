/** The controller process: keeps one job per row of the tenants' table. */
import { createController, sqliteRows } from "@ponos/controller"
import { childConfig, dieWithParent } from "./child.ts"
import { createClient, type Client } from "./ponos.gen/client.ts"
import { tenantsQuery } from "./tenants.ts"

export interface ControllerProcessOptions {
  readonly pool: string
  readonly shards: number
  /** The SQLite file with the tenants. */
  readonly tenants: string
}

/** The same definition serves the process that runs it and the one that asks it for its plan. */
export const tenantController = (client: Client, tenants: string) =>
  createController({ job: client.tenantFeed, desired: sqliteRows(tenants, tenantsQuery), every: "500 millis" })

if (import.meta.main) {
  const { pool, shards, tenants } = childConfig<ControllerProcessOptions>()
  dieWithParent()
  const client = createClient({ pool, shards })
  const running = await tenantController(client, tenants).run()
  process.send?.({ type: "ready" })
  await running.stopped
  await client.close()
  process.exit(0)
}
