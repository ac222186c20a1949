/** The parser on ts-morph, which brings its own TypeScript: it does not touch the one that the user has installed. */
import { dirname } from "node:path"
import { Project, ts } from "ts-morph"
import type { Definition, Parser, SourceInput } from "../domain.ts"
import { readDefinition } from "./definition.ts"
import { ambientFile, ambientText } from "./global.ts"
import { Report } from "./report.ts"

const compilerOptions: ts.CompilerOptions = {
  target: ts.ScriptTarget.ESNext,
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  // Without the DOM's types the first question to the checker is a third faster.
  lib: ["lib.esnext.d.ts"],
  types: [],
  strict: true,
  exactOptionalPropertyTypes: true,
  noEmit: true,
  allowImportingTsExtensions: true,
  skipLibCheck: true,
}

export const tsMorphParser: Parser = {
  parse(files) {
    const project = new Project({ compilerOptions, skipAddingFilesFromTsConfig: true, skipFileDependencyResolution: true })
    project.createSourceFile(ambientFile, ambientText)
    const found = files.map((file) => ({ file, source: add(project, file) }))
    const program = project.getProgram().compilerObject
    return found.map(({ file, source }) => (source === undefined ? missing(file) : read(program, file, source)))
  },
}

const add = (project: Project, { file, text }: SourceInput): string | undefined =>
  (text === undefined
    ? project.addSourceFileAtPathIfExists(file)
    : project.createSourceFile(file, text, { overwrite: true })
  )?.getFilePath()

const read = (program: ts.Program, { file }: SourceInput, path: string): Definition => {
  const source = program.getSourceFile(path)
  if (source === undefined) return missing({ file })
  const report = new Report()
  const read = readDefinition(program, source, report)
  return { file: path, problems: report.problems, texts: report.texts, ...read }
}

const missing = ({ file }: SourceInput): Definition => ({
  file,
  jobs: [],
  named: new Map(),
  texts: new Map(),
  problems: [{ code: "missing-file", at: { file, start: 0, end: 0 }, path: "", found: dirname(file) }],
})
