/** The check of handlers: which files it reads, and what it answers. */
import { readdirSync, readFileSync, statSync } from "node:fs"
import { dirname, join, relative, resolve } from "node:path"
import { codeFrame, type Diagnostic, positionOf, render } from "./checker/diagnostic.ts"
import { checkHandlers as check } from "./checker/handlers.ts"
import { foundDefinition } from "./core.ts"
import type { HandlerModel, HandlerParser } from "./handler.ts"

export interface HandlerCheckOptions {
  /**
   * Files with handlers, and folders in which those that import a generated `worker.ts` are looked for; default: the folder of `jobs.def.ts`
   * or `src/jobs.def.ts` in `folder`. What they import from their own project is read with them.
   */
  readonly files?: ReadonlyArray<string>
  /** Against which relative paths are read and shown; default: the working directory. */
  readonly folder?: string
}

/** One mistake, as data and as text. */
export interface HandlerFinding {
  readonly code: string
  /** Relative to `folder`. */
  readonly file: string
  /** From 1; 1 also for a file that is not there. */
  readonly line: number
  readonly column: number
  readonly message: string
  readonly fix: string
  readonly frame: string
  /** All of it, for people. */
  readonly text: string
}

export interface HandlerCheckResult {
  readonly findings: ReadonlyArray<HandlerFinding>
  /** Implementations that were checked, and the files that they are in. */
  readonly jobs: number
  readonly files: ReadonlyArray<string>
}

export const checkHandlers = async (options: HandlerCheckOptions = {}, parser?: HandlerParser): Promise<HandlerCheckResult> => {
  const folder = resolve(options.folder ?? ".")
  const given = options.files ?? []
  const places = (given.length === 0 ? [dirname(foundDefinition(folder) ?? "jobs.def.ts")] : given).map((path) => resolve(folder, path))
  const files = [...new Set(places.flatMap((place) => (isFolder(place) ? handlerFiles(place) : [place])))]
  const model = (parser ?? (await defaultParser())).parseHandlers(files.map((file) => ({ file })))
  const diagnostics = check(model)
  const findings = (diagnostics.length === 0 && model.jobs.length === 0 ? [noHandlers(places)] : diagnostics).map((diagnostic) =>
    toFinding(diagnostic, model, folder),
  )
  return { findings, jobs: model.jobs.length, files: [...new Set(model.jobs.map(({ file }) => relative(folder, file)))] }
}

const defaultParser = async (): Promise<HandlerParser> => (await import("./parser/handler-files.ts")).tsMorphHandlerParser

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true

const isSource = /(?<!\.d)\.[cm]?tsx?$/
const skipped = /^(\..*|node_modules|dist|build|coverage|.*\.gen)$/
/** An import of generated worker stubs, whatever the folder above `ponos.gen` is. */
const importsStub = /["'][^"'\n]*ponos\.gen\/worker(\.[cm]?[jt]s)?["']/

const handlerFiles = (folder: string): ReadonlyArray<string> =>
  readdirSync(folder, { withFileTypes: true })
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry): ReadonlyArray<string> => {
      const path = join(folder, entry.name)
      if (entry.isDirectory()) return skipped.test(entry.name) ? [] : handlerFiles(path)
      return entry.isFile() && isSource.test(entry.name) && importsStub.test(readFileSync(path, "utf8")) ? [path] : []
    })

/** A check that finds nothing to check must not look like one that found nothing wrong. */
const noHandlers = (places: ReadonlyArray<string>): Diagnostic => ({
  code: "no-handlers",
  at: { file: places[0] ?? "", start: 0, end: 0 },
  message: "found no `implement({ run, … })` here.",
  fix: "Name the files with your handlers, or folders in which files import `ponos.gen/worker.ts`: ponos-gen check-handlers src",
})

const toFinding = (diagnostic: Diagnostic, { texts }: HandlerModel, folder: string): HandlerFinding => {
  const { code, at, message, fix } = diagnostic
  const source = texts.get(at.file)
  const { line, column } = source === undefined ? { line: 1, column: 1 } : positionOf(source, at.start)
  const frame = source === undefined ? "" : codeFrame(source, at)
  return { code, file: relative(folder, at.file) || ".", line, column, message, fix, frame, text: render(diagnostic, source, folder) }
}
