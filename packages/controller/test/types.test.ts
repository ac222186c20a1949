/** Sources are typed by the job's input where they can be. Checked by the compiler: the bodies never run. */
import { expect, test } from "vitest"
import { createController, jsonFile, ndjsonFile, postgresRows, sqliteRows } from "../src/index.ts"
import type { FeedClient, FeedInput } from "./feed.ts"

const never = (job: FeedClient["tenantFeed"]): void => {
  const row: FeedInput = { tenantId: "acme", pollSeconds: 5 }
  createController({ job, desired: [row] })
  createController({ job, desired: new Set([row]) })
  createController({ job, desired: () => [row] })
  createController({ job, desired: async () => [{ tenantId: "acme", pollSeconds: 5 }] })
  createController({
    job,
    desired: async function* () {
      yield row
    },
  })
  createController({ job, desired: jsonFile("tenants.json") })
  createController({ job, desired: ndjsonFile(new URL("file:///tenants.ndjson")) })
  createController({ job, desired: sqliteRows("tenants.db", "SELECT 1") })
  createController({
    job,
    desired: sqliteRows("tenants.db", "SELECT 1", (columns) => ({ tenantId: String(columns["id"]), pollSeconds: 5 })),
  })
  createController({ job, desired: postgresRows("postgres://host/app", "SELECT 1") })
  createController({
    job,
    desired: postgresRows("postgres://host/app", "SELECT 1", (columns) => ({ tenantId: String(columns["id"]), pollSeconds: 5 })),
  })

  // @ts-expect-error a row without a field
  createController({ job, desired: [{ tenantId: "acme" }] })
  // @ts-expect-error a field of another type
  createController({ job, desired: () => [{ tenantId: "acme", pollSeconds: "5" }] })
  // @ts-expect-error a map that gives something else
  createController({ job, desired: sqliteRows("tenants.db", "SELECT 1", () => ({ tenantId: 1 })) })
  // @ts-expect-error the same
  createController({ job, desired: postgresRows("postgres://host/app", "SELECT 1", () => ({ tenantId: 1 })) })
  // @ts-expect-error an unknown option
  createController({ job, desired: [row], evry: 5 })
  // @ts-expect-error not a duration
  createController({ job, desired: [row], every: "soon" })
}

test("types hold", () => {
  expect(never).toBeTypeOf("function")
})
