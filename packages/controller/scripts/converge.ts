/**
 * Measures the time to converge N tenants: `node --conditions=source scripts/converge.ts <store> <tenants>`, from packages/controller.
 * One process is controller and worker. Converged: the handler of every tenant has run with the desired input.
 */
import { setTimeout as delay } from "node:timers/promises"
import { createWorker } from "@ponos/sdk"
import type { JobHandlers } from "@ponos/sdk/gen"
import { internals } from "@ponos/sdk/internal"
import { createController } from "../src/index.ts"
import { feedClient, type FeedInput, feedStub } from "../test/feed.ts"

const [store = "memory:converge", count = "1000"] = process.argv.slice(2)
const total = Number(count)
const pool = `converge-${process.pid}`
const seen = new Map<string, number>()
let rows: ReadonlyArray<FeedInput> = []

const client = feedClient({ pool, store })
const engine = await client.tenantFeed[internals].engine()
const controller = createController({ job: client.tenantFeed, desired: () => rows, every: "1 hour", guard: { maxStopRatio: 1 } })
const handlers = feedStub.implement({
  init: () => ({ seen: 0 }),
  run: async (job: { key: string; input: FeedInput; again(options: object): unknown }) => {
    seen.set(job.key, job.input.pollSeconds)
    return job.again({ after: "1 hour" })
  },
}) as JobHandlers
const worker = await createWorker({ pool, engine, jobs: [handlers], controllers: [controller], signals: false })
while ((await controller.status()).passes === 0) await delay(10)

const tenants = (pollSeconds: number): Array<FeedInput> =>
  Array.from({ length: total }, (_, n) => ({ tenantId: `tenant-${n}`, pollSeconds }))
const measure = async (what: string, next: ReadonlyArray<FeedInput>, converged: () => boolean): Promise<void> => {
  rows = next
  const began = performance.now()
  const { durationMs, applied, listedShards } = await controller.reconcile({ timeout: "10 minutes" })
  while (!converged()) await delay(2)
  const convergedMs = Math.round(performance.now() - began)
  const done = applied.create + applied.update + applied.stop
  process.stdout.write(`${JSON.stringify({ what, passMs: durationMs, convergedMs, actions: done, listedShards })}\n`)
}

await measure("create all", tenants(5), () => seen.size === total)
await measure("no drift", tenants(5), () => true)
await measure("update all", tenants(6), () => [...seen.values()].every((pollSeconds) => pollSeconds === 6))
await measure("update one", [{ tenantId: "tenant-0", pollSeconds: 7 }, ...tenants(6).slice(1)], () => seen.get("tenant-0") === 7)
await measure("stop all but one", tenants(6).slice(0, 1), () => true)
await worker.drain()
await client.close()
