/**
 * Worker process whose jobs park at once: node parked-worker.ts <pool> <store> <"worker" | "base">. "base" imports the same and connects an
 * engine, but joins no pool: what is over its memory is what a worker costs.
 */
import { createWorker, type Worker } from "@ponos/sdk"
import { openEngine } from "@ponos/sdk/internal"
import { serve } from "../child.ts"
import { parked } from "../ponos.gen/worker.ts"

const [pool = "", store = "", role = "worker"] = process.argv.slice(2)
/** A state of 100 bytes: {"padding":"…"}. */
const padding = "s".repeat(100 - JSON.stringify({ padding: "" }).length)
let ran = 0
let opening: Promise<{ readonly shards: () => number; readonly close: () => Promise<void> }> | undefined

const handlers = parked.implement({
  init: () => ({ padding: "" }),
  run: (job) => {
    ran++
    job.state = { padding }
    return job.again(job.input.timer ? { after: "1 day" } : { on: ["wake"] })
  },
})

const openWorker = async () => {
  const worker: Worker = await createWorker({ pool, store, jobs: [handlers] })
  return { shards: () => worker.owned().length, close: () => worker.close() }
}
const openBase = async () => {
  const engine = await openEngine(store)
  return { shards: () => 0, close: () => engine.close() }
}

serve({
  open: async () => void (await (opening ??= role === "base" ? openBase() : openWorker())),
  shards: async () => (await opening)?.shards() ?? 0,
  ran: () => ran,
  memory: () => process.memoryUsage.rss(),
  close: async () => await (await opening)?.close(),
})
