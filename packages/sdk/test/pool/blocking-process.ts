/**
 * A worker whose jobs do what they are told by a notification, for tests: `node blocking-process.ts <store> <pool> <options of Pool.join as JSON>`.
 *
 * - `block <ms>` runs without yielding for so long, and writes a `busy` line every few ms: the proof that user code ran then;
 * - `write <ms>` does the same, then ends the job, and tells what came of it;
 * - `thread` ends the lease thread, as a fault of it would.
 *
 * Each begins with the id of the worker that is meant: an unread notification moves with its job.
 */
import { writeSync } from "node:fs"
import type { Worker } from "node:worker_threads"
import { onSignals, Pool, type Job, type PoolJoinOptions } from "../../src/pool/index.ts"
import { shards } from "./settings.ts"

const [store, name, options] = process.argv.slice(2) as [string, string, string]
const now = (): number => Number(process.hrtime.bigint()) / 1e6
/** Past the streams of Node, which write when the loop turns. */
const tell = (what: string, key = "", event: object = {}): void => void writeSync(1, `${JSON.stringify({ what, key, at: now(), event })}\n`)

const block = (key: string, ms: number): void => {
  const end = now() + ms
  for (let told = 0; now() < end;) {
    if (now() - told < 5) continue
    told = now()
    tell("busy", key)
  }
}

const threads: Array<Worker> = []
process.on("worker", (thread) => threads.push(thread as unknown as Worker))

const obey = async (job: Job): Promise<void> => {
  for await (const message of job.notifications()) {
    const [session, what, ms] = Buffer.from(message).toString().split(" ")
    if (session !== first) continue
    if (what === "thread") await threads.at(-1)?.terminate()
    else block(job.key, Number(ms))
    if (what !== "write") continue
    const outcome = await job.done().then(
      () => "done",
      (error: Error) => error.name,
    )
    tell("outcome", job.key, { outcome })
  }
}

const pool = await Pool.join(name, { store, shards, ...(JSON.parse(options) as PoolJoinOptions) })
const worker = await pool.addWorker({
  onEvent: (event) => tell(event.type, "", { ...event, error: "error" in event ? String(event.error) : undefined }),
})
const first = worker.id
tell("worker", first)
onSignals(() => void worker.stop())
for await (const job of worker.jobs()) {
  tell("begin", job.key)
  job.abortSignal.addEventListener("abort", () => {
    tell("end", job.key)
    job.settle()
  })
  void obey(job)
}
await pool.close()
