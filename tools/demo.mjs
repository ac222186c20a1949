// npm run demo: does its own set-up, then runs the main example on the built packages. Set-up output goes to stderr: stdout is the demo's.
import { join } from "node:path"
import { build, install, modernNode, root, run, runMain } from "./lib/setup.mjs"

runMain(async () => {
  await install()
  await build()
  const demo = join(root, "examples", "tenant-jobs", "src", "demo.ts")
  return (await run(modernNode(), [demo, ...process.argv.slice(2)], { cwd: join(root, "examples", "tenant-jobs") })).code
})
