/** Handlers in, findings out: `vitest -u` writes them anew, and the difference is read in review. */
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { describe, expect, test } from "vitest"
import { checkHandlers as check } from "../src/checker/handlers.ts"
import { checkHandlers } from "../src/handler-check.ts"
import { tsMorphHandlerParser } from "../src/parser/handler-files.ts"

const root = fileURLToPath(new URL("fixtures/handlers", import.meta.url))
const names = readdirSync(root, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []))
const project = fileURLToPath(new URL("../../..", import.meta.url))

describe("findings in a fixture", () => {
  test.each(names)("%s", async (name) => {
    const folder = join(root, name)
    const { findings, files } = await checkHandlers({ folder, files: ["feed.worker.ts"] })
    expect(files).toEqual(["feed.worker.ts"])
    await expect(findings.map(({ text }) => text).join("\n")).toMatchFileSnapshot(join(folder, "findings.txt"))
  })
})

test.each(["inside-steps", "own-names"])("the fixture %s has no findings", async (name) => {
  expect((await checkHandlers({ folder: join(root, name), files: ["feed.worker.ts"] })).findings).toEqual([])
})

test("the examples have no findings", async () => {
  const result = await checkHandlers({ folder: project, files: ["examples"] })
  expect(result.findings.map(({ text }) => text)).toEqual([])
  expect(result.jobs).toBeGreaterThan(1)
})

test("a file that does not parse is named", () => {
  const text = "export const feed = tenantFeed.implement({ run: async (job) => { Date.now() }"
  const model = tsMorphHandlerParser.parseHandlers([{ file: "/broken/feed.worker.ts", text }])
  expect(check(model).map(({ code }) => code)).toContain("syntax")
})
