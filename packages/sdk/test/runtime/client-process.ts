/** A program that uses a client and never closes it. Arguments: store, pool, what it does. */
import { makeClient } from "../../src/gen.ts"
import { contract } from "./fixture.ts"

const [store = "", pool = "", mode = ""] = process.argv.slice(2)
const { sample } = makeClient({ store, pool, shards: 8 }, { sample: contract })
const handle = await sample.start({ id: mode })
process.stdout.write("started\n")
if (mode === "waits") process.stdout.write(`got ${await handle.result()}\n`)
if (mode === "asks") process.stdout.write(`got ${await handle.update.add(2)}\n`)
if (mode === "lists") for await (const run of sample.list()) process.stdout.write(`got ${run.key}\n`)
// no close: it ends when nothing is under way
