/** A loop that stood still beyond its lease begins nothing before it has heard that its trust is over (S5): found by chaos, seed 102 on a file. */
import { expect, test } from "vitest"
import { openEngine } from "../../src/engine/open.ts"
import { createWorker } from "../../src/index.ts"
import { makeClient } from "../../src/gen.ts"
import { Pool } from "../../src/pool/index.ts"
import { contract, stub } from "../runtime/fixture.ts"
import { describeStores, fast, tampered, until } from "./support.ts"
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

  test("a handler does not go on with an answer that waited meanwhile", async () => {
    const [pool, store] = [uniqueName("blocked"), url()]
    const client: any = makeClient({ pool, store, shards: 1 }, { sample: contract })
    const real = await openEngine(store)
    const wentOn: bigint[] = []
    let first: bigint | undefined
    let blocked = false
    const engine = tampered(real, {
      commit: async (...call) => {
        const replies = await real.commit(...call)
        // The write of the step was accepted, and its answer is here.
        if (first !== undefined && !blocked) {
          blocked = true
          block(3 * fast.leaseMs)
        }
        return replies
      },
    })
    const job = stub.implement({
      init: () => ({ count: 0, log: [] }),
      run: async (it: any) => {
        first ??= epochOf(it.fence as bigint)
        await it.step("one", () => 1)
        wentOn.push(epochOf(it.fence as bigint))
        return it.done("")
      },
    })
    await client.sample.start({ id: "a" })
    const worker = await createWorker({ pool, store, engine, shards: 1, signals: false, jobs: [job], onEvent: () => {}, ...fast } as never)
    await client.sample.get("a").result()
    await worker.close()
    await client.close()
    await real.close()
    expect(wentOn.map((epoch) => epoch > (first ?? 0n))).toEqual([true])
  })

  test("a low-level job that asks for its signal, or for its next notification, is aborted before anybody told it", async () => {
    const pool = await Pool.join(uniqueName("blocked"), { store: url(), shards: 1, ...fast })
    const worker = await pool.addWorker()
    const seen: Array<string> = []
    let first = 0n
    await pool.dispatch("a", new Uint8Array())
    const running = (async () => {
      for await (const job of worker.jobs()) {
        if (first !== 0n) {
          job.settle()
          break
        }
        first = job.fence
        await pool.notify("a", new Uint8Array([1]))
        await pool.notify("a", new Uint8Array([2]))
        // The job is accepted, and the second one is here with the first.
        for await (const message of job.notifications()) {
          seen.push(String(message[0]))
          if (message[0] !== 2) continue
          job.abortSignal.addEventListener("abort", () => seen.push("aborted"))
          block(3 * fast.leaseMs)
          seen.push(job.abortSignal.aborted ? "knows" : "does not know")
        }
        job.settle()
      }
    })()
    await running
    await pool.close()
    expect(seen).toEqual(["1", "2", "aborted", "knows"])
  })
})
