/** Order of the stages, and what is written where. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { basename, dirname, join, relative, resolve, sep } from "node:path"
import { check } from "./checker/check.ts"
import { render } from "./checker/diagnostic.ts"
import type { Definition, Parser } from "./domain.ts"
import { printDefinition } from "./printer/print.ts"

export interface GenerateOptions {
  /** Definition files; default: `jobs.def.ts` or `src/jobs.def.ts` in `folder`. */
  readonly files?: ReadonlyArray<string>
  /** Output folder; default: `ponos.gen` beside each definition file. */
  readonly out?: string | undefined
  /** Writes nothing: `created` and `updated` then mean stale. */
  readonly check?: boolean
  /** Against which relative paths are read and shown; default: the working directory. */
  readonly folder?: string
}

export interface FileChange {
  /** Relative to `folder`. */
  readonly file: string
  readonly change: "created" | "updated" | "unchanged"
}

export type GenerateResult =
  | { readonly ok: true; readonly files: ReadonlyArray<FileChange>; readonly jobs: number }
  /** Rendered mistakes; nothing was written. */
  | { readonly ok: false; readonly mistakes: ReadonlyArray<string> }

export const version: string = (createRequire(import.meta.url)("../package.json") as { version: string }).version

const defaults = ["jobs.def.ts", join("src", "jobs.def.ts")]

export const generate = async (options: GenerateOptions = {}, parser?: Parser): Promise<GenerateResult> => {
  const folder = resolve(options.folder ?? ".")
  const given = options.files ?? []
  const files = (given.length === 0 ? defaultFile(folder) : given).map((file) => resolve(folder, file))
  const outputs = new Map(files.map((file) => [file, outputFolder(file, folder, options.out)]))
  const shared = sharedOutput(outputs, folder)
  if (shared !== undefined) return { ok: false, mistakes: [shared] }
  const definitions = (parser ?? (await defaultParser())).parse([...outputs.keys()].map((file) => ({ file })))
  const mistakes = renderAll(definitions, folder)
  if (mistakes.length > 0) return { ok: false, mistakes }
  const folders = [...outputs.values()]
  const changes = definitions.flatMap((definition, index) =>
    writeDefinition(definition, folders[index] ?? folder, folder, options.check === true),
  )
  return { ok: true, files: changes, jobs: definitions.reduce((sum, { jobs }) => sum + jobs.length, 0) }
}

/** Loading the compiler takes half a second, which `--help` need not wait for. */
const defaultParser = async (): Promise<Parser> => (await import("./parser/ts-morph.ts")).tsMorphParser

const defaultFile = (folder: string): ReadonlyArray<string> => [foundDefinition(folder) ?? "jobs.def.ts"]

/** Relative to `folder`. */
export const foundDefinition = (folder: string): string | undefined => defaults.find((file) => existsSync(join(folder, file)))

const outputFolder = (file: string, folder: string, out: string | undefined): string =>
  out === undefined ? join(dirname(file), "ponos.gen") : resolve(folder, out)

const sharedOutput = (outputs: ReadonlyMap<string, string>, folder: string): string | undefined => {
  const seen = new Map<string, string>()
  for (const [file, out] of outputs) {
    const before = seen.get(out)
    if (before !== undefined) {
      const [a, b, where] = [before, file, out].map((path) => relative(folder, path))
      return `${a} and ${b} would both be written to ${where}.\n\n  fix: Keep one definition file per folder, or run ponos-gen once for each with its own --out.\n`
    }
    seen.set(out, file)
  }
  return undefined
}

/** All mistakes as text, in the order of files and lines. */
export const renderAll = (definitions: ReadonlyArray<Definition>, folder: string): ReadonlyArray<string> => {
  const texts = new Map(definitions.flatMap((definition) => [...definition.texts]))
  return check(definitions).map((diagnostic) => render(diagnostic, texts.get(diagnostic.at.file), folder))
}

const writeDefinition = (definition: Definition, out: string, folder: string, isCheck: boolean): ReadonlyArray<FileChange> => {
  const printed = printDefinition(definition, { module: specifier(out, definition.file), version })
  return [...printed].map(([name, text]): FileChange => {
    const path = join(out, name)
    const before = existsSync(path) ? readFileSync(path, "utf8").replaceAll("\r\n", "\n") : undefined
    const change = before === undefined ? "created" : before === text ? "unchanged" : "updated"
    if (change !== "unchanged" && !isCheck) {
      mkdirSync(out, { recursive: true })
      writeFileSync(path, text)
    }
    return { file: relative(folder, path), change }
  })
}

const specifier = (from: string, file: string): string => {
  const path = join(relative(from, dirname(file)), basename(file))
    .split(sep)
    .join("/")
  return path.startsWith(".") ? path : `./${path}`
}
