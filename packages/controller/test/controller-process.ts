/** A process that hosts the controller: `node controller-process.ts <store> <pool> <file>`. Ends when it is killed. */
import { createController, ndjsonFile } from "../src/index.ts"
import { feedClient } from "./feed.ts"

const [store, pool, file] = process.argv.slice(2)
if (store === undefined || pool === undefined || file === undefined)
  throw new Error("expected: controller-process.ts <store> <pool> <file>")
const client = feedClient({ pool, store, shards: 8 })
const controller = createController({ job: client.tenantFeed, desired: ndjsonFile(file), every: 200 })
const running = await controller.run({ leaseMs: 1_500, settleMs: 0 })
process.stdout.write("hosting\n")
await running.stopped
await client.close()
