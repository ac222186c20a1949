// npm run clean: removes what builds leave behind, so that a deleted source file does not live on in dist/.
import { existsSync, readdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { root } from "./lib/setup.mjs"

const workspaces = ["packages", "examples"].flatMap((parent) => readdirSync(join(root, parent)).map((name) => join(parent, name)))
for (const workspace of ["", "bench", ...workspaces]) {
  for (const name of ["dist", ".cache", ".turbo", ".vitest"]) {
    const directory = join(root, workspace, name)
    if (!existsSync(directory)) continue
    rmSync(directory, { recursive: true })
    console.log(`removed ${join(workspace, name)}`)
  }
}
