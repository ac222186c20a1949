/** `node src/demo.ts`: watch the number of workers follow the load. A file is the store, or what PONOS_STORE says. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { run } from "./run.ts"

const folder = mkdtempSync(join(tmpdir(), "ponos-autoscaler-"))
try {
  const { looks, done, clean } = await run({
    pool: `autoscaler-${process.pid}`,
    store: process.env["PONOS_STORE"] ?? `file:${join(folder, "ponos.db")}`,
    pictures: 1_500,
    minWorkers: 1,
    maxWorkers: 4,
    onLine: (line) => console.log(line),
  })
  const most = Math.max(...looks.map(({ workers }) => workers))
  const longest = Math.max(...looks.map(({ delayMs }) => delayMs))
  console.log(
    `${done} of 1500 pictures done, up to ${most} workers, longest delay ${longest} ms, ${clean ? "all ended well" : "NOT all ended well"}`,
  )
  process.exitCode = done === 1_500 && clean ? 0 : 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
