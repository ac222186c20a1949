/** The whole suite on a cluster of one server: every script then touches one slot only, or Redis refuses it. */
import { afterAll, beforeAll } from "vitest"
import { conformance } from "./conformance.ts"
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
