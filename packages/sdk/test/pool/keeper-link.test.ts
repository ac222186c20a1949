import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, test } from "vitest"
import { openEngine } from "../../src/engine/open.ts"
import { openKeeperLink } from "../../src/pool/keeper-link.ts"

test("a session that ends twice leaves the lease thread to the others of its process", async () => {
  const folder = await mkdtemp(join(tmpdir(), "ponos-link-"))
  const engine = await openEngine(`file:${join(folder, "ponos.db")}`)
  const open = () =>
    openKeeperLink({
      engine,
      pool: "p",
      clock: () => performance.now(),
      threaded: true,
      warn: () => {},
      onBlocked: () => {},
      onSuspended: () => {},
    })
  const [first, second] = [await open(), await open()]
  await Promise.all([first.end(), first.end()])
  await first.end()
  // Of a session that nobody knows; a thread that has ended would reject.
  expect(await second.updateMember("p", { session: "nobody", record: "{}" }, undefined)).toBe(false)
  await second.end()
  await engine.close()
  await rm(folder, { recursive: true, force: true })
})
