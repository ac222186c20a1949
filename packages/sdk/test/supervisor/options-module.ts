/** A worker module that exports a function. Arguments: store, pool, what its handlers do ("settle", "hang"). Prints whose shards are whose, as JSON. */
import type { WorkerProcessContext } from "../../src/supervisor/index.ts"
import { fast, shards } from "../pool/settings.ts"
import { stub } from "../runtime/fixture.ts"

const [store = "", pool = "", handlers = "settle"] = process.argv.slice(2)

// oxlint-disable-next-line import/no-default-export -- it is what is tested
export default ({ number, processes }: WorkerProcessContext): object => {
  console.log(`${number} of ${processes}`)
  return {
    store,
    pool,
    shards,
    ...fast,
    ...(handlers === "hang" ? { drainMs: 600_000 } : {}),
    jobs: [
      stub.implement({
        init: () => ({ count: 0, log: [] }),
        run: async (job: { abortSignal: AbortSignal; again(): unknown }) => {
          console.log("running")
          await new Promise<void>((settle) => {
            if (handlers === "settle") job.abortSignal.addEventListener("abort", () => settle())
          })
          return job.again()
        },
      } as never),
    ],
    onEvent: (event: { type: string; shard?: number }) => console.log(JSON.stringify({ type: event.type, shard: event.shard })),
  }
}
