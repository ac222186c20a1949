// The set-up that every command of this repository does for itself. Plain JavaScript without dependencies, because it runs before
// `npm ci`, on whatever Node the machine has (20 is enough); all later steps run on the Node 26 that `npm ci` brings.
import { spawn } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { delimiter, join, resolve } from "node:path"
import { fileURLToPath } from "node:url"

export const root = resolve(fileURLToPath(import.meta.url), "../../..")
const bin = join(root, "node_modules", ".bin")

/** The environment of every child: tools of node_modules/.bin first (Node 26 among them), and no telemetry. */
export function childEnv() {
  const path = `${bin}${delimiter}${process.env["PATH"] ?? ""}`
  return { ...process.env, PATH: path, TURBO_TELEMETRY_DISABLED: "1", DO_NOT_TRACK: "1" }
}

/** The Node to run TypeScript with: the one from `npm ci`, or this one, if it is new enough, on a platform for which npm has none. */
export function modernNode() {
  const local = join(bin, "node")
  if (existsSync(local)) return local
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
  if (major > 22 || (major === 22 && minor >= 18)) return process.execPath
  throw new SetupError(
    `no Node for ${process.platform}-${process.arch} came with npm ci, and ${process.version} is too old: install Node 22.18 or newer`,
  )
}

export class SetupError extends Error {}

/**
 * Runs a command in the repository, and passes signals on to it.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ cwd?: string, output?: "inherit" | "stderr" | "capture", env?: Record<string, string> }} [options]
 * @returns {Promise<{ code: number, output: string }>}
 */
export function run(command, args, options = {}) {
  const mode = options.output ?? "inherit"
  const stdio = mode === "inherit" ? "inherit" : mode === "stderr" ? ["inherit", 2, 2] : ["ignore", "pipe", "pipe"]
  return new Promise((done) => {
    const child = spawn(command, args, {
      cwd: options.cwd ?? root,
      env: { ...childEnv(), ...options.env },
      stdio: /** @type {any} */ (stdio),
    })
    let output = ""
    child.stdout?.on("data", (data) => (output += String(data)))
    child.stderr?.on("data", (data) => (output += String(data)))
    const pass = (/** @type {NodeJS.Signals} */ signal) => child.kill(signal)
    process.on("SIGINT", pass)
    process.on("SIGTERM", pass)
    const end = (/** @type {number} */ code) => {
      process.off("SIGINT", pass)
      process.off("SIGTERM", pass)
      done({ code, output })
    }
    child.on("error", (error) => {
      output += `${command}: ${error.message}\n`
      if (mode !== "capture") console.error(`${command}: ${error.message}`)
      end(127)
    })
    child.on("close", (code, signal) => end(code ?? (signal === "SIGINT" ? 130 : signal === "SIGTERM" ? 143 : 1)))
  })
}

/** Prints what it does on stderr, so that stdout belongs to the command itself. */
export function say(/** @type {string} */ line) {
  console.error(`• ${line}`)
}

/** Runs one step of the set-up quietly; its output is shown when it fails. */
async function step(/** @type {string} */ label, /** @type {string} */ command, /** @type {readonly string[]} */ args) {
  const started = Date.now()
  say(label)
  const { code, output } = await run(command, args, { output: "capture" })
  if (code !== 0) {
    console.error(output)
    throw new SetupError(`${label} failed (exit code ${code}) after ${((Date.now() - started) / 1000).toFixed(1)} s`)
  }
}

/** True when node_modules holds what the lockfile says. Compares contents, because git does not keep file times. */
export function isInstalled() {
  const installed = readLock(join(root, "node_modules", ".package-lock.json"))
  const wanted = readLock(join(root, "package-lock.json"))
  if (installed === undefined || wanted === undefined) return false
  for (const [path, entry] of Object.entries(wanted)) {
    const there = installed[path]
    if (path.startsWith("node_modules/") && there === undefined && !entry.optional && !entry.devOptional && !entry.peer) return false
    if (there !== undefined && there.version !== entry.version) return false
  }
  return Object.keys(installed).every((path) => wanted[path] !== undefined)
}

/** @returns {Record<string, { version?: string, optional?: boolean, devOptional?: boolean, peer?: boolean }> | undefined} */
function readLock(/** @type {string} */ file) {
  try {
    return JSON.parse(readFileSync(file, "utf8")).packages
  } catch {
    return undefined
  }
}

export async function install() {
  if (!isInstalled())
    await step("npm ci: node_modules is missing or does not match package-lock.json", "npm", ["ci", "--no-audit", "--no-fund"])
  modernNode()
}

export async function build() {
  await step("build: turbo run build generate", "turbo", ["run", "build", "generate", "--output-logs=errors-only"])
}

/**
 * Ends the process with the code of `main`; an error of the set-up is one line and code 1, followed by `lastLine` if there is one.
 * @param {() => Promise<number>} main
 * @param {string} [lastLine]
 */
export function runMain(main, lastLine) {
  main().then(
    (code) => {
      process.exitCode = code
    },
    (error) => {
      console.error(error instanceof SetupError ? `✗ ${error.message}` : error)
      if (lastLine !== undefined) console.log(lastLine)
      process.exitCode = 1
    },
  )
}
