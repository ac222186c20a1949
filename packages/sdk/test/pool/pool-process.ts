/** A worker in a process of its own, for pool-processes.int.test.ts: `node pool-process.ts <store> <pool>`. Prints what happens, a JSON object a line. */
import { onSignals, Pool } from "../../src/pool/index.ts"
import { fast, shards } from "./settings.ts"

const [store, name] = process.argv.slice(2) as [string, string]
/** The host's monotonic clock: the same for all processes. */
const tell = (what: string, key = ""): void => console.log(JSON.stringify({ what, key, at: Number(process.hrtime.bigint()) / 1e6 }))

const pool = await Pool.join(name, { store, shards, ...fast })
const worker = await pool.addWorker({ onEvent: (event) => tell(event.type) })
onSignals(() => void worker.stop())
for await (const job of worker.jobs()) {
  tell("begin", job.key)
  job.abortSignal.addEventListener("abort", () => {
    tell("end", job.key)
    job.settle()
  })
}
await pool.close()
