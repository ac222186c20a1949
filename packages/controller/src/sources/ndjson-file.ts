import { readText, toPath } from "./file.ts"
import type { Source, SourceRow } from "./source.ts"

async function* lines(path: string): AsyncGenerator<string> {
  let rest = ""
  for await (const piece of readText(path)) {
    const found = (rest + piece).split("\n")
    rest = found.pop() ?? ""
    yield* found
  }
  yield rest
}

async function* read(path: string): AsyncGenerator<SourceRow> {
  let number = 0
  for await (const line of lines(path)) {
    number++
    if (line.trim() === "") continue
    const position = `line ${number}`
    try {
      yield { position, value: JSON.parse(line) as unknown }
    } catch (error) {
      // one damaged line is one damaged tenant: the others are whole
      yield { position, error: new Error(`expected ${position} of ${path} to be JSON: ${(error as Error).message}`) }
    }
  }
}

/** A file with one JSON object a line. Read as a stream; empty lines are skipped. */
export const ndjsonFile = <I = any>(file: string | URL): Source<I> => {
  const path = toPath(file, "ndjsonFile")
  return { _tag: "Source", name: `file ${path}`, rows: () => read(path) }
}
