/** Where desired tenants come from: anything that can be read from its beginning at each pass. */
import { BadOption } from "@ponos/sdk"

export interface SourceRow {
  /** Where the row stands, for messages: "row 3", "line 12". */
  readonly position: string
  /** The row as the job's input, not yet checked. */
  readonly value?: unknown
  /** The row itself cannot be read; the others can. */
  readonly error?: Error
}

/** A readable set of inputs; `I` is the job's input type. */
export interface Source<I> {
  readonly _tag: "Source"
  /** For messages: "file tenants.json". */
  readonly name: string
  /** Reads all rows from the beginning. Throws when the source cannot be read whole; then nothing is stopped (G-2). */
  rows(): AsyncIterable<SourceRow>
  /** Covariant phantom. */
  readonly _I?: () => I
}

type Rows<I> = Iterable<I> | AsyncIterable<I>

/** What `desired` may be. A function is called at each pass. */
export type Desired<I> = Rows<I> | Source<I> | (() => Rows<I> | Source<I> | Promise<Rows<I> | Source<I>>)

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null

export const isSource = (value: unknown): value is Source<unknown> => isObject(value) && "_tag" in value && value._tag === "Source"

const isRows = (value: unknown): value is Rows<unknown> => isObject(value) && (Symbol.iterator in value || Symbol.asyncIterator in value)

/** Generators and streams can be read once only. */
const isOneShot = (value: object): boolean =>
  ("next" in value && typeof value.next === "function") || ("pipe" in value && typeof value.pipe === "function")

const expected = "an array, an iterable, a function that gives one, jsonFile(…), ndjsonFile(…), sqliteRows(…) or postgresRows(…)"

async function* numbered(rows: Rows<unknown>): AsyncGenerator<SourceRow> {
  let row = 0
  for await (const value of rows) yield { position: `row ${++row}`, value }
}

async function* called(read: () => unknown): AsyncGenerator<SourceRow> {
  const given = await read()
  if (isSource(given)) yield* given.rows()
  else if (isRows(given)) yield* numbered(given)
  else
    throw new BadOption(`expected the function \`desired\` to give ${expected}, got: ${given === null ? "null" : typeof given}`, {
      option: "desired",
    })
}

/** The source behind the option `desired`. */
export const toSource = (desired: unknown): Source<unknown> => {
  if (isSource(desired)) return desired
  if (typeof desired === "function") return { _tag: "Source", name: "function", rows: () => called(desired as () => unknown) }
  if (!isRows(desired))
    throw new BadOption(`expected desired to be ${expected}, got: ${desired === null ? "null" : typeof desired}`, { option: "desired" })
  if (isOneShot(desired))
    throw new BadOption(
      "expected desired to be readable at each pass, got a generator or stream, which can be read once: give a function that makes a new one",
      { option: "desired" },
    )
  return { _tag: "Source", name: "iterable", rows: () => numbered(desired) }
}
