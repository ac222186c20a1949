/** A worker process. It drains on SIGTERM, and writes down whose handlers it ran and which shards it claimed. */
import { once } from "node:events"
import { createWorker } from "@ponos/sdk"
import { childConfig, dieWithParent } from "./child.ts"
import { connectFeed } from "./feed.ts"
import { feedActivities, feedJob } from "./feed.worker.ts"
import { openRecorder } from "./recorder.ts"
import { httpSink } from "./sink.ts"

export interface WorkerOptions {
  readonly pool: string
  readonly shards: number
  /** Address of the receiver. */
  readonly receiver: string
  /** Where it records. */
  readonly log: string
}

const { pool, shards, receiver, log } = childConfig<WorkerOptions>()
const recorder = openRecorder(log)
dieWithParent()
// Loaded, but not a member yet: workers that are added together join in the same moment, whatever it took each to load.
process.send?.({ type: "ready" })
await once(process, "message")

const worker = await createWorker({
  pool,
  shards,
  jobs: [recorder.job(feedJob(connectFeed))],
  activities: [feedActivities(httpSink(receiver))],
  onEvent: (event) => {
    if ("shard" in event) recorder.shard(event.type, event.shard)
    else if (event.type === "assigned") recorder.assigned(event.workers)
    else if (event.type === "joined") recorder.joined(event.session)
    else console.log(event)
  },
})

await worker.stopped
recorder.close()
process.exit(0)
