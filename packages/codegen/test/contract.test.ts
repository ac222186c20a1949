/** A contract changes when what is stored or sent does, and only then. */
import { beforeAll, describe, expect, test } from "vitest"
import { contractFile, versionOf } from "../src/contract.ts"
import type { Definition } from "../src/domain.ts"
import { tsMorphParser } from "../src/parser/ts-morph.ts"

const text = `import { activity, defineJob, retry, signal, type, update } from "@ponos/sdk/define"
export interface Input {
  id: string
  /** @minimum 1 */
  size: number
  shape: Shape
  level: "low" | "high"
}
export type Shape = { kind: "a"; at: Date } | { kind: "b"; next?: Shape } | Leaf
export interface Leaf { kind: "leaf"; deep: Deep }
export interface Deep { list: string[] }
export interface Gone { _tag: "Gone" }
export const feed = defineJob({
  kind: "feed",
  input: type<Input>(),
  key: "id",
  error: type<Gone>(),
  signals: { pause: signal<{ reason: string }>(), resume: signal() },
  updates: { set: update<{ a: number; b: string }, { previous: number }>() },
  activities: { act: activity<Deep, void, Gone>({ timeout: "1 minute" }) },
  retry: retry.fixed({ every: "1 second" }),
})
`
type Change = readonly [from: string, to: string]
const changed = (...changes: ReadonlyArray<Change>): string =>
  changes.reduce((before, [from, to]) => {
    const after = before.replaceAll(from, to)
    if (after === before) throw new Error(`nothing to change: ${from}`)
    return after
  }, text)

const same: Readonly<Record<string, string>> = {
  "the order of fields": changed([`  id: string\n`, ""], [`  shape: Shape\n`, `  shape: Shape\n  id: string\n`]),
  "the order of literals": changed([`"low" | "high"`, `"high" | "low"`]),
  "the order of union members": changed([
    `{ kind: "a"; at: Date } | { kind: "b"; next?: Shape } | Leaf`,
    `Leaf | { kind: "b"; next?: Shape } | { kind: "a"; at: Date }`,
  ]),
  "a declaration before it that uses the same literals": changed([
    `export interface Input`,
    `export type Other = "zzz" | "high" | "b"\nexport interface Input`,
  ]),
  "the order of signals": changed([
    `pause: signal<{ reason: string }>(), resume: signal()`,
    `resume: signal(), pause: signal<{ reason: string }>()`,
  ]),
  "the names of types": changed(["Deep", "Renamed"], ["Shape", "AShape"], ["Leaf", "ZLeaf"]),
  "a name for a type that had none": changed(
    [`update<{ a: number; b: string }`, `update<Setting`],
    [`export interface Gone`, `export interface Setting { a: number; b: string }\nexport interface Gone`],
  ),
  "the export name of the job": changed(["const feed", "const renamed"]),
  "retry and time-outs": changed(
    [`{ timeout: "1 minute" }`, `{ timeout: "2 minutes" }`],
    [`retry.fixed({ every: "1 second" })`, "retry.none"],
  ),
  prose: changed(["/** @minimum 1 */", "/** How large.\n   * @minimum 1 */"]),
  readonly: changed(["list: string[]", "readonly list: readonly string[]"]),
  "an equal type by another way": changed([
    `export interface Deep { list: string[] }`,
    `export type Deep = Pick<{ list: Array<string>; more: number }, "list">`,
  ]),
}
const different: Readonly<Record<string, string>> = {
  "a field's type": changed(["size: number", "size: bigint"]),
  "a field made optional": changed(["size: number", "size?: number"]),
  "a constraint": changed(["@minimum 1", "@minimum 2"]),
  "a literal": changed([`"low" | "high"`, `"low" | "high" | "none"`]),
  "a field deep inside": changed(["list: string[]", "list: number[]"]),
  "a field of a recursive type": changed([`at: Date`, `at: string`]),
  "the kind": changed([`kind: "feed"`, `kind: "feeds"`]),
  "a signal's name": changed(["resume: signal()", "proceed: signal()"]),
  "an error": changed([`_tag: "Gone"`, `_tag: "Gone"; at: Date`]),
  "an answer": changed(["previous: number", "before: number"]),
}

let definitions: ReadonlyMap<string, Definition> = new Map()
const version = (name: string): string => {
  const definition = definitions.get(name)
  const [job] = definition?.jobs ?? []
  if (definition === undefined || job === undefined) throw new Error(`${name}: no job`)
  return versionOf(job, definition.named)
}

beforeAll(() => {
  const texts = Object.entries({ original: text, ...same, ...different })
  const parsed = tsMorphParser.parse(texts.map(([, one], index) => ({ file: `/contract-${index}/jobs.def.ts`, text: one })))
  definitions = new Map(parsed.map((definition, index) => [texts[index]?.[0] ?? "", definition]))
})

test("all of these are definitions without mistakes", () => {
  expect([...definitions.values()].flatMap(({ problems }) => problems)).toEqual([])
})

describe("the version stays when only this changes", () => {
  test.each(Object.keys(same))("%s", (name) => expect(version(name)).toBe(version("original")))
})

describe("the version is another when this changes", () => {
  test.each(Object.keys(different))("%s", (name) => expect(version(name)).not.toBe(version("original")))
})

test("the file does not depend on the order of what it describes", () => {
  const file = (name: string): string => contractFile(definitions.get(name) as Definition, "ponos-gen")
  for (const name of ["the order of fields", "the order of union members", "the order of signals", "retry and time-outs", "prose"]) {
    expect(file(name)).toBe(file("original"))
  }
})
