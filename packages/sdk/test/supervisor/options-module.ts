/** A worker module that exports a function. Arguments: store, pool, what its handlers do ("settle", "hang", "block" in a step). Prints whose shards are whose, as JSON. */
import type { WorkerProcessContext } from "../../src/supervisor/index.ts"
import { fast, shards } from "../pool/settings.ts"
import { stub } from "../runtime/fixture.ts"

const [store = "", pool = "", handlers = "settle"] = process.argv.slice(2)

/** After a wait of its own, so that only its async context tells whose code it is. */
const blockLoop = async (): Promise<void> => {
  await new Promise((resolve) => setTimeout(resolve, 20))
  const end = performance.now() + 60_000
  while (performance.now() < end);
}

// oxlint-disable-next-line import/no-default-export -- it is what is tested
export default ({ number, processes }: WorkerProcessContext): object => {
  console.log(`${number} of ${processes}`)
  return {
    store,
    pool,
    shards,
    ...fast,
    ...(handlers === "hang" ? { drainMs: 600_000 } : {}),
    // Room for a busy machine between the look at who blocks and the end.
    ...(handlers === "block" ? { leaseMs: 1_500, maxStallMs: 200 } : {}),
    jobs: [
      stub.implement({
        init: () => ({ count: 0, log: [] }),
        run: async (job: { abortSignal: AbortSignal; again(): unknown; step(name: string, body: () => unknown): Promise<unknown> }) => {
          console.log("running")
          if (handlers === "block") await job.step("charge", blockLoop)
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
