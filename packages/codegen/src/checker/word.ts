/** Words for what the parser could not turn into data. */
import type { Problem, ProblemCode } from "../domain.ts"
import type { Diagnostic } from "./diagnostic.ts"

interface Words {
  readonly message: string
  readonly fix: string
}

const data = "Keep data in the type, and behaviour in the worker."

const words: Readonly<Record<ProblemCode, (problem: Problem) => Words>> = {
  syntax: ({ found }) => ({ message: `the file does not parse: ${found}`, fix: "Correct the syntax." }),
  "missing-file": ({ at, found }) => ({
    message: `expected the definition file ${at.file}, found none.`,
    fix: `Create it in ${found}, or name another: ponos-gen path/to/jobs.def.ts`,
  }),
  "foreign-import": ({ found }) => ({
    message: `a definition file imports values from "@ponos/sdk/define" only, and this ${found === "" ? "brings in code" : `imports "${found}"`}.`,
    fix: "Write `import type` or `export type` if these are types; otherwise move what needs the code into the worker.",
  }),
  "no-jobs": () => ({
    message: "the file defines no job.",
    fix: 'Write `export const name = defineJob({ kind, input, key })` with `defineJob` from "@ponos/sdk/define".',
  }),
  "job-not-exported": ({ found }) => ({
    message: `the job ${found === "export default" ? "is exported without a name" : `\`${found}\` is not exported`}, so generated code cannot import it.`,
    fix: "Write `export const name = defineJob(…)`.",
  }),
  "job-not-const": ({ found }) => ({
    message: `the job \`${found}\` is not a constant with one name.`,
    fix: "Write `export const name = defineJob(…)`.",
  }),
  "not-literal": ({ found, path }) => ({
    message: `${found === "" ? "" : `${found} of `}\`${path}\` is computed, and ponos-gen reads the file without running it.`,
    fix: "Write it out as a literal, or as a `const` of this file.",
  }),
  "empty-key": ({ path }) => ({
    message: `\`${path}\` names no field, and every run needs a key.`,
    fix: 'Name one text field of the input, or several: `key: ["tenantId", "feedId"]`.',
  }),
  "unknown-property": ({ found }) => ({
    message: `\`${found}\` is not a property of a job definition.`,
    fix: "Use kind, input, key, state, result, error, signals, queries, updates, activities, retry, timeout or stateVersion.",
  }),
  "missing-property": ({ found, path }) => ({
    message: `the job \`${path}\` has no \`${found}\`.`,
    fix: `Add \`${found === "input" ? "input: type<YourInput>()" : found === "key" ? 'key: "fieldOfTheInput"' : 'kind: "stable-name"'}\`.`,
  }),
  "missing-type-argument": ({ path, found }) => ({
    message: `\`${path}\` has no type: \`${found}\` is called without a type argument.`,
    fix: "Name the type: `type<YourType>()`, `query<Answer>()`.",
  }),
  "wrong-call": ({ path, found }) => ({
    message: `\`${path}\` must be a call of \`${found}\` from "@ponos/sdk/define".`,
    fix: `Write \`${found}\` here.`,
  }),
  "not-exported": ({ found }) => ({
    message: `the type \`${found}\` is used by a job, but is not exported, so generated code cannot name it.`,
    fix: `Write \`export\` before \`${found}\`.`,
  }),
  "unknown-name": ({ path, found }) => ({
    message: `\`${path}\` has the type \`${found}\`, which is not found.`,
    fix: "Import it with `import type`. Definitions are read without the types of the DOM and of Node: use Uint8Array, URL, Date or plain data.",
  }),
  any: ({ path, found }) => ({
    message: `\`${path}\` is \`${found}\`, which says nothing about the data.`,
    fix: "Name its type; `unknown` stands for any JSON value.",
  }),
  never: ({ path }) => ({
    message: `\`${path}\` is \`never\`, so no value can be sent.`,
    fix: "Name the type of its values, or leave the member out.",
  }),
  undefined: ({ path }) => ({
    message: `\`${path}\` may be \`undefined\`, which has no JSON form.`,
    fix: "Make the member optional (`name?: T`), or use `null`.",
  }),
  function: ({ path }) => ({ message: `\`${path}\` is a function, and functions have no JSON form.`, fix: data }),
  symbol: ({ path }) => ({
    message: `\`${path}\` has a symbol, and symbols have no JSON form.`,
    fix: "Use a string literal type instead.",
  }),
  object: ({ path, found }) => ({
    message: `\`${path}\` is \`${found}\`, which does not say what is in it.`,
    fix: "Name its fields, or use `Record<string, T>`; `unknown` stands for any JSON value.",
  }),
  class: ({ path, found }) => ({
    message: `\`${path}\` is an instance of the class \`${found}\`, which a JSON value cannot bring back.`,
    fix: "Use an interface with the data of the class, and build the instance in the worker.",
  }),
  enum: ({ path, found }) => ({
    message: `\`${path}\` is the enum \`${found}\`, whose values exist in code only.`,
    fix: 'Use a union of literals: `"ready" | "done"`.',
  }),
  "type-parameter": ({ path, found }) => ({
    message: `\`${path}\` is \`${found}\`, a generic type whose parameters have no values here.`,
    fix: "Give the generic type its arguments.",
  }),
  "no-json-form": ({ path, found }) => ({
    message: `\`${path}\` is \`${found}\`, which has no JSON form.`,
    fix: "Use plain data: objects, arrays, tuples, Map, Set, Date, URL, bigint, Uint8Array.",
  }),
  "index-key": ({ path, found }) => ({
    message: `\`${path}\` has keys of type \`${found}\`, and JSON objects have strings as keys.`,
    fix: "Use `Record<string, T>`, or `Map<K, V>` for other keys.",
  }),
  template: ({ path, found }) => ({
    message: `\`${path}\` is the template \`${found}\`, which a schema cannot check.`,
    fix: "Use string, number and bigint as its holes, or `string` with `@pattern`.",
  }),
  "too-deep": ({ path, found }) => ({
    message: `\`${path}\` grows without end: \`${found.length > 80 ? `${found.slice(0, 80)}…` : found}\`.`,
    fix: "Give the recursive type a name without type parameters.",
  }),
  "reserved-field": ({ path }) => ({
    message: `\`${path}\` would set the prototype of an object instead of a field of it.`,
    fix: "Rename the field.",
  }),
  "constraint-misfit": ({ path, found }) => {
    const [tag = "", ...type] = found.split(" ")
    return {
      message: `${tag} does not fit \`${path}\`, whose type is ${type.join(" ")}.`,
      fix: `Remove ${tag}, or put it on an alias of the element's type (\`/** ${tag} … */ export type Name = …\`).`,
    }
  },
  "constraint-value": ({ path, found }) => ({ message: `of \`${path}\`: ${found}.`, fix: "Correct the value after the tag." }),
}

export const wordsFor = (problem: Problem): Diagnostic => ({ code: problem.code, at: problem.at, ...words[problem.code](problem) })
