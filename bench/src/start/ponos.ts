import { createWorker } from "@ponos/sdk"
import { createClient } from "../ponos.gen/client.ts"
import { ping } from "../ponos.gen/worker.ts"
import { makeSteps, type Contender } from "./contender.ts"

/** Shards of a new pool, by default. */
const shards = 256

export const ponos: Contender = {
  async openClient(store, pool) {
    const client = createClient({ pool, store })
    return {
      start: (id, sentAt) => client.ping.start({ id, sentAt }),
      close: () => client.close(),
    }
  },

  async openWorker(store, pool, work) {
    const { onJob, onCompleted, steps } = work
    const handlers = ping.implement({
      run: (job) => {
        onJob(job.input.sentAt)
        if (steps === 0) return job.done()
        return makeSteps(work, (number) => job.step("note", () => number)).then(() => job.done())
      },
    })
    const worker = await createWorker({
      pool,
      store,
      jobs: [handlers],
      signals: false,
      onEvent: (event) => {
        if (event.type === "ended") onCompleted()
        else if (event.type === "failed" || event.type === "fault" || event.type === "blocked") console.error(event)
      },
    })
    while (worker.owned().length < shards) await new Promise((done) => setTimeout(done, 10))
    return { close: () => worker.close() }
  },
}
