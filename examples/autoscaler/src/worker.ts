/** What each worker process runs: `supervise` starts as many of it as the autoscaler says. Arguments: pool, store. */
import { setTimeout as sleep } from "node:timers/promises"
import { thumbnail } from "./ponos.gen/worker.ts"

/** So long does a picture take. */
const renderMs = 50

const [pool = "pictures", store] = process.argv.slice(2)

// oxlint-disable-next-line import/no-default-export -- a supervised module exports the options of its worker
export default {
  pool,
  store,
  // four pictures at a time: the fifth waits, and its delay is what the autoscaler looks at
  concurrency: 4,
  // p50, p99 and utilisation of the last five seconds: the demo is short
  statsWindowMs: 5_000,
  jobs: [
    thumbnail.implement({
      run: async (job) => {
        const place = await job.step("render", async () => {
          await sleep(renderMs)
          return `small/${job.key}`
        })
        return job.done(place)
      },
    }),
  ],
}
