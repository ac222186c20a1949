import { describeRedis, redisUrl } from "../../../../tools/with-redis.ts"
import { blockedSuite } from "./blocked.ts"
import { cancelSuite } from "./cancels.ts"
import { childrenSuite } from "./children.ts"
import { endingSuite } from "./endings.ts"
import { interceptorSuite } from "./interceptors.ts"
import { interleavingSuite } from "./interleavings.ts"
import { limitSuite } from "./limits.ts"
import { runtimeSuite } from "./runtime.ts"
import { sharedSuite } from "./shared.ts"
import { stateSuite } from "./states.ts"

describeRedis("Redis", () => {
  runtimeSuite("Redis", redisUrl)
  interleavingSuite("Redis", redisUrl)
  limitSuite("Redis", redisUrl)
  interceptorSuite("Redis", redisUrl)
  endingSuite("Redis", redisUrl)
  sharedSuite("Redis", redisUrl)
  stateSuite("Redis", redisUrl)
  childrenSuite("Redis", redisUrl)
  cancelSuite("Redis", redisUrl)
  blockedSuite("Redis", redisUrl)
})
