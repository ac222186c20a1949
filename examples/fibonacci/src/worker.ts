/** A worker: takes jobs until its AbortSignal ends, after 10 seconds or at SIGTERM. Run with its name: `node src/worker.ts w1`. */
import { onSignals, Pool, type Job } from "@ponos/sdk/pool"
import { encodeResult, fibonacci, toNumber } from "./fibonacci.ts"

const lifeMs = 10_000
const name = process.argv[2] ?? `worker-${process.pid}`

const work = async (job: Job): Promise<void> => {
  await job.done(encodeResult({ number: fibonacci(toNumber(job.payload)), worker: name }))
}

const left = new AbortController()
onSignals(() => left.abort())
const abortSignal = AbortSignal.any([AbortSignal.timeout(lifeMs), left.signal])

const pool = await Pool.join("fibonacci")
const worker = await pool.addWorker()
for await (const job of worker.jobs({ abortSignal })) {
  // A job that moved is another worker's now, and done there; anything else is a bug.
  await work(job).catch((error: unknown) => {
    if (!job.abortSignal.aborted) throw error
  })
}
await pool.close()
