import { describeRedis, redisUrl } from "../../../../tools/with-redis.ts"
import { activityWorkflows, deadlineWorkflows } from "./activity-workflows.ts"
import { childWorkflows } from "./child-workflows.ts"
import { crashSuite } from "./crash-suite.ts"

// A BullMQ worker of this process does not die with the pool's member: deaths under activities on Redis belong to tests with processes.
describeRedis("a crash at every third write of a run with activities or children, on Redis", () =>
  crashSuite([...activityWorkflows, ...deadlineWorkflows, ...childWorkflows], {
    store: redisUrl,
    every: 3,
    kills: (workflow) => workflow.activities === undefined,
  }),
)
