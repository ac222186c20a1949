/** The controller process: keeps one job per row of the tenants' table. */
import { createController } from "@ponos/controller"
import { childConfig, dieWithParent } from "./child.ts"
import { createClient, type Client } from "./ponos.gen/client.ts"
import { openTenantsDb } from "./tenants-db.ts"
import type { TenantsDb } from "./tenants.ts"

export interface ControllerProcessOptions {
  readonly pool: string
  readonly shards: number
}

/** The same definition serves the process that runs it and the one that asks it for its plan. */
export const tenantController = (client: Client, tenants: TenantsDb) =>
  createController({ job: client.tenantFeed, desired: tenants.desired, every: "500 millis" })

if (import.meta.main) {
  const { pool, shards } = childConfig<ControllerProcessOptions>()
  dieWithParent()
  const client = createClient({ pool, shards })
  const tenants = openTenantsDb(process.env["PONOS_TENANTS_DB"] ?? "", pool)
  const running = await tenantController(client, tenants).run()
  process.send?.({ type: "ready" })
  await running.stopped
  await client.close()
  process.exit(0)
}
