/** What tests use of a Postgres: `const postgres = await usePostgres()` at the top of the file, as few files need one. */
import { afterAll, describe } from "vitest"
import { startPostgres } from "./test-postgres.ts"

/** Starts a Postgres for this test file, which ends with it. Its `describe` is skipped, with the reason in its name, where there is none. */
export async function usePostgres() {
  const server = await startPostgres()
  if (server.url !== undefined) {
    console.error(`• Postgres for the tests: ${server.from}`)
    afterAll(server.stop)
  }
  return {
    describe: (name: string, body: () => void): void => {
      if (server.url === undefined) describe.skip(`${name} (${server.why})`, body)
      else describe(name, body)
    },
    /** Its address. Throws when there is none: call it inside of its `describe` only. */
    url: (): string => {
      if (server.url === undefined) throw new Error(`this file has no Postgres (${server.why}): put the test into postgres.describe(…)`)
      return server.url
    },
  }
}
