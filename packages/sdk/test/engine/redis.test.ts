import { describeRedis } from "../../../../tools/with-redis.ts"
import { conformance } from "./conformance.ts"
import { redisStore } from "./stores.ts"
import type { TestStore } from "./world.ts"

describeRedis("Redis", () => {
  let store: TestStore | undefined
  conformance("Redis", () => (store ??= redisStore()))
})
