/**
 * A worker whose jobs are user code of the ordinary kind, for tests: `node ticking-process.ts <store> <pool> <options of Pool.join as JSON>`. It
 * takes the signal out of the job and does nothing but to listen to it, works at every tick of a timer, and at every datum of a socket to the
 * port in PONOS_TEST_PORT. `work` lines tell when it began to work, for all jobs that it then believed to have.
 */
import { writeSync } from "node:fs"
import { connect } from "node:net"
import { onSignals, Pool, type PoolJoinOptions } from "../../src/pool/index.ts"
import { shards } from "./settings.ts"

const [store, name, options] = process.argv.slice(2) as [string, string, string]
const tickMs = 50
const now = (): number => Number(process.hrtime.bigint()) / 1e6
/** Past the streams of Node, which write when the loop turns. */
const tell = (what: string, key = "", event: object = {}): void => void writeSync(1, `${JSON.stringify({ what, key, at: now(), event })}\n`)

const mine = new Set<string>()
const work = (why: string): void => {
  if (mine.size > 0) tell("work", [...mine].join(), { why })
}

setInterval(() => work("timer"), tickMs)
connect(Number(process.env["PONOS_TEST_PORT"]), "127.0.0.1").on("data", () => work("socket"))

const pool = await Pool.join(name, { store, shards, ...(JSON.parse(options) as PoolJoinOptions) })
const worker = await pool.addWorker({ onEvent: (event) => tell(event.type, "", event) })
tell("worker", worker.id)
onSignals(() => void worker.stop())
for await (const job of worker.jobs()) {
  mine.add(job.key)
  tell("begin", job.key)
  job.abortSignal.addEventListener("abort", () => {
    mine.delete(job.key)
    tell("end", job.key)
    job.settle()
  })
}
await pool.close()
