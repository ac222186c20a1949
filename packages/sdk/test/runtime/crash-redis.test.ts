import { describeRedis, redisUrl } from "../../../../tools/with-redis.ts"
import { crashSuite } from "./crash-suite.ts"
import { endingWorkflows } from "./ending-workflows.ts"
import { workflows } from "./workflows.ts"

describeRedis("a crash at every third write, on Redis", () =>
  crashSuite([...workflows, ...endingWorkflows], { store: redisUrl, every: 3, kills: (workflow) => workflow.activities === undefined }),
)
