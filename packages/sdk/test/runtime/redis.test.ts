import { describeRedis, redisUrl } from "../../../../tools/with-redis.ts"
import { runtimeSuite } from "./runtime.ts"

describeRedis("Redis", () => runtimeSuite("Redis", redisUrl))
