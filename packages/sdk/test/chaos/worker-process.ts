/**
 * A worker of both pools in a process of its own: `node worker-process.ts <spec as JSON>`. Writes its history to a file, and tells its events on
 * stdout, a JSON object a line. Takes commands on stdin: `block <ms>`. SIGTERM drains it; it ends with whoever started it.
 */
import { createInterface } from "node:readline"
import { createWorker } from "../../src/index.ts"
import { Pool } from "../../src/pool/index.ts"
import { kinActivities, kinJobs } from "./family.ts"
import { monotonicMs } from "./history.ts"
import { chaosJob, runLow } from "./job.ts"
import { Recorder } from "./recorder.ts"

export interface WorkerSpec {
  readonly store: string
  readonly pool: string
  readonly lowPool: string
  readonly shards: number
  readonly worker: string
  readonly file: string
  readonly options: object
}

const spec = JSON.parse(process.argv[2] ?? "{}") as WorkerSpec
const { store, pool, lowPool, shards, options } = spec
const recorder = new Recorder(spec.file, spec.worker)
const tell = (of: string, event: object): void => {
  const error = (event as { error?: unknown }).error
  console.log(
    JSON.stringify({
      at: monotonicMs(),
      of,
      ...event,
      ...(error === undefined ? {} : { error: error instanceof Error ? error.message : JSON.stringify(error) }),
    }),
  )
}

/** A loop that turns later than this has stood still: a machine without a free core, or a freeze. A shorter stall excuses nothing. */
const stallMs = 250
let turnedAt = monotonicMs()
setInterval(() => {
  const now = monotonicMs()
  if (now - turnedAt > stallMs) recorder.stalled(turnedAt, now)
  turnedAt = now
}, 10).unref()

const commands = createInterface({ input: process.stdin })
commands.on("line", (line) => {
  const ms = Number(/^block (\d+)$/.exec(line)?.[1] ?? 0)
  // Written before: a process that is ended meanwhile says nothing afterwards.
  recorder.stalled(monotonicMs(), monotonicMs() + ms)
  const end = performance.now() + ms
  while (performance.now() < end);
})
commands.on("close", () => process.kill(process.pid, "SIGKILL"))

const worker = await createWorker({
  pool,
  store,
  shards,
  jobs: [chaosJob(recorder), ...kinJobs(recorder)],
  activities: [kinActivities(recorder)],
  signals: false,
  // so that runs that wait for their children leave memory
  parkAfterMs: 100,
  onEvent: (event: object) => tell("run", event),
  ...options,
} as never)
const low = await Pool.join(lowPool, { store, shards, onEvent: (event) => tell("low", event), ...options })
const lowWorker = await low.addWorker()
process.once("SIGTERM", () => {
  Promise.all([worker.drain(), low.close()]).then(
    () => process.exit(0),
    (error: unknown) => {
      console.error(error)
      process.exit(1)
    },
  )
})
tell("", { type: "up" })
for await (const job of lowWorker.jobs()) runLow(recorder, job).catch((error: unknown) => tell("low", { type: "fault", error }))
