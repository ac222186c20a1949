import { randomUUID } from "node:crypto"
import { runtimeSuite } from "./runtime.ts"

runtimeSuite("SQLite in memory", () => `memory:${randomUUID()}`)
