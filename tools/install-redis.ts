/**
 * Installs redis-server with apt, where this process is root and apt exists. The package would start a system service on port 6379; a
 * policy-rc.d that answers 101 ("not allowed") for the time of the installation keeps it from doing so.
 */
import { spawn } from "node:child_process"
import { access, rm, writeFile } from "node:fs/promises"

const policyFile = "/usr/sbin/policy-rc.d"

export type Installed = { readonly ok: true } | { readonly ok: false; readonly why: string }

export async function installRedis(): Promise<Installed> {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return { ok: false, why: "not root on Linux" }
  if ((await apt(["--version"])).code !== 0) return { ok: false, why: "no apt-get" }
  console.error("• Redis for the tests: apt-get install redis-server")
  const ownPolicy = !(await exists(policyFile))
  if (ownPolicy) await writeFile(policyFile, "#!/bin/sh\nexit 101\n", { mode: 0o755 })
  try {
    const update = await apt(["update"])
    const install = await apt(["install", "-y", "--no-install-recommends", "redis-server"])
    if (install.code === 0) return { ok: true }
    return { ok: false, why: `apt-get failed: ${(install.output || update.output).trim().split("\n").slice(-2).join(" ")}` }
  } finally {
    if (ownPolicy) await rm(policyFile, { force: true })
  }
}

function apt(args: readonly string[]): Promise<{ code: number; output: string }> {
  return new Promise((done) => {
    const child = spawn("apt-get", args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" } })
    let output = ""
    child.stdout.on("data", (data) => (output += String(data)))
    child.stderr.on("data", (data) => (output += String(data)))
    child.on("error", (error) => done({ code: 127, output: error.message }))
    child.on("close", (code) => done({ code: code ?? 1, output }))
  })
}

async function exists(file: string): Promise<boolean> {
  return await access(file).then(
    () => true,
    () => false,
  )
}
