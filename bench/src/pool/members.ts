/** Process with several members of a low-level pool: node members.ts <pool> <store>. */
import { Pool, type Worker } from "@ponos/sdk/pool"
import { serve } from "../child.ts"

const [name = "", store = ""] = process.argv.slice(2)
let opening: Promise<Pool> | undefined
const workers: Array<Worker> = []
let claims = 0

const open = (): Promise<Pool> =>
  (opening ??= Pool.join(name, {
    store,
    onEvent: ({ type }) => {
      if (type === "claimed" || type === "rescued") claims++
    },
  }))

serve({
  add: async () => void workers.push(await (await open()).addWorker()),
  /** Stops the oldest one; gives how many shards it held. */
  stop: async (): Promise<number> => {
    const worker = workers.shift()
    const held = worker?.shards().length ?? 0
    await worker?.stop()
    return held
  },
  loads: () => workers.map((worker) => worker.shards().length),
  /** Claims of shards so far, of all its members. */
  claims: () => claims,
  close: async () => await (await opening)?.close(),
})
