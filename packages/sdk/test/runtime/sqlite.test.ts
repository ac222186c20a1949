import { randomUUID } from "node:crypto"
import { interleavingSuite } from "./interleavings.ts"
import { limitSuite } from "./limits.ts"
import { runtimeSuite } from "./runtime.ts"

const memory = () => `memory:${randomUUID()}`

runtimeSuite("SQLite in memory", memory)
interleavingSuite("SQLite in memory", memory)
limitSuite("SQLite in memory", memory)
