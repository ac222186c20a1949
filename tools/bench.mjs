// npm run bench: does its own set-up, then measures on the built packages. Set-up output goes to stderr: stdout is the bench's.
import { join } from "node:path"
import { build, install, modernNode, root, run, runMain } from "./lib/setup.mjs"

runMain(async () => {
  await install()
  await build()
  return (await run(modernNode(), [join(root, "bench", "src", "main.ts"), ...process.argv.slice(2)], { cwd: join(root, "bench") })).code
})
