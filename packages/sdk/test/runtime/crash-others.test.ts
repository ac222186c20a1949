import { randomUUID } from "node:crypto"
import { describe } from "vitest"
import { activityWorkflows } from "./activity-workflows.ts"
import { childWorkflows } from "./child-workflows.ts"
import { crashSuite } from "./crash-suite.ts"

describe("a crash at any write of a run with activities or children, on memory", () =>
  crashSuite([...activityWorkflows, ...childWorkflows], { store: () => `memory:${randomUUID()}`, every: 1, kills: () => true }))
