// npm test: installs, builds, generates, finds a Redis (tools/test-redis.ts), runs the suite. The last line is `N passed, N failed[, N skipped]`.
import { build, install, runMain } from "./lib/setup.mjs"
import { runTests } from "./lib/run-tests.mjs"

runMain(async () => {
  await install()
  await build()
  return await runTests(process.argv.slice(2))
}, "0 passed, 1 failed")
