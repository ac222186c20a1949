/** A worker module that starts its worker while it loads, and goes on after it has stopped. Arguments: store, pool. */
import { createWorker } from "../../src/index.ts"
import { fast, shards } from "../pool/settings.ts"
import { stub } from "../runtime/fixture.ts"

const [store = "", pool = ""] = process.argv.slice(2)
process.on("SIGTERM", () => console.log("told to end"))
const worker = await createWorker({
  store,
  pool,
  shards,
  ...fast,
  jobs: [stub.implement({ init: () => ({ count: 0, log: [] }), run: (job: { done(result: string): unknown }) => job.done("") } as never)],
  onEvent: (event: { type: string; shard?: number }) => console.log(JSON.stringify({ type: event.type, shard: event.shard })),
} as never)
await worker.stopped
console.log("stopped")
setInterval(() => undefined, 1_000) // what a module forgets to close does not keep its process
