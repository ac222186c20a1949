/**
 * What ponos-gen knows about a definition file, as plain data: no compiler objects, so that checking and printing are pure functions and
 * the parser can be replaced without touching them.
 */

/** A range of a source file, in UTF-16 offsets. */
export interface Place {
  readonly file: string
  readonly start: number
  readonly end: number
}

export type ConstraintName =
  | "minimum"
  | "maximum"
  | "exclusiveMinimum"
  | "exclusiveMaximum"
  | "multipleOf"
  | "int"
  | "minLength"
  | "maxLength"
  | "pattern"
  | "format"
  | "minItems"
  | "maxItems"
  | "uniqueItems"

/** A JSDoc constraint; `value` is a number as text where bigints can be meant, so that nothing is rounded. */
export interface Constraint {
  readonly name: ConstraintName
  readonly value: string
}

export type LiteralValue = string | number | boolean | bigint

export interface Field {
  readonly name: string
  readonly optional: boolean
  readonly shape: Shape
}

/** A type as data. `ref` points into the named shapes of its definition; `wrong` stands for what has been reported already. */
export type Shape =
  | { readonly kind: "string" | "number" | "bigint"; readonly constraints: ReadonlyArray<Constraint> }
  | { readonly kind: "boolean" | "null" | "json" | "date" | "url" | "bytes" | "wrong" }
  | { readonly kind: "literal"; readonly value: LiteralValue }
  | { readonly kind: "template"; readonly parts: ReadonlyArray<TemplatePart> }
  | { readonly kind: "array"; readonly item: Shape; readonly constraints: ReadonlyArray<Constraint> }
  | { readonly kind: "set"; readonly item: Shape; readonly constraints: ReadonlyArray<Constraint> }
  | { readonly kind: "map"; readonly key: Shape; readonly value: Shape; readonly constraints: ReadonlyArray<Constraint> }
  | { readonly kind: "tuple"; readonly items: ReadonlyArray<TupleItem>; readonly rest: Shape | undefined }
  | { readonly kind: "record"; readonly value: Shape }
  | { readonly kind: "object"; readonly fields: ReadonlyArray<Field>; readonly rest: Shape | undefined }
  | UnionShape
  | { readonly kind: "ref"; readonly id: string }

export interface UnionShape {
  readonly kind: "union"
  readonly members: ReadonlyArray<Shape>
  readonly at: Place
  readonly path: string
}

export interface TupleItem {
  readonly shape: Shape
  readonly optional: boolean
}

export type TemplatePart = { readonly text: string } | { readonly kind: "string" | "number" | "bigint" }

/** Where generated code finds a type of the user. */
export interface TypeSource {
  /** `undefined`: exported by the definition file; else a module specifier, relative to the definition file if it starts with a dot. */
  readonly module: string | undefined
  readonly name: string
}

export interface NamedShape {
  /** Name of its schema, unique in the definition. */
  readonly id: string
  /** `undefined`: the type has no name that generated code can import, so its schema stays private. */
  readonly source: TypeSource | undefined
  readonly shape: Shape
  readonly at: Place
}

/** One type argument of the definition; the shape is `null` for void. */
export interface Payload {
  readonly shape: Shape | null
  readonly at: Place
}

export interface Operation {
  readonly name: string
  readonly docs: string
  readonly at: Place
  readonly input: Payload
  readonly output: Payload
  readonly error: Payload
}

export interface Query extends Operation {
  /** It sees what a running handler has made of the state. */
  readonly live: boolean
}

export interface Signal {
  readonly name: string
  readonly docs: string
  readonly at: Place
  readonly payload: Payload
}

export interface Job {
  /** Export name in the definition file. */
  readonly name: string
  readonly docs: string
  readonly at: Place
  /** `undefined`: not written as a literal, which has been reported. */
  readonly kind: { readonly value: string; readonly at: Place } | undefined
  readonly key: ReadonlyArray<{ readonly field: string; readonly at: Place }>
  /** The key was written as a list, so it is an object for callers. */
  readonly composite: boolean
  readonly input: Payload
  readonly state: Payload
  readonly result: Payload
  readonly error: Payload
  readonly signals: ReadonlyArray<Signal>
  readonly queries: ReadonlyArray<Query>
  readonly updates: ReadonlyArray<Operation>
  readonly activities: ReadonlyArray<Operation>
  /** Of the state's type; 1 unless it says otherwise. */
  readonly stateVersion: number
}

/** Something that the parser could not turn into data; the checker gives it words. */
export interface Problem {
  readonly code: ProblemCode
  readonly at: Place
  /** Path to the member: `FeedInput.settings.handler`. */
  readonly path: string
  /** What was found, in the words of the source. */
  readonly found: string
}

export type ProblemCode =
  | "syntax"
  | "missing-file"
  | "foreign-import"
  | "no-jobs"
  | "job-not-exported"
  | "job-not-const"
  | "not-literal"
  | "empty-key"
  | "unknown-property"
  | "missing-property"
  | "missing-type-argument"
  | "wrong-call"
  | "not-exported"
  | "unknown-name"
  | "any"
  | "never"
  | "undefined"
  | "function"
  | "symbol"
  | "object"
  | "class"
  | "enum"
  | "type-parameter"
  | "no-json-form"
  | "index-key"
  | "template"
  | "too-deep"
  | "reserved-field"
  | "constraint-misfit"
  | "constraint-value"

/** One definition file. */
export interface Definition {
  /** Absolute path. */
  readonly file: string
  readonly jobs: ReadonlyArray<Job>
  readonly named: ReadonlyMap<string, NamedShape>
  readonly problems: ReadonlyArray<Problem>
  /** Texts of the files that places point into, for code frames. */
  readonly texts: ReadonlyMap<string, string>
}

/** What the rest of ponos-gen asks of a parser. */
export interface Parser {
  parse(files: ReadonlyArray<SourceInput>): ReadonlyArray<Definition>
}

export interface SourceInput {
  readonly file: string
  /** Instead of the file's text on disk. */
  readonly text?: string
}
