// npm run chaos: does its own set-up, then hurts a pool at random and judges what came of it. Needs redis-server on the PATH, or --store file.
import { join } from "node:path"
import { install, modernNode, root, run, runMain } from "./lib/setup.mjs"

runMain(async () => {
  await install()
  const main = join(root, "packages", "sdk", "test", "chaos", "main.ts")
  return (await run(modernNode(), ["--conditions=source", main, ...process.argv.slice(2)], { cwd: root })).code
})
