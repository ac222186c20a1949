/** The command as its user runs it: files, words and exit codes. */
import { execFile } from "node:child_process"
import { appendFileSync, cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterEach, beforeEach, expect, test } from "vitest"

const bin = fileURLToPath(new URL("../src/bin.ts", import.meta.url))
const feed = fileURLToPath(new URL("fixtures/feed/jobs.def.ts", import.meta.url))
let folder = ""
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "ponos-gen-"))
})
afterEach(() => rmSync(folder, { recursive: true }))

interface Outcome {
  readonly code: number
  readonly out: string
  readonly err: string
}
const run = (...args: ReadonlyArray<string>): Promise<Outcome> =>
  new Promise((resolve) => {
    execFile(process.execPath, ["--conditions=source", bin, ...args], { cwd: folder }, (error, out, err) => {
      resolve({ code: typeof error?.code === "number" ? error.code : error === null ? 0 : -1, out, err })
    })
  })

const files = ["schemas.ts", "errors.ts", "contracts.ts", "client.ts", "worker.ts", "contract.json"]

test("says per file what it did, and writes only what is new", async () => {
  cpSync(feed, join(folder, "jobs.def.ts"))
  expect(await run("--check")).toMatchObject({ code: 1, out: "" })
  expect(readdirSync(folder)).toEqual(["jobs.def.ts"])

  const first = await run()
  expect(first).toEqual({ code: 0, err: "", out: `${files.map((file) => `created   ponos.gen/${file}`).join("\n")}\n1 job, 6 files\n` })
  const written = statSync(join(folder, "ponos.gen/client.ts")).mtimeMs
  const second = await run()
  expect(second.out.match(/^unchanged/gm)).toHaveLength(6)
  expect(statSync(join(folder, "ponos.gen/client.ts")).mtimeMs).toBe(written)
  expect(await run("--check")).toMatchObject({ code: 0, err: "" })

  appendFileSync(join(folder, "ponos.gen/client.ts"), "// by hand\n")
  rmSync(join(folder, "ponos.gen/errors.ts"))
  const stale = await run("--check")
  expect(stale.code).toBe(1)
  expect(stale.err).toBe(
    "missing ponos.gen/errors.ts\nstale ponos.gen/client.ts\n2 generated files out of date. Run ponos-gen and commit the result.\n",
  )
  expect(readdirSync(join(folder, "ponos.gen"))).not.toContain("errors.ts")
  expect((await run()).out).toMatch(/^created {3}ponos.gen\/errors.ts$[^]*^updated {3}ponos.gen\/client.ts$/m)
})

test("finds src/jobs.def.ts, takes several files, and writes to --out", async () => {
  mkdirSync(join(folder, "src"))
  cpSync(feed, join(folder, "src/jobs.def.ts"))
  expect((await run()).out).toContain("created   src/ponos.gen/client.ts")
  mkdirSync(join(folder, "b"))
  writeFileSync(
    join(folder, "b/jobs.def.ts"),
    'import { defineJob, type } from "@ponos/sdk/define"\nexport const b = defineJob({ kind: "b", input: type<{ id: string }>(), key: "id" })\n',
  )
  expect((await run("src/jobs.def.ts", "b/jobs.def.ts")).out).toContain("2 jobs, 12 files")
  const out = await run("b/jobs.def.ts", "--out", "generated/b")
  expect(out.out).toContain("created   generated/b/worker.ts")
  expect(await run("src/jobs.def.ts", "b/jobs.def.ts", "--out", "generated")).toMatchObject({ code: 1 })
})

test("names mistakes, writes nothing and fails", async () => {
  writeFileSync(
    join(folder, "jobs.def.ts"),
    'import { defineJob, type } from "@ponos/sdk/define"\nexport const b = defineJob({ kind: "B", input: type<{ id: Date }>(), key: "id" })\n',
  )
  const { code, out, err } = await run()
  expect({ code, out }).toEqual({ code: 1, out: "" })
  expect(err).toMatch(/^jobs\.def\.ts:2:36 kind-grammar: /)
  expect(err).toMatch(/^jobs\.def\.ts:2:75 key-field: /m)
  expect(err).toMatch(/2 mistakes; nothing was written\n$/)
  expect(readdirSync(folder)).toEqual(["jobs.def.ts"])
})

test("says what to do without a definition file, and refuses unknown options", async () => {
  const missing = await run()
  expect(missing.code).toBe(1)
  expect(missing.err).toMatch(/^jobs\.def\.ts missing-file: expected the definition file .*jobs\.def\.ts, found none\./)
  expect(await run("--chek")).toMatchObject({ code: 1 })
  expect((await run("--version")).out).toMatch(/\d+\.\d+\.\d+/)
})

const handlers = (body: string): string =>
  `import { tenantFeed } from "./ponos.gen/worker.ts"\nexport const job = tenantFeed.implement({\n  run: async (job) => {\n    ${body}\n    return job.again()\n  },\n})\n`

test("check-handlers finds the handlers below the definition, and fails when one is not the same each time", async () => {
  mkdirSync(join(folder, "src/node_modules"), { recursive: true })
  cpSync(feed, join(folder, "src/jobs.def.ts"))
  writeFileSync(join(folder, "src/node_modules/other.ts"), handlers("Date.now()"))
  writeFileSync(join(folder, "src/feed.ts"), "export const clock = () => Date.now()\n")
  writeFileSync(join(folder, "src/feed.worker.ts"), handlers('await job.step("now", () => Date.now())'))
  expect(await run("check-handlers")).toEqual({ code: 0, err: "", out: "1 job in 1 file: no findings\n" })

  writeFileSync(join(folder, "src/feed.worker.ts"), handlers("job.state.cursor = Date.now()"))
  const { code, out, err } = await run("check-handlers")
  expect({ code, out }).toEqual({ code: 1, out: "" })
  expect(err).toMatchInlineSnapshot(`
    "src/feed.worker.ts:4:24 clock: \`Date.now()\` in \`run\` of \`tenantFeed\` gives another time when the handler is replayed.

        2 | export const job = tenantFeed.implement({
        3 |   run: async (job) => {
      > 4 |     job.state.cursor = Date.now()
          |                        ^^^^^^^^^^
        5 |     return job.again()
        6 |   },

      fix: Write \`job.now().getTime()\`, the same on replay; to measure how long something takes, do it inside one step.

    1 finding; 1 job in 1 file checked
    "
  `)

  const json = await run("check-handlers", "src/feed.worker.ts", "--json")
  expect(json).toMatchObject({ code: 1, err: "" })
  expect(JSON.parse(json.out)).toEqual({
    findings: [
      {
        code: "clock",
        file: "src/feed.worker.ts",
        line: 4,
        column: 24,
        message: expect.stringContaining("`Date.now()` in `run` of `tenantFeed`"),
        fix: expect.stringContaining("`job.now().getTime()`"),
        frame: expect.stringContaining("> 4 |     job.state.cursor = Date.now()"),
      },
    ],
    jobs: 1,
    files: ["src/feed.worker.ts"],
  })
})

test("check-handlers fails when it has nothing to check", async () => {
  const none = await run("check-handlers")
  expect(none.code).toBe(1)
  expect(none.err).toMatch(/no-handlers: found no /)
  const missing = await run("check-handlers", "src/feed.worker.ts")
  expect(missing.code).toBe(1)
  expect(missing.err).toMatch(/^src\/feed\.worker\.ts missing-file: expected a file or a folder with handlers at .*, found none\./)
})
