/** Every mistake that ponos-gen names, as its reader sees it. All definitions are parsed in one go, as the command does. */
import { beforeAll, describe, expect, test } from "vitest"
import * as sdkErrors from "@ponos/sdk"
import { check } from "../src/checker/check.ts"
import type { Diagnostic } from "../src/checker/diagnostic.ts"
import { render } from "../src/checker/diagnostic.ts"
import { reservedErrorTags } from "../src/checker/reserved.ts"
import type { Definition } from "../src/domain.ts"
import { tsMorphParser } from "../src/parser/ts-morph.ts"

const imports = `import { activity, defineJob, query, signal, type, update } from "@ponos/sdk/define"\n`
const job = (members: string): string => `export const feed = defineJob({ kind: "feed", input: type<Input>(), key: "id", ${members} })\n`
const input = "export interface Input { id: string }\n"

/** A member of the input with a type that has no JSON form. */
const member = (text: string, before = ""): string =>
  `${imports}${before}\nexport interface Input {\n  id: string\n  ${text}\n}\nexport const feed = defineJob({ kind: "feed", input: type<Input>(), key: "id" })\n`
const whole = (text: string): string => `${imports}${input}${text}`
const failing = (declaration: string, type: string): string => whole(`${declaration}\n${job(`error: type<${type}>()`)}`)

interface Case {
  readonly code: string
  readonly text: string
}
const cases: Readonly<Record<string, Case>> = {
  "a syntax error": { code: "syntax", text: `${imports}export const feed = defineJob({` },
  "an import of code": { code: "foreign-import", text: whole(`import { now } from "./clock.ts"\n${job("")}`) },
  "an import for its effects": { code: "foreign-import", text: whole(`import "./clock.ts"\n${job("")}`) },
  "a re-export of code": { code: "foreign-import", text: whole(`export * from "./clock.ts"\n${job("")}`) },
  "no job": { code: "no-jobs", text: `${imports}${input}` },
  "a job that is not exported": { code: "job-not-exported", text: whole(job("").replace("export ", "")) },
  "a job as the default export": { code: "job-not-exported", text: whole(job("").replace("export const feed =", "export default")) },
  "a job that is not constant": { code: "job-not-const", text: whole(job("").replace("const", "let")) },
  "a computed definition": { code: "not-literal", text: whole(`export const feed = defineJob(make())`) },
  "a computed kind": { code: "not-literal", text: whole(job("").replace(`"feed"`, `"fe" + "ed"`)) },
  "a computed key": { code: "not-literal", text: whole(job("").replace(`"id"`, `keyOf("id")`)) },
  "an empty key": { code: "empty-key", text: whole(job("").replace(`"id"`, `[]`)) },
  "computed signals": { code: "not-literal", text: whole(job("signals: makeSignals()")) },
  "a computed signal name": { code: "not-literal", text: whole(job("signals: { [name]: signal() }")) },
  "an unknown property": { code: "unknown-property", text: whole(job("signal: {}")) },
  "a missing input": { code: "missing-property", text: whole(job("").replace("input: type<Input>(), ", "")) },
  "a missing kind": { code: "missing-property", text: whole(job("").replace(`kind: "feed", `, "")) },
  "a type without an argument": { code: "missing-type-argument", text: whole(job("state: type()")) },
  "a live query that is computed": { code: "not-literal", text: whole(job("queries: { ask: query<string>({ live: 1 > 0 }) }")) },
  "options of a query that are computed": { code: "not-literal", text: whole(job("queries: { ask: query<string>(options()) }")) },
  "a query without an answer": { code: "missing-type-argument", text: whole(job("queries: { ask: query() }")) },
  "a wrong call": { code: "wrong-call", text: whole(job("updates: { set: signal<string>() }")) },
  "a state without type()": { code: "wrong-call", text: whole(job("state: { a: 1 }")) },
  "a type that is not exported": {
    code: "not-exported",
    text: whole(`interface Hidden {\n  at: Date\n}\n${job("state: type<{ hidden: Hidden }>()")}`),
  },
  "a type that is not found": { code: "unknown-name", text: member("stream: ReadableStream") },
  any: { code: "any", text: member("data: any") },
  never: { code: "never", text: member("data: never[]") },
  undefined: { code: "undefined", text: member("data: string | undefined") },
  "null or undefined": { code: "undefined", text: member("data: (null | undefined)[]") },
  "a function": { code: "function", text: member("run: () => void") },
  "a method": { code: "function", text: member("run(): void") },
  "a function deep inside": { code: "function", text: member("settings: { retry: { when: (error: string) => boolean }[] }") },
  "a symbol": { code: "symbol", text: member("mark: symbol") },
  "a symbol as a key": { code: "symbol", text: member("[Symbol.iterator]: string") },
  object: { code: "object", text: member("data: object") },
  "a class": { code: "class", text: member("at: Instant", "export declare class Instant { readonly at: number }") },
  "an enum": { code: "enum", text: member("level: Level", "export declare enum Level { Low, High }") },
  "a generic type without its arguments": { code: "type-parameter", text: member("box: Box", "export interface Box<A> { inner: A }") },
  "a promise": { code: "no-json-form", text: member("later: Promise<string>") },
  "a regular expression": { code: "no-json-form", text: member("match: RegExp") },
  "a weak map": { code: "no-json-form", text: member("cache: WeakMap<object, string>") },
  "numbers as keys": { code: "index-key", text: member("byPort: Record<number, string>") },
  "a template that cannot be checked": { code: "template", text: member("name: `${Uppercase<string>}-x`") },
  "a type that grows": { code: "too-deep", text: member("box: Box<string>", "export interface Box<A> { inner?: Box<A[]> }") },
  "a field called __proto__": { code: "reserved-field", text: member(`"__proto__": string`) },
  "a constraint on another type": { code: "constraint-misfit", text: member("/** @minimum 1 */\n  name: string") },
  "a constraint on an object": {
    code: "constraint-misfit",
    text: member("/** @minItems 1 */\n  self: Input[] | Input").replace("Input[] | Input", "{ a: string }"),
  },
  "a constraint without a number": { code: "constraint-value", text: member("/** @minimum one */\n  count: number") },
  "a pattern that does not compile": { code: "constraint-value", text: member("/** @pattern [a-z */\n  name: string") },
  "a pattern with slashes": { code: "constraint-value", text: member("/** @pattern /^a$/ */\n  name: string") },
  "an unknown format": { code: "constraint-value", text: member("/** @format phone */\n  name: string") },
  "a kind outside the grammar": { code: "kind-grammar", text: whole(job("").replace(`"feed"`, `"Tenant Feed"`)) },
  "a long kind": { code: "kind-grammar", text: whole(job("").replace(`"feed"`, `"${"x".repeat(65)}"`)) },
  "a kind used twice": { code: "duplicate-kind", text: whole(`${job("")}${job("").replace("const feed", "const other")}`) },
  "an input that is not an object": { code: "input-not-object", text: whole(job("").replace("type<Input>", "type<string>")) },
  "an input that is void": { code: "input-not-object", text: whole(job("").replace("type<Input>", "type<void>")) },
  "a key that the input lacks": { code: "key-field", text: whole(job("").replace(`"id"`, `"tenantId"`)) },
  "a key that is optional": { code: "key-field", text: member("").replace("id: string", "id?: string") },
  "a key that is not a string": { code: "key-field", text: member("").replace("id: string", "id: number") },
  "a key named twice": { code: "key-field", text: whole(job("").replace(`"id"`, `["id", "id"]`)) },
  "a reserved job name": { code: "reserved-name", text: whole(job("").replace("const feed", "const close")) },
  "a reserved operation name": { code: "reserved-name", text: whole(job("signals: { then: signal() }")) },
  "a signal and an update of one name": { code: "same-name", text: whole(job("signals: { set: signal() }, updates: { set: update() }")) },
  "jobs that differ in the case of a letter": {
    code: "same-name",
    text: whole(`${job("")}${job("").replace("const feed", "const Feed").replace(`"feed"`, `"feed-2"`)}`),
  },
  "an error without a tag": { code: "error-tag", text: failing("export interface Gone { status: number }", "Gone") },
  "an error with an open tag": { code: "error-tag", text: failing("export interface Gone { _tag: string }", "Gone") },
  "an error without a name": { code: "error-name", text: failing("", `{ _tag: "Gone" }`) },
  "a tag that is no class name": { code: "error-tag", text: failing(`export interface Gone { _tag: "not-found" }`, "Gone") },
  "a tag of two errors": {
    code: "error-tag",
    text: whole(
      `export interface A { _tag: "Gone" }\nexport interface B { _tag: "Gone"; at: Date }\n${job("error: type<A>(), updates: { set: update<void, void, B>() }")}`,
    ),
  },
  "a tag of Ponos": { code: "reserved-name", text: failing(`export interface Cancelled { _tag: "Cancelled" }`, "Cancelled") },
  "an error field that every Error has": {
    code: "reserved-name",
    text: failing(`export interface Gone { _tag: "Gone"; stack: string }`, "Gone"),
  },
  "an error message that is no text": {
    code: "reserved-name",
    text: failing(`export interface Gone { _tag: "Gone"; message?: string }`, "Gone"),
  },
  "a string or a date": { code: "ambiguous-union", text: member("at: string | Date") },
  "a string or a bigint": { code: "ambiguous-union", text: member("count: string | bigint") },
  "a literal or a date": { code: "ambiguous-union", text: member(`at: "never" | Date`) },
  "two arrays": { code: "ambiguous-union", text: member("list: string[] | number[]") },
  "objects without a discriminant": {
    code: "ambiguous-union",
    text: member("data: A | B", "export interface A { a: string }\nexport interface B { b: string }"),
  },
  "objects with an optional discriminant": {
    code: "ambiguous-union",
    text: member(`data: { type?: "a" } | { type: "b" }`),
  },
  "an object or a record": { code: "ambiguous-union", text: member("data: { a: string } | Record<string, number>") },
}

const names = Object.keys(cases)
/** Each case in a folder of its own. */
const folderOf = (name: string): string => `/case-${names.indexOf(name)}`
let definitions: ReadonlyMap<string, Definition> = new Map()

const diagnose = (name: string): ReadonlyArray<Diagnostic> => check([definitions.get(name)].flatMap((one) => one ?? []))
const show = (diagnostics: ReadonlyArray<Diagnostic>, name: string): string =>
  diagnostics.map((one) => render(one, definitions.get(name)?.texts.get(one.at.file), folderOf(name))).join("\n")

beforeAll(() => {
  const parsed = tsMorphParser.parse(names.map((name) => ({ file: `${folderOf(name)}/jobs.def.ts`, text: cases[name]?.text ?? "" })))
  definitions = new Map(parsed.map((definition, index) => [names[index] ?? "", definition]))
})

describe("a definition with one mistake", () => {
  test.each(Object.entries(cases))("%s", (name, { code }) => {
    const found = diagnose(name)
    expect(show(found, name)).toMatchSnapshot()
    expect(found.map((one) => one.code)).toEqual([code])
  })
})

test("every mistake is reported, in the order of the file", () => {
  const text = `${imports}import { now } from "./clock.ts"
export interface Input {
  id: number
  at: string | Date
  run: () => void
  /** @minimum x */
  count: number
}
export const feed = defineJob({ kind: "Feed", input: type<Input>(), key: "id", state: type() })
`
  const [definition] = tsMorphParser.parse([{ file: "/all/jobs.def.ts", text }])
  expect(check(definition === undefined ? [] : [definition]).map(({ code }) => code)).toEqual([
    "foreign-import",
    "ambiguous-union",
    "function",
    "constraint-value",
    "kind-grammar",
    "key-field",
    "missing-type-argument",
  ])
})

test("kinds are compared over all definition files", () => {
  const text = whole(job(""))
  const found = check(
    tsMorphParser.parse([
      { file: "/kinds/a/jobs.def.ts", text },
      { file: "/kinds/b/jobs.def.ts", text },
    ]),
  )
  expect(found.map((one) => render(one, text, "/kinds"))).toMatchInlineSnapshot(`
    [
      "b/jobs.def.ts:3:39 duplicate-kind: the kind "feed" already belongs to \`feed\` of another definition file.

        1 | import { activity, defineJob, query, signal, type, update } from "@ponos/sdk/define"
        2 | export interface Input { id: string }
      > 3 | export const feed = defineJob({ kind: "feed", input: type<Input>(), key: "id",  })
          |                                       ^^^^^^
        4 |

      fix: Give each job a kind of its own: runs are stored under it.
    ",
    ]
  `)
})

test("a file that is not there is named", () => {
  const found = check(tsMorphParser.parse([{ file: "/nowhere/jobs.def.ts" }]))
  expect(found.map((one) => render(one, undefined, "/nowhere"))).toMatchInlineSnapshot(`
    [
      "jobs.def.ts missing-file: expected the definition file /nowhere/jobs.def.ts, found none.

      fix: Create it in /nowhere, or name another: ponos-gen path/to/jobs.def.ts
    ",
    ]
  `)
})

test("the reserved tags are those of Ponos", () => {
  const tags = Object.values(sdkErrors).flatMap((value) => (typeof value === "function" && "tag" in value ? [value.tag] : []))
  expect(tags.toSorted()).toEqual([...reservedErrorTags])
})
