import { randomUUID } from "node:crypto"
import { describe } from "vitest"
import { childWorkflows } from "./child-workflows.ts"
import { crashSuite } from "./crash-suite.ts"

describe("a crash at any write of a run with children, on memory", () =>
  crashSuite(childWorkflows, { store: () => `memory:${randomUUID()}`, every: 1, kills: () => true }))
