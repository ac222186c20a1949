/**
 * What ponos-gen knows about handlers, as plain data: what their code refers to outside of itself, which durable calls nobody waits for or stand where
 * none can be, and the comments that allow it. What of this is a mistake is the checker's business.
 */
import type { Place, Problem, SourceInput } from "./domain.ts"

/** Members of an implementation whose code must give the same each time. `open` and `close` are not: what they hold is not journaled. */
export type Member = "init" | "upgrade" | "run" | "update" | "query"

/** From where code is reached. */
export interface Origin {
  /** The stub, as written: `tenantFeed`. */
  readonly job: string
  readonly member: Member
  /** `run`, `updates.reconfigure`. */
  readonly name: string
  /** What the handler calls its first parameter. */
  readonly context: string
}

interface Used {
  readonly at: Place
  readonly origin: Origin
  /** Functions on the way from the handler to the place, and where they are called. */
  readonly through: ReadonlyArray<{ readonly name: string; readonly at: Place }>
}

/** A name that the code does not declare: a global, or an import from a package. */
export interface Reference extends Used {
  readonly kind: "reference"
  /** `Date.now`, `crypto.randomUUID`, `fs/promises.readFile`: globals as written, imports after their module without `node:`. */
  readonly name: string
  readonly form: "call" | "new" | "mention"
  /** Number of arguments. */
  readonly args: number
}

/** A durable call, or a function that makes some, whose end nobody waits for. */
export interface Floating extends Used {
  readonly kind: "floating"
  /** `job.step`, `deliverAll`, `items.forEach`. */
  readonly name: string
  /** By a callback of `forEach`, which drops what it returns. */
  readonly isLoop: boolean
}

/** A durable call in the body of a step, or in what undoes one. */
export interface Nested extends Used {
  readonly kind: "nested"
  /** `job.sleep`. */
  readonly name: string
  /** Whose body it is in: `job.step`, `saga.undo`. */
  readonly outer: string
}

export type Use = Reference | Floating | Nested

/** A comment that begins with `ponos:`. */
export interface Remark {
  /** What follows `ponos:`. */
  readonly text: string
  readonly at: Place
  /** The line that it speaks of: its own, or the next one if it stands alone. */
  readonly covers: Place
}

export interface HandlerModel {
  /** Implementations found. */
  readonly jobs: ReadonlyArray<Place>
  readonly uses: ReadonlyArray<Use>
  readonly remarks: ReadonlyArray<Remark>
  readonly problems: ReadonlyArray<Problem>
  /** Texts of the files that places point into, for code frames. */
  readonly texts: ReadonlyMap<string, string>
}

export interface HandlerParser {
  parseHandlers(files: ReadonlyArray<SourceInput>): HandlerModel
}
