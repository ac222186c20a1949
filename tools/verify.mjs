// npm run verify: exactly what CI runs. Stages in order of cost, one line each, ending at the first that fails; then the whole suite.
import { install, run, runMain, SetupError } from "./lib/setup.mjs"
import { runTests } from "./lib/run-tests.mjs"

const published = ["packages/sdk", "packages/codegen", "packages/controller"]

/** @type {readonly (readonly [name: string, ...commands: (readonly string[])[]])[]} */
const stages = [
  ["format", ["oxfmt", "--check", "."]],
  ["build", ["turbo", "run", "build", "--output-logs=errors-only"]],
  ["generate --check", ["npm", "run", "generate", "-w", "examples/tenant-jobs", "--", "--check"]],
  ["check-handlers", ["ponos-gen", "check-handlers", "examples", "packages/controller/src/job.ts"]],
  ["lua --check", ["npm", "run", "lua", "-w", "packages/sdk", "--", "--check"]],
  ["lint", ["oxlint", "--type-aware"]],
  ["typecheck", ["turbo", "run", "typecheck", "--output-logs=errors-only"], ["tsc", "-p", "tools"]],
  ["publint", ...published.map((path) => ["publint", "--strict", path])],
  ["attw", ...published.map((path) => ["attw", "--pack", path, "--profile", "esm-only"])],
]

runMain(async () => {
  const started = Date.now()
  await install()
  for (const [name, ...commands] of stages) await stage(name, commands)
  console.log(`static checks passed in ${seconds(started)}; now the tests`)
  return await runTests(process.argv.slice(2))
}, "0 passed, 1 failed")

async function stage(/** @type {string} */ name, /** @type {readonly (readonly string[])[]} */ commands) {
  const started = Date.now()
  for (const [command = "", ...args] of commands) {
    const { code, output } = await run(command, args, { output: "capture" })
    if (code === 0) continue
    console.log(output)
    throw new SetupError(`${name} failed (${[command, ...args].join(" ")}, exit code ${code}) after ${seconds(started)}`)
  }
  console.log(`✓ ${name.padEnd(18)} ${seconds(started)}`)
}

function seconds(/** @type {number} */ since) {
  return `${((Date.now() - since) / 1000).toFixed(1)} s`
}
