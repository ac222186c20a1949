/** Everything but activities and children, on memory; those and Redis have files of their own, so that they run beside each other. */
import { randomUUID } from "node:crypto"
import { describe } from "vitest"
import { crashSuite } from "./crash-suite.ts"
import { endingWorkflows } from "./ending-workflows.ts"
import { workflows } from "./workflows.ts"

describe("a crash at any write, on memory", () =>
  crashSuite([...workflows, ...endingWorkflows], { store: () => `memory:${randomUUID()}`, every: 1, kills: () => true }))
