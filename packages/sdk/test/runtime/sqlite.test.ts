import { randomUUID } from "node:crypto"
import { blockedSuite } from "./blocked.ts"
import { cancelSuite } from "./cancels.ts"
import { childrenSuite } from "./children.ts"
import { endingSuite } from "./endings.ts"
import { interceptorSuite } from "./interceptors.ts"
import { interleavingSuite } from "./interleavings.ts"
import { limitSuite } from "./limits.ts"
import { runtimeSuite } from "./runtime.ts"
import { sharedSuite } from "./shared.ts"
import { stateSuite } from "./states.ts"

const memory = () => `memory:${randomUUID()}`

runtimeSuite("SQLite in memory", memory)
interleavingSuite("SQLite in memory", memory)
limitSuite("SQLite in memory", memory)
interceptorSuite("SQLite in memory", memory)
endingSuite("SQLite in memory", memory)
sharedSuite("SQLite in memory", memory)
stateSuite("SQLite in memory", memory)
childrenSuite("SQLite in memory", memory)
cancelSuite("SQLite in memory", memory)
blockedSuite("SQLite in memory", memory)
