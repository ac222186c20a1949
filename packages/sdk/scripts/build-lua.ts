/**
 * Builds src/engine/redis/scripts.ts from the .lua files beside it; `--check` fails when the committed file is stale.
 *
 * The header of a script is its schema: name, caller, keys, args, reply, and the includes it needs (one function a file, resolved
 * recursively, each once). A line `--- use "name"` in the code puts an include there instead of before the script: its functions are made only
 * where that line is reached, which takes half a microsecond from each call of a script that seldom needs them. The caller decides the flags of the `#!lua` line, by which Redis refuses a script whole before its first
 * write (B3): what an owner must do to keep or lose its shards works at `maxmemory`, what a client adds does not.
 */
import { createHash } from "node:crypto"
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"

const flags = { worker: " flags=allow-oom", member: " flags=allow-oom", client: "", reader: " flags=no-writes" } as const
type Caller = keyof typeof flags

/** A local is found faster than a global, or a field of one: 10 % of a script's time. */
const prelude = [
  "local call, ARGV, KEYS = redis.call, ARGV, KEYS",
  "local byte, char, find, format, gsub, match, sub = string.byte, string.char, string.find, string.format, string.gsub, string.match, string.sub",
].join("\n")

interface Script {
  readonly name: string
  readonly caller: Caller
  readonly keys: string
  readonly source: string
}

const root = join(import.meta.dirname, "../src/engine/redis")
const target = join(root, "scripts.ts")
const text = (path: string) => readFileSync(join(root, "lua", path), "utf8")
const header = (source: string) => source.split("\n").filter((line) => line.startsWith("---"))
const use = /^\s*--- use "([a-z_]+)"$/
const code = (source: string) => source.split("\n").filter((line) => !/^\s*--/.test(line) && line.trim() !== "")

function field(file: string, lines: ReadonlyArray<string>, name: string): string {
  const line = lines.find((candidate) => candidate.startsWith(`--- ${name}:`))
  if (!line) throw new Error(`${file}: expected a header line "--- ${name}: …", got none`)
  return line.slice(`--- ${name}:`.length).trim()
}

function includes(file: string, source: string): ReadonlyArray<string> {
  const line = header(source).find((candidate) => candidate.startsWith("--- include "))
  const names = [...(line ?? "").matchAll(/"([a-z_]+)"/g)].map((match) => match[1] ?? "")
  if (line && names.length === 0) throw new Error(`${file}: expected names in quotes after "--- include", got: ${line}`)
  return names
}

/** Depth first, so that a function stands before those that call it. */
function resolve(name: string, path: ReadonlyArray<string>, done: Map<string, string>): void {
  if (path.includes(name)) throw new Error(`includes form a circle: ${[...path, name].join(" → ")}`)
  if (done.has(name)) return
  const source = text(`include/${name}.lua`)
  for (const inner of includes(name, source)) resolve(inner, [...path, name], done)
  done.set(name, code(source).join("\n"))
}

function build(file: string): Script {
  const source = text(file)
  const lines = header(source)
  const name = field(file, lines, "name")
  const caller = field(file, lines, "caller")
  if (`${name}.lua` !== file) throw new Error(`${file}: expected its name to be that of the file, got: "${name}"`)
  if (!Object.hasOwn(flags, caller))
    throw new Error(`${file}: expected caller to be one of ${Object.keys(flags).join(", ")}, got: "${caller}"`)
  for (const required of ["args", "reply"]) field(file, lines, required)
  const parts = new Map<string, string>()
  for (const include of includes(file, source)) resolve(include, [], parts)
  const inner = (line: string): string => {
    const [, wanted] = use.exec(line) ?? []
    if (wanted === undefined) return line
    const more = new Map(parts)
    resolve(wanted, [], more)
    return [...more.values()].slice(parts.size).join("\n")
  }
  const body = source.split("\n").filter((line) => use.test(line) || code(line).length > 0)
  const built = [`#!lua${flags[caller as Caller]}`, prelude, ...parts.values(), ...body.map(inner), ""].join("\n")
  return { name, caller: caller as Caller, keys: field(file, lines, "keys"), source: built }
}

function print(scripts: ReadonlyArray<Script>): string {
  const entry = (script: Script) =>
    [
      `  ${script.name}: {`,
      `    name: "${script.name}",`,
      `    caller: "${script.caller}",`,
      `    keys: "${script.keys}",`,
      `    sha1: "${createHash("sha1").update(script.source).digest("hex")}",`,
      `    source: ${"`"}${script.source.replaceAll("\\", "\\\\").replaceAll("`", "\\`").replaceAll("${", "\\${")}${"`"},`,
      `  },`,
    ].join("\n")
  return `// DO NOT EDIT. Made by scripts/build-lua.ts from the files in lua/; \`npm run lua -w @ponos/sdk\` makes it anew.
/* oxlint-disable max-lines -- generated */

/** \`worker\`: carries a fence; \`member\`: of a session; \`client\`: anybody, refused at maxmemory; \`reader\`: writes nothing. */
export type Caller = ${Object.keys(flags)
    .map((caller) => `"${caller}"`)
    .join(" | ")}

export interface Script {
  readonly name: string
  readonly caller: Caller
  readonly keys: string
  readonly sha1: string
  readonly source: string
}

export const scripts = {
${scripts.map(entry).join("\n")}
} as const satisfies Record<string, Script>
`
}

const files = readdirSync(join(root, "lua")).filter((file) => file.endsWith(".lua"))
const output = print(files.toSorted().map(build))
if (process.argv.includes("--check")) {
  const present = readFileSync(target, "utf8")
  if (present !== output) {
    console.error("src/engine/redis/scripts.ts is stale: run `npm run lua -w @ponos/sdk` and commit the result")
    process.exitCode = 1
  }
} else {
  writeFileSync(target, output)
  console.log(`${files.length} scripts → src/engine/redis/scripts.ts`)
}
