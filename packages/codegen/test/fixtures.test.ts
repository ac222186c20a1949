/** Fixture in, generated files out: `vitest -u` writes them anew, and the difference is read in review. */
import { execFile } from "node:child_process"
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { describe, expect, test } from "vitest"
import { check } from "../src/checker/check.ts"
import { version } from "../src/core.ts"
import { tsMorphParser } from "../src/parser/ts-morph.ts"
import { printDefinition } from "../src/printer/print.ts"
import { printSchemas } from "../src/printer/schemas.ts"

const root = fileURLToPath(new URL("fixtures", import.meta.url))
const names = readdirSync(root).filter((name) => existsSync(join(root, name, "jobs.def.ts")))
const definitions = tsMorphParser.parse(names.map((name) => ({ file: join(root, name, "jobs.def.ts") })))

describe("generated files of a fixture", () => {
  test.each(names)("%s", async (name) => {
    const definition = definitions[names.indexOf(name)]
    if (definition === undefined) throw new Error(`${name} was not parsed`)
    expect(check([definition])).toEqual([])
    const printed = printDefinition(definition, { module: "../jobs.def.ts", version })
    for (const [file, text] of printed) await expect(text).toMatchFileSnapshot(join(root, name, "ponos.gen", file))
    const uncast = join(root, name, "uncast.generated.ts")
    if (!existsSync(uncast)) return
    const preamble = "// Schemas with the types that Effect infers: schema.typecheck.ts compares them with those of jobs.def.ts."
    await expect(printSchemas({ definition, module: "./jobs.def.ts", preamble }, { cast: false })).toMatchFileSnapshot(uncast)
  })
})

test("generated files pass isolatedDeclarations", async () => {
  // The definitions themselves cannot pass it (rule 24), so the compiler complains, but never about a generated file.
  const compiler = fileURLToPath(new URL("../../../node_modules/.bin/tsc", import.meta.url))
  const { stdout } = await promisify(execFile)(compiler, ["-p", root, "--pretty", "false"]).catch(
    (error: unknown) => error as { stdout: string },
  )
  const files = stdout.split("\n").flatMap((line) => /^(\S+)\(\d+,\d+\): error/.exec(line)?.[1] ?? [])
  expect(files.filter((file) => file.includes("/ponos.gen/"))).toEqual([])
  expect(files.some((file) => file.endsWith("jobs.def.ts"))).toBe(true)
})
