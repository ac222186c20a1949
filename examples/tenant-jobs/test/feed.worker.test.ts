import { setTimeout as delay } from "node:timers/promises"
import { createWorker, type Worker } from "@ponos/sdk"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { uniqueName } from "../../../tools/with-redis.ts"
import type { ReadOptions } from "../src/feed.ts"
import { feedActivities, feedJob } from "../src/feed.worker.ts"
import { createClient, type Client, type TenantFeedHandle } from "../src/ponos.gen/client.ts"
import { FeedGone, Rejected } from "../src/ponos.gen/errors.ts"
import type { Post } from "../src/sink.ts"

/** The outside world of these tests: a feed with `emitted` events, and a receiver that says yes until told otherwise. */
const world = () => ({
  emitted: 0,
  gone: false,
  rejected: "",
  opened: [] as number[],
  ended: 0,
  reads: [] as ReadOptions[],
  posts: [] as Post[],
})

let it: ReturnType<typeof world>
let worker: Worker
let client: Client

beforeEach(async () => {
  it = world()
  const store = `memory:${uniqueName("feed")}`
  const job = feedJob(async (_, after) => {
    it.opened.push(after)
    return {
      read: async (options) => {
        it.reads.push(options)
        await delay(5)
        const events = Array.from({ length: Math.min(options.limit, it.emitted - options.after) }, (_, i) => ({
          number: options.after + i + 1,
          body: "…",
        }))
        return { events, next: options.after + events.length, gone: it.gone }
      },
      end: async () => void it.ended++,
    }
  })
  const activities = feedActivities({
    post: async (post) => {
      it.posts.push(post)
      return it.rejected === "" ? { accepted: post.events.length } : { rejected: it.rejected }
    },
  })
  worker = await createWorker({ pool: "feeds", store, shards: 4, jobs: [job], activities: [activities], signals: false })
  client = createClient({ pool: "feeds", store })
})

afterEach(async () => {
  await client.close()
  await worker.close()
})

const start = () => client.tenantFeed.start({ tenantId: "acme", url: "http://feed/acme", batchSize: 3, pollSeconds: 2, label: "v1" })

const delivers = async (feed: TenantFeedHandle, count: number) => {
  const deadline = performance.now() + 10_000
  for (let delivered = -1; delivered < count; { delivered } = await feed.query.progress()) {
    if (performance.now() > deadline) throw new Error(`${delivered} of ${count} events were delivered within 10 s`)
    await delay(10)
  }
}

describe("the job of a tenant's feed", () => {
  test("delivers all events in batches, once and in order, over one connection", async () => {
    const feed = await start()
    it.emitted = 7
    await delivers(feed, 7)
    expect(it.posts.flatMap(({ events }) => events.map(({ number }) => number))).toEqual([1, 2, 3, 4, 5, 6, 7])
    expect(it.posts[0]).toMatchObject({ tenant: "acme", label: "v1" })
    expect(it.posts[0]?.fence).toBeTypeOf("bigint")
    expect(new Set(it.posts.map(({ id }) => id)).size).toBe(it.posts.length)
    expect(it.opened).toEqual([0])
    expect(await feed.query.progress()).toMatchObject({ cursor: 7, delivered: 7 })
  })

  test("reads nothing while it is paused, and goes on where it was", async () => {
    const feed = await start()
    it.emitted = 2
    await delivers(feed, 2)
    await feed.signal.pause({ reason: "billing" })
    while (!(await feed.describe()).state?.paused) await delay(10)
    it.emitted = 4
    const { length } = it.reads
    await delay(100)
    expect(it.reads.length).toBe(length)
    await feed.signal.resume()
    await delivers(feed, 4)
  })

  test("waits as long as it was told last", async () => {
    const feed = await start()
    it.emitted = 1
    await delivers(feed, 1)
    expect(it.reads.at(-1)?.waitMs).toBe(2_000)
    expect(await feed.update.reconfigure({ pollSeconds: 0.5 })).toEqual({ previous: 2 })
    expect(await feed.update.reconfigure({ pollSeconds: 3 })).toEqual({ previous: 0.5 })
    it.emitted = 2
    await delivers(feed, 2)
    expect(it.reads.at(-1)?.waitMs).toBe(3_000)
  })

  test("ends with FeedGone when its feed was closed for ever", async () => {
    const feed = await start()
    it.gone = true
    await expect(feed.result({ timeout: "10 seconds" })).rejects.toSatisfy((error) => FeedGone.is(error) && error.status === 410)
    while (it.ended === 0) await delay(10)
  })

  test("ends with Rejected when the receiver will never take a delivery, without trying it again", async () => {
    const feed = await start()
    it.rejected = "no such tenant"
    it.emitted = 1
    await expect(feed.result({ timeout: "10 seconds" })).rejects.toSatisfy(
      (error) => Rejected.is(error) && error.reason === "no such tenant",
    )
    expect(it.posts).toHaveLength(1)
  })
})
