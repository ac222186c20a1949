/** Rules of one job: its kind, its key and the names it uses. */
import type { Job, NamedShape, Place, Shape } from "../domain.ts"
import { membersOf, resolve } from "../shape.ts"
import type { Diagnostic } from "./diagnostic.ts"
import { reservedJobNames, reservedOperationNames } from "./reserved.ts"

type Named = ReadonlyMap<string, NamedShape>

const kindGrammar = /^[a-z][a-z0-9-]*$/
const kindLength = 64

export const checkKind = (job: Job): ReadonlyArray<Diagnostic> => {
  if (job.kind === undefined || (kindGrammar.test(job.kind.value) && job.kind.value.length <= kindLength)) return []
  return [
    {
      code: "kind-grammar",
      at: job.kind.at,
      message: `expected the kind to be a lower-case letter, then lower-case letters, digits and dashes, at most ${kindLength} in all, got: ${JSON.stringify(job.kind.value)}.`,
      fix: `Choose a name that can stay, such as "${suggestKind(job.name)}": it is stored with every run.`,
    },
  ]
}

const suggestKind = (name: string): string =>
  name
    .replace(/([a-z0-9])([A-Z])/g, "$1-$2")
    .replace(/[^A-Za-z0-9]+/g, "-")
    .replace(/^[^A-Za-z]+|-+$/g, "")
    .toLowerCase()
    .slice(0, kindLength)

export const checkInput = (job: Job, named: Named): ReadonlyArray<Diagnostic> => {
  const shape = job.input.shape === null ? undefined : job.input.shape
  if (shape?.kind === "wrong") return []
  const isObject =
    shape !== undefined && membersOf(shape, named).every((member) => ["object", "wrong"].includes(resolve(member, named).kind))
  if (isObject) return job.key.flatMap((part, index) => checkKeyPart(job, part, index, named))
  // A missing `input` has been reported by the parser, at the job's name.
  if (shape === undefined && job.input.at.start === job.at.start) return []
  return [
    {
      code: "input-not-object",
      at: job.input.at,
      message: `the input of \`${job.name}\` is not an object, so it has no field for the key.`,
      fix: "Use an interface with the key as a field: `interface Input { tenantId: string }`.",
    },
  ]
}

const isText = (shape: Shape, named: Named): boolean =>
  membersOf(shape, named).every((member) => {
    const resolved = resolve(member, named)
    return resolved.kind === "string" || resolved.kind === "template" || (resolved.kind === "literal" && typeof resolved.value === "string")
  })

const checkKeyPart = (job: Job, { field, at }: Job["key"][number], index: number, named: Named): ReadonlyArray<Diagnostic> => {
  const one = (message: string, fix: string): ReadonlyArray<Diagnostic> => [{ code: "key-field", at, message, fix }]
  if (job.key.findIndex((other) => other.field === field) !== index)
    return one(`the key names \`${field}\` twice.`, "Name each field once.")
  for (const member of job.input.shape === null ? [] : membersOf(job.input.shape, named)) {
    const shape = resolve(member, named)
    if (shape.kind !== "object") continue
    const found = shape.fields.find(({ name }) => name === field)
    if (found === undefined) {
      const texts = shape.fields.filter((other) => !other.optional && isText(other.shape, named)).map(({ name }) => name)
      return one(
        `the input of \`${job.name}\` has no field \`${field}\` for the key.`,
        texts.length === 0 ? `Add \`${field}: string\` to the input.` : `Use one of its text fields: ${texts.join(", ")}.`,
      )
    }
    if (found.shape.kind === "wrong") continue
    if (found.optional)
      return one(
        `the key field \`${field}\` is optional, and every run needs a key.`,
        `Write \`${field}: string\` without the question mark.`,
      )
    if (!isText(found.shape, named))
      return one(`the key field \`${field}\` is not a string.`, `Write \`${field}: string\`; a number can be sent as text.`)
  }
  return []
}

export const checkNames = (job: Job): ReadonlyArray<Diagnostic> => {
  const result: Array<Diagnostic> = []
  const reserved = (name: string, at: Place, names: ReadonlyArray<string>, what: string): void => {
    if (!names.includes(name)) return
    result.push({
      code: "reserved-name",
      at,
      message: `\`${name}\` cannot be the name of ${what}: generated code uses it.`,
      fix: `Choose another name. Reserved are ${names.join(", ")}.`,
    })
  }
  reserved(job.name, job.at, reservedJobNames, "a job")
  const operations = [...job.signals, ...job.queries, ...job.updates, ...job.activities]
  for (const { name, at } of operations) reserved(name, at, reservedOperationNames, "a signal, query, update or activity")
  for (const { name, at } of job.updates) {
    if (!job.signals.some((signal) => signal.name === name)) continue
    result.push({
      code: "same-name",
      at,
      message: `\`${name}\` is a signal and an update of \`${job.name}\`, so \`again({ on: ["${name}"] })\` would not say which.`,
      fix: "Rename one of them.",
    })
  }
  return result
}
