/** The whole suite on clusters: every script touches one slot only, or Redis refuses it, and each goes to the server that has the slot. */
import { afterAll, beforeAll } from "vitest"
import { conformance } from "./conformance.ts"
import { ownNodes, type TestCluster } from "./redis-nodes.ts"
import { describeOwnRedis, ownCluster, type OwnRedis } from "./redis-server.ts"
import { redisStore } from "./stores.ts"
import type { TestStore } from "./world.ts"

describeOwnRedis("Redis Cluster", () => {
  let redis: OwnRedis
  let store: TestStore | undefined
  beforeAll(async () => {
    redis = await ownCluster()
  })
  afterAll(() => redis.stop())
  conformance("a cluster of one", () => (store ??= redisStore(redis.url)))
})

describeOwnRedis("Redis Cluster of several", () => {
  let cluster: TestCluster
  let store: TestStore | undefined
  beforeAll(async () => {
    cluster = await ownNodes(0)
  })
  afterAll(() => cluster.stop())
  conformance(
    "a cluster of three",
    () =>
      (store ??= redisStore(
        cluster.url,
        cluster.primaries.map(({ port }) => `redis://127.0.0.1:${port}`),
      )),
  )
})
