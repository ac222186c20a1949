/** A process that takes activities of the sample job and never ends them. Arguments: store, pool. */
import { createWorker } from "../../src/index.ts"
import { stub } from "./fixture.ts"

const [store = "", pool = ""] = process.argv.slice(2)
// the stub is made by hand: what services it needs is not in its type
await createWorker({
  store,
  pool,
  activities: [
    stub.activities({
      shout: () => {
        process.stdout.write("taken\n")
        return new Promise(() => undefined)
      },
    }),
  ],
} as never)
process.stdout.write("ready\n")
