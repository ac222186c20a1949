/** The two databases for tenants do the same. */
import { randomBytes } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest"
import { usePostgres } from "../../../tools/with-postgres.ts"
import { openTenantsDb } from "../src/tenants-db.ts"
import type { Tenant, TenantsDb, TenantTable } from "../src/tenants.ts"

const postgres = await usePostgres()
const directory = mkdtempSync(join(tmpdir(), "ponos-tenants-"))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const tenant = (tenantId: string): Tenant => ({ tenantId, url: `http://feeds/${tenantId}`, batchSize: 20, pollSeconds: 0.25, label: "v1" })

const suite = (address: (name: string) => string) => (): void => {
  let db: TenantsDb
  let table: TenantTable
  beforeEach(async () => {
    const name = `tenants-${randomBytes(4).toString("hex")}`
    db = openTenantsDb(address(name), name)
    table = await db.create()
    await table.insert(["a", "b", "c"].map(tenant))
  })
  afterEach(async () => {
    await table.close()
    await db.drop()
  })
  const desired = async () => {
    const rows: Array<unknown> = []
    for await (const row of db.desired.rows()) rows.push(row.error ?? row.value)
    return rows
  }

  test("the controller reads what was inserted", async () => {
    expect(await desired()).toEqual(["a", "b", "c"].map(tenant))
    expect(await table.ids()).toEqual(["a", "b", "c"])
  })

  test("tenants are replaced and configured", async () => {
    await table.replace(["a", "c"], [tenant("d")])
    await table.configure(["d"], { batchSize: 50, label: "v2" })
    expect(await desired()).toEqual([tenant("b"), { ...tenant("d"), batchSize: 50, label: "v2" }])
  })

  test("a change that fails midway changes nothing", async () => {
    await expect(table.replace(["a"], [tenant("d"), tenant("b")])).rejects.toThrow(/unique/i)
    expect(await table.ids()).toEqual(["a", "b", "c"])
    await table.insert([tenant("e")])
    expect(await desired()).toHaveLength(4)
  })
}

describe(
  "tenants in SQLite",
  suite((name) => join(directory, `${name}.db`)),
)
postgres.describe(
  "tenants in Postgres",
  suite(() => postgres.url()),
)
