/** A process with a worker of the sample job: one that runs its activities and never ends them, or one that runs its jobs. Arguments: store, pool, mode. */
import { createWorker } from "../../src/index.ts"
import { stub } from "./fixture.ts"

const [store = "", pool = "", mode = ""] = process.argv.slice(2)
const say = (text: string): void => void process.stdout.write(`${text}\n`)

const activities = {
  shout: () => {
    say("taken")
    return new Promise(() => undefined)
  },
  work: async (call: any) => {
    say("taken")
    const beating = setInterval(() => call.heartbeat({ done: 7 }), 50)
    await new Promise((resolve) => call.abortSignal.addEventListener("abort", resolve, { once: true }))
    clearInterval(beating)
    say("told")
    return "too late"
  },
}
const run = async (job: any): Promise<unknown> => job.done(await job.activities.work("x"))

// the stub is made by hand: what services it needs is not in its type
await createWorker({
  store,
  pool,
  ...(mode === "own"
    ? { shards: 8, leaseMs: 1_000, jobs: [stub.implement({ init: () => ({ count: 0, log: [] }), run })] }
    : { activities: [stub.activities(activities)] }),
} as never)
say("ready")
