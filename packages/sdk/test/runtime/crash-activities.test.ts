import { randomUUID } from "node:crypto"
import { describe } from "vitest"
import { activityWorkflows } from "./activity-workflows.ts"
import { crashSuite } from "./crash-suite.ts"

describe("a crash at any write of a run with activities, on memory", () =>
  crashSuite(activityWorkflows, { store: () => `memory:${randomUUID()}`, every: 1, kills: () => true }))
