/**
 * Worker process whose jobs wait, parked or inside of an iteration: node parked-worker.ts <pool> <store> <"worker" | "base">. "base" imports the same and connects an
 * engine, but joins no pool: what is over its memory is what a worker costs.
 */
import { createWorker, type Worker } from "@ponos/sdk"
import { openEngine } from "@ponos/sdk/internal"
import { serve } from "../child.ts"
import { clock } from "../clock.ts"
import { listener, parked } from "../ponos.gen/worker.ts"

const [pool = "", store = "", role = "worker"] = process.argv.slice(2)
/** A state of 100 bytes: {"padding":"…"}. */
const padding = "s".repeat(100 - JSON.stringify({ padding: "" }).length)
/** Of a listener in one iteration: far below the limit of a journal. */
const ticksMax = 1_000
let ran = 0
let latencies: Array<number> = []
const heard = (sentAt: number): void => void latencies.push(clock() - sentAt)
let opening: Promise<{ readonly shards: () => number; readonly close: () => Promise<void> }> | undefined

const handlers = parked.implement({
  init: () => ({ padding: "" }),
  run: (job) => {
    ran++
    const signal = job.iteration === 1 ? undefined : job.poll("wake")
    if (signal !== undefined) heard(signal.payload)
    job.state = { padding }
    return job.again(job.input.timer ? { after: "1 day" } : { on: ["wake"] })
  },
})

const listeners = listener.implement({
  run: async (job) => {
    ran++
    for (let ticks = 0; ticks < ticksMax; ticks++) heard((await job.receive("tick")).payload)
    return job.again()
  },
})

const openWorker = async () => {
  const worker: Worker = await createWorker({ pool, store, jobs: [handlers, listeners] })
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
  /** Begins to note latencies of signals, and forgets earlier ones. */
  listen: () => void (latencies = []),
  heard: () => latencies.length,
  latencies: () => latencies,
  memory: () => process.memoryUsage.rss(),
  close: async () => await (await opening)?.close(),
})
