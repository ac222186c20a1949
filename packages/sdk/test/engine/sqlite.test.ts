import { afterAll, beforeAll } from "vitest"
import { conformance } from "./conformance.ts"
import { fileStore, memoryStore } from "./stores.ts"

let file: Awaited<ReturnType<typeof fileStore>>
beforeAll(async () => {
  file = await fileStore()
})
afterAll(() => file.clean())

conformance("a file", () => file)
conformance("memory", memoryStore)
