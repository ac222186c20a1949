/** A loop that stood still beyond its lease begins nothing before it has heard that its trust is over (S5): found by chaos, seed 102 on a file. */
import { expect, test } from "vitest"
import { createWorker } from "../../src/index.ts"
import { makeClient } from "../../src/gen.ts"
import { Pool } from "../../src/pool/index.ts"
import { contract, stub } from "../runtime/fixture.ts"
import { describeStores, fast, until } from "./support.ts"
import { uniqueName } from "../../../../tools/with-redis.ts"

const block = (ms: number): void => {
  const end = performance.now() + ms
  while (performance.now() < end);
}
const epochOf = (fence: bigint): bigint => fence >> 22n

describeStores("after its loop was blocked for three leases", (url) => {
  test("a low-level worker hands out what it took before only under a new epoch", async () => {
    const pool = await Pool.join(uniqueName("blocked"), { store: url(), shards: 1, ...fast })
    const worker = await pool.addWorker()
    const epochs: bigint[] = []
    await Promise.all(["a", "b"].map((key) => pool.dispatch(key, new Uint8Array())))
    const running = (async () => {
      for await (const job of worker.jobs()) {
        epochs.push(epochOf(job.fence))
        job.abortSignal.addEventListener("abort", () => job.settle())
        if (epochs.length === 1) block(3 * fast.leaseMs)
      }
    })()
    await until(() => epochs.length >= 3, "both run under the new epoch")
    await pool.close()
    await running
    expect(epochs.slice(1).every((epoch) => epoch > (epochs[0] ?? 0n))).toBe(true)
  })

  test("a worker begins the handlers of what it took before only under a new epoch", async () => {
    const [pool, store] = [uniqueName("blocked"), url()]
    const client: any = makeClient({ pool, store, shards: 1 }, { sample: contract })
    const begun: bigint[] = []
    const job = stub.implement({
      init: () => ({ count: 0, log: [] }),
      run: async (it: any) => {
        begun.push(epochOf(it.fence as bigint))
        if (begun.length === 1) block(3 * fast.leaseMs)
        return it.done("")
      },
    })
    await Promise.all(["a", "b", "c"].map((id) => client.sample.start({ id })))
    const worker = await createWorker({ pool, store, shards: 1, signals: false, jobs: [job], onEvent: () => {}, ...fast } as never)
    for (const id of ["a", "b", "c"]) await client.sample.get(id).result()
    await worker.close()
    await client.close()
    expect(begun.slice(1).every((epoch) => epoch > (begun[0] ?? 0n))).toBe(true)
  })
})
