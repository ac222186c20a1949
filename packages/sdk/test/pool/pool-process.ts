/**
 * A worker in a process of its own, for tests: `node pool-process.ts <store> <pool> [<options of Pool.join as JSON>]`. Prints what happens,
 * a JSON object a line. With `PONOS_TEST_STUBBORN` in the environment its jobs never settle, or only
 * the job of that key. With `PONOS_TEST_TICKER`, a name and an interval in ms, it also tells of its ticks.
 */
import { onSignals, Pool, type PoolJoinOptions } from "../../src/pool/index.ts"
import { fast, shards } from "./settings.ts"

const [store, name, options] = process.argv.slice(2) as [string, string, string | undefined]
const given = options === undefined ? fast : (JSON.parse(options) as PoolJoinOptions)
/** The host's monotonic clock: the same for all processes. */
const tell = (what: string, key = "", event: object = {}): void =>
  console.log(JSON.stringify({ what, key, at: Number(process.hrtime.bigint()) / 1e6, event }))

const pool = await Pool.join(name, { store, shards, ...given })
const worker = await pool.addWorker({ onEvent: (event) => tell(event.type, "", event) })
tell("worker", worker.id)
onSignals(() => void worker.stop())
const [ticker, everyMs] = (process.env["PONOS_TEST_TICKER"] ?? "").split(" ")
if (ticker !== undefined && everyMs !== undefined) {
  void (async () => {
    for await (const tick of pool.ticker(ticker, Number(everyMs))) tell("tick", String(tick.at), tick)
  })()
}
for await (const job of worker.jobs()) {
  tell("begin", job.key)
  job.abortSignal.addEventListener("abort", () => {
    const stubborn = process.env["PONOS_TEST_STUBBORN"]
    if (stubborn === "1" || stubborn === job.key) return
    tell("end", job.key)
    job.settle()
  })
}
await pool.close()
