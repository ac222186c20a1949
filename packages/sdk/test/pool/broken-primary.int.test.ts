/** One primary of a cluster stands still: whoever looks at the pool gets what the others know, is told what is missing, and waits no longer than a call may take. */
import { expect, test } from "vitest"
import { uniqueName } from "../../../../tools/with-redis.ts"
import { slotOf } from "../../src/engine/redis/slot.ts"
import { shardOf } from "../../src/key.ts"
import { makeClient } from "../../src/gen.ts"
import { Pool, type PoolEvent } from "../../src/pool/index.ts"
import { type Node, ownNodes, type TestCluster, waitFor } from "../engine/redis-nodes.ts"
import { describeOwnRedis } from "../engine/redis-server.ts"
import { contract } from "../runtime/fixture.ts"

const shards = 24
const callTimeoutMs = 1_500
/** A call, and what a machine under load adds to it. */
const callMax = 2 * callTimeoutMs
const bytes = new TextEncoder().encode("x")

const timed = async <T>(call: Promise<T>): Promise<{ readonly value: T | undefined; readonly error: unknown; readonly ms: number }> => {
  const from = performance.now()
  const end = await call.then(
    (value) => ({ value, error: undefined }),
    (error: unknown) => ({ value: undefined, error }),
  )
  return { ...end, ms: performance.now() - from }
}

/** A pool of which one primary has shards and none of the records that are the pool's own: what becomes of those is another test. */
const spread = async (
  cluster: TestCluster,
): Promise<{ readonly name: string; readonly broken: Node; readonly nodeOf: ReadonlyArray<Node> }> => {
  for (;;) {
    const name = uniqueName("broken")
    const own = await Promise.all(["", ":m:~pool", ":m:~tickers"].map((part) => cluster.primaryOf(slotOf(`p:{${name}${part}}:`))))
    const nodeOf = await Promise.all(Array.from({ length: shards }, (_, shard) => cluster.primaryOf(slotOf(`p:{${name}:${shard}}:r`))))
    const broken = cluster.primaries.find((node) => !own.includes(node) && nodeOf.includes(node))
    if (broken !== undefined) return { name, broken, nodeOf }
  }
}

describeOwnRedis("a primary that stands still", () => {
  test("does not hide from stats, owners, listings and schedules what is on the others", async () => {
    const cluster = await ownNodes(0, { "cluster-require-full-coverage": "no" })
    const events: PoolEvent[] = []
    const { name, broken, nodeOf } = await spread(cluster)
    const pool = await Pool.join(name, { store: cluster.url, shards, callTimeoutMs, onEvent: (event) => events.push(event) })
    const stop = new AbortController()
    const client: any = makeClient({ pool: `${name}-runs`, store: cluster.url, shards, callTimeoutMs }, { sample: contract })
    let frozen: Node | undefined
    try {
      const lost = nodeOf.flatMap((node, shard) => (node === broken ? [shard] : []))
      let next = 0
      const keysOn = (there: boolean, count: number): ReadonlyArray<string> => {
        const keys: string[] = []
        while (keys.length < count) {
          const key = `tenant-${next++}`
          if (lost.includes(shardOf(key, shards)) === there) keys.push(key)
        }
        return keys
      }
      const [gone, there] = [keysOn(true, 6), keysOn(false, 6)]
      for (const key of [...gone, ...there]) await pool.dispatch(key, bytes)
      const ids = Array.from({ length: 40 }, (_, n) => `run-${n}`)
      await Promise.all(ids.map((id) => client.sample.start({ id })))
      const primaries = await Promise.all(
        Array.from({ length: shards }, (_, shard) => cluster.primaryOf(slotOf(`p:{${name}-runs:${shard}}:r`))),
      )
      const lostRuns = primaries.flatMap((node, shard) => (node === broken ? [shard] : []))
      const runsThere = ids.filter((id) => !lostRuns.includes(shardOf(id, shards))).toSorted()
      const worker = await pool.addWorker()
      await waitFor(() => worker.shards().length === shards, "the worker has all shards")
      const whole = await pool.stats()
      expect(whole).toMatchObject({ ready: 12, workers: 1, shardsUnknown: [] })

      broken.freeze()
      frozen = broken
      const part = await timed(pool.stats({ scaleDownMs: 0, minWorkers: 0 }))
      expect(part.error).toBeUndefined()
      expect(part.value).toMatchObject({ ready: 6, workers: 1, silent: 0, shardsUnknown: lost })
      expect(part.value?.groups["default"]?.shardsUnknown).toEqual(lost)
      expect(part.value?.recommendedWorkers).toBeGreaterThanOrEqual(1)
      expect(part.ms).toBeLessThan(callMax)

      // owners: of the others as always; of what nobody can read an error in time, and no guess
      const [goneKey, thereKey] = [gone[0] ?? "", there[0] ?? ""]
      const found = await timed(pool.owner(thereKey))
      expect(found.value).toMatchObject({ session: worker.id, held: true })
      const unknown = await timed(pool.owner(goneKey))
      expect(unknown.error).toMatchObject({ _tag: "StoreUnavailable" })
      expect(unknown.ms).toBeLessThan(callMax)
      const [plan, workers, groups] = await Promise.all([timed(pool.plan()), timed(pool.workers()), timed(pool.groups.list())])
      expect([plan.value?.moves, workers.value?.length, groups.error]).toEqual([[], 1, undefined])

      const listed: string[] = []
      const listing = await timed(
        (async () => {
          for await (const { key } of pool.jobs()) listed.push(key)
        })(),
      )
      expect(listed.toSorted()).toEqual(there.toSorted())
      expect(listing.error).toMatchObject({ _tag: "StoreUnavailable", details: { shardsUnknown: lost } })
      expect(listing.ms).toBeLessThan(callMax)

      for (const call of [
        pool.job(goneKey),
        pool.stop(goneKey),
        pool.notify(goneKey, bytes),
        pool.dispatch(keysOn(true, 1)[0] ?? "", bytes),
        pool.dispatch(keysOn(true, 1)[0] ?? "", bytes, { startedWithinMs: 300 }),
      ].map((asked: Promise<unknown>) => timed(asked))) {
        const { error, ms } = await call
        expect(error).toMatchObject({ _tag: expect.stringMatching(/^(StoreUnavailable|WaitTimeout)$/) })
        expect(ms).toBeLessThan(callMax)
      }

      // runs, as a client lists them; they are in a pool of their own
      const runs: string[] = []
      const all = await timed(
        (async () => {
          for await (const { key } of client.sample.list()) runs.push(key)
        })(),
      )
      expect(runs.toSorted()).toEqual(runsThere)
      expect(all.error).toMatchObject({ _tag: "StoreUnavailable", details: { shardsUnknown: lostRuns } })
      expect(all.ms).toBeLessThan(callMax)
      const unknownShards: number[] = []
      for (let cursor: string | undefined = ""; cursor !== undefined;) {
        const page: { cursor: string | undefined; shardsUnknown: ReadonlyArray<number> } = await client.sample.page({ cursor, limit: 100 })
        unknownShards.push(...page.shardsUnknown)
        ;({ cursor } = page)
      }
      expect(unknownShards).toEqual(lostRuns)

      const result = await timed(pool.result(goneKey, { timeoutMs: 100 }))
      expect(result.error).toMatchObject({ _tag: "WaitTimeout" })
      expect(result.ms, "its own deadline, and not that of the store's calls").toBeLessThan(callTimeoutMs)

      // a schedule: what is on the others starts and stops all the same, and the rest is told
      const wanted = keysOn(false, 3)
      const scheduled = pool.schedule(
        "tenants",
        200,
        () => ({ start: [...gone, ...wanted].map((key) => ({ key, payload: bytes })), stopOthers: true }),
        { abortSignal: stop.signal },
      )
      const living = async (keys: ReadonlyArray<string>): Promise<ReadonlyArray<boolean>> =>
        await Promise.all(keys.map(async (key) => (await pool.job(key)) !== undefined))
      await waitFor(async () => (await living(wanted)).every(Boolean), "those that are wanted on the others are started")
      await waitFor(async () => !(await living(there)).some(Boolean), "those that are not wanted there end")
      await waitFor(() => events.some(({ type }) => type === "fault"), "what could not be done is told")

      broken.thaw()
      frozen = undefined
      stop.abort()
      await scheduled
      await waitFor(async () => (await pool.stats()).shardsUnknown.length === 0, "all shards answer again")
      expect((await living(gone)).every(Boolean)).toBe(true)
    } finally {
      stop.abort()
      frozen?.thaw()
      await client.close()
      await pool.close()
      await cluster.stop()
    }
  })

  test("which has the pool's own record ends what needs it in time", async () => {
    const cluster = await ownNodes(0, { "cluster-require-full-coverage": "no" })
    const name = uniqueName("broken")
    const pool = await Pool.join(name, { store: cluster.url, shards, callTimeoutMs })
    const broken = await cluster.primaryOf(slotOf(`p:{${name}}:`))
    try {
      await pool.dispatch("tenant", bytes)
      broken.freeze()
      const calls: ReadonlyArray<Promise<unknown>> = [
        pool.stats(),
        pool.owner("tenant"),
        pool.workers(),
        pool.plan(),
        pool.groupOf("tenant"),
      ]
      for (const call of calls.map((asked) => timed(asked))) {
        const { error, ms } = await call
        expect(error).toMatchObject({ _tag: "StoreUnavailable" })
        expect(ms).toBeLessThan(callMax)
      }
    } finally {
      broken.thaw()
      await pool.close()
      await cluster.stop()
    }
  })
})
