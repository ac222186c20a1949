// Runs vitest on Node 26 and counts from its JSON report, so that a file that fails to load counts as a failure too.
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { modernNode, root, run } from "./setup.mjs"

/**
 * @typedef {{ status: string, fullName: string }} TestReport
 * @typedef {{ status: string, assertionResults: TestReport[] }} FileReport
 */

const skippedByRedis = "PONOS_TEST_REDIS=skip"

/** @returns {Promise<number>} the exit code */
export async function runTests(/** @type {readonly string[]} */ args) {
  const directory = mkdtempSync(join(tmpdir(), "ponos-test-report-"))
  const report = join(directory, "report.json")
  const vitest = join(root, "node_modules", "vitest", "vitest.mjs")
  // One reporter flag of the caller's replaces the default one, and the JSON report stays.
  const reporters = args.some((arg) => arg.startsWith("--reporter")) ? [] : ["--reporter=default"]
  const outputs = [...reporters, "--reporter=json", `--outputFile.json=${report}`]
  try {
    const { code } = await run(modernNode(), [vitest, "run", ...outputs, ...args])
    const counts = count(readReport(report))
    // Errors outside of any test (global set-up, unhandled rejections) show only in the exit code.
    if (code !== 0 && counts.failed === 0) counts.failed = 1
    if (counts.skippedByRedis > 0) console.log(`${skippedByRedis}: ${counts.skippedByRedis} tests that need a Redis were skipped`)
    console.log(summary(counts))
    return counts.failed > 0 ? code || 1 : 0
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** @returns {FileReport[]} */
function readReport(/** @type {string} */ file) {
  try {
    return JSON.parse(readFileSync(file, "utf8")).testResults
  } catch {
    return [] // vitest ended before it wrote the report; its exit code tells
  }
}

export function count(/** @type {readonly FileReport[]} */ files) {
  const counts = { passed: 0, failed: 0, skipped: 0, skippedByRedis: 0 }
  for (const file of files) {
    const tests = file.assertionResults
    for (const test of tests) {
      if (test.status === "passed") counts.passed++
      else if (test.status === "failed") counts.failed++
      else {
        counts.skipped++
        if (test.fullName.includes(skippedByRedis)) counts.skippedByRedis++
      }
    }
    if (file.status === "failed" && !tests.some((test) => test.status === "failed")) counts.failed++
  }
  return counts
}

export function summary(/** @type {{ passed: number, failed: number, skipped: number }} */ counts) {
  const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : ""
  return `${counts.passed} passed, ${counts.failed} failed${skipped}`
}
