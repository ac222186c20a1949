import { randomUUID } from "node:crypto"
import { describeRedis, redisUrl } from "../../../../tools/with-redis.ts"
import { activitySuite } from "./activities.ts"

activitySuite("SQLite in memory", () => `memory:${randomUUID()}`)
describeRedis("Redis", () => activitySuite("Redis", redisUrl))
