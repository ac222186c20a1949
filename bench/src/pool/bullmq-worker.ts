/** BullMQ's worker process: node bullmq-worker.ts <prefix> <url> <options of its Worker as JSON>. Its jobs run for ever. */
import { Worker } from "bullmq"
import { Redis } from "ioredis"
import { serve } from "../child.ts"
import { clock } from "../clock.ts"

const [prefix = "", url = "", options = "{}"] = process.argv.slice(2)
const queue = "tenants"
/** Two workers hold all jobs when the third one is dead, and some that BullMQ gives to a second worker by mistake. */
const concurrency = 1_500

let worker: Worker | undefined
const connection = new Redis(url, { maxRetriesPerRequest: null })
const begun = new Map<string, number>()

serve({
  open: async () => {
    const run = async (job: { readonly id?: string | undefined }): Promise<void> => {
      begun.set(job.id ?? "", clock())
      await new Promise(() => {})
    }
    worker = new Worker(queue, run, { connection, prefix, concurrency, ...(JSON.parse(options) as object) })
    worker.on("error", () => {})
    await worker.waitUntilReady()
  },
  running: () => begun.size,
  begun: () => [...begun],
  close: async () => {
    await worker?.close(true)
    connection.disconnect()
  },
})
