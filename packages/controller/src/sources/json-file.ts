import { readText, toPath } from "./file.ts"
import type { Source, SourceRow } from "./source.ts"

const quote = 0x22
const backslash = 0x5c
const comma = 0x2c
const isOpening = (code: number): boolean => code === 0x7b || code === 0x5b
const isClosing = (code: number): boolean => code === 0x7d || code === 0x5d

/**
 * Cuts the text of a JSON array into the texts of its elements, piece by piece, so that a file of any size is read in the memory of one
 * element. It only counts brackets outside of strings; `JSON.parse` judges the elements.
 */
export class ArraySplitter {
  #depth = 0
  #inString = false
  #escaped = false
  #element = ""
  #elements = 0
  #closed = false

  /** The array was closed: only white space may follow. */
  get closed(): boolean {
    return this.#closed
  }

  /** Elements that end in this piece. */
  *push(piece: string): Generator<string> {
    let start = 0
    for (let i = 0; i < piece.length; i++) {
      const code = piece.charCodeAt(i)
      if (this.#inString) {
        if (this.#escaped) this.#escaped = false
        else if (code === backslash) this.#escaped = true
        else if (code === quote) this.#inString = false
        continue
      }
      if (this.#depth === 0) {
        if (code <= 0x20) continue
        if (this.#closed || code !== 0x5b)
          throw new SyntaxError(`expected one JSON array of objects, got: ${JSON.stringify(piece.slice(i, i + 20))}`)
        this.#depth = 1
        start = i + 1
      } else if (code === quote) this.#inString = true
      else if (isOpening(code)) this.#depth++
      else if (isClosing(code)) {
        if (--this.#depth > 0) continue
        this.#closed = true
        yield* this.#end(piece.slice(start, i), true)
      } else if (code === comma && this.#depth === 1) {
        yield* this.#end(piece.slice(start, i), false)
        start = i + 1
      }
    }
    if (this.#depth > 0) this.#element += piece.slice(start)
  }

  *#end(text: string, last: boolean): Generator<string> {
    const element = this.#element + text
    this.#element = ""
    // "[]" has no element; "[1,]" has a broken one
    if (last && this.#elements === 0 && element.trim() === "") return
    this.#elements++
    yield element
  }
}

async function* read(path: string): AsyncGenerator<SourceRow> {
  const splitter = new ArraySplitter()
  let row = 0
  for await (const piece of readText(path)) {
    for (const element of splitter.push(piece)) {
      const position = `row ${++row}`
      let value: unknown
      try {
        value = JSON.parse(element)
      } catch (error) {
        // unlike a line of NDJSON, a syntax error in the middle leaves all that follows in doubt
        throw new SyntaxError(`expected ${position} of ${path} to be JSON: ${(error as Error).message}`)
      }
      yield { position, value }
    }
  }
  if (!splitter.closed)
    throw new SyntaxError(`expected ${path} to be one whole JSON array, but it ends before its "]": is it still being written?`)
}

/** A file with one JSON array of objects. Read as a stream. */
export const jsonFile = <I = any>(file: string | URL): Source<I> => {
  const path = toPath(file, "jsonFile")
  return { _tag: "Source", name: `file ${path}`, rows: () => read(path) }
}
