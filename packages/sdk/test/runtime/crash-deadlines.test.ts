import { randomUUID } from "node:crypto"
import { describe } from "vitest"
import { deadlineWorkflows } from "./activity-workflows.ts"
import { crashSuite } from "./crash-suite.ts"

describe("a crash at any write of a run whose activities are late, on memory", () =>
  crashSuite(deadlineWorkflows, { store: () => `memory:${randomUUID()}`, every: 1, kills: () => true }))
