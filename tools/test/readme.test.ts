/** The README's code is taken out of it, generated from, compiled, and, where it can run alone, run. */
import { execFile } from "node:child_process"
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { promisify } from "node:util"
import { afterAll, beforeAll, expect, test } from "vitest"
import { checkHandlers, generate } from "@ponos/codegen"

const root = join(import.meta.dirname, "../..")
const run = promisify(execFile)

let folder = ""
beforeAll(async () => {
  // inside the project, so that its packages resolve
  mkdirSync(join(root, ".cache"), { recursive: true })
  folder = mkdtempSync(join(root, ".cache/readme-"))
  // the path is in the README, the test of its job in the docs
  const texts = ["README.md", "docs/runtime.md"].map((file) => readFileSync(join(root, file), "utf8")).join("\n")
  for (const [, name = "", code = ""] of texts.matchAll(/```ts\n\/\/ (\S+)\n([\s\S]*?)```/g)) writeFileSync(join(folder, name), code)
  copyFileSync(join(import.meta.dirname, "readme/feed.ts"), join(folder, "feed.ts"))
  writeFileSync(
    join(folder, "tsconfig.json"),
    JSON.stringify({ extends: "../../tsconfig.check.json", compilerOptions: { customConditions: ["source"] }, include: ["*.ts"] }),
  )
  const result = await generate({ folder })
  if (!result.ok) throw new Error(result.mistakes.join("\n"))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test("the README's code compiles", async () => {
  const tsc = join(root, "node_modules/typescript/bin/tsc")
  const { stdout } = await run(process.execPath, [tsc, "-p", folder]).catch((error: { stdout: string }) => error)
  expect(stdout).toBe("")
})

test("the README's handlers give the same each time", async () => {
  const { findings, jobs } = await checkHandlers({ folder })
  expect(findings.map(({ text }) => text)).toEqual([])
  expect(jobs).toBe(1)
})

test("the README's test of a job runs and passes", async () => {
  const { state } = (await import(join(folder, "feed.test.ts"))) as { state: unknown }
  expect(state).toMatchObject({ paused: false, cursor: 721 })
})
