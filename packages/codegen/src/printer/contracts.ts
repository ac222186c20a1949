/** `contracts.ts`: kind, key, schemas and error classes of each job; client and worker import it, so neither knows the schemas itself. */
import { versionOf } from "../contract.ts"
import type { Job, Operation, Payload } from "../domain.ts"
import { compare, type DeclaredError, errorsOf } from "../shape.ts"
import { gen, literal, type PrintInput, propertyName } from "../name.ts"
import { schemaNames } from "./payload.ts"
import { SourceText } from "./source-text.ts"

export const printContracts = ({ definition, preamble }: PrintInput): string => {
  const { jobs, named } = definition
  const file = new SourceText(
    preamble,
    jobs.map(({ name }) => name),
  )
  const names = schemaNames(definition)
  const schema = (name: string): string => `${file.namespace("./schemas.ts", "schemas", true)}.${name}`
  const payload = (one: Payload): string => {
    const name = names.get(one)
    return name === undefined ? "null" : schema(name)
  }
  const errors = (one: Payload): string => record(errorsOf(one, named).map(({ tag, id }) => [tag, schema(id)]))
  const operations = (list: ReadonlyArray<Operation>): ReadonlyArray<string> =>
    list.map(
      (one) => `${propertyName(one.name)}: { in: ${payload(one.input)}, out: ${payload(one.output)}, errors: ${errors(one.error)} },`,
    )
  for (const job of jobs) {
    const failures = failuresOf(job, named).map(({ tag }): readonly [string, string] => [
      tag,
      `${file.namespace("./errors.ts", "errors", true)}.${tag}`,
    ])
    file.line(
      `export const ${job.name}: ${file.type(gen, "JobContract")} = {`,
      `  name: ${literal(job.name)},`,
      `  kind: ${literal(job.kind?.value ?? "")},`,
      `  key: [${job.key.map(({ field }) => literal(field)).join(", ")}],`,
      `  version: ${literal(versionOf(job, named))},`,
      ...(job.stateVersion === 1 ? [] : [`  stateVersion: ${job.stateVersion},`]),
      "  schemas: {",
      `    input: ${payload(job.input)},`,
      `    state: ${payload(job.state)},`,
      `    result: ${payload(job.result)},`,
      `    errors: ${errors(job.error)},`,
      ...block(
        "signals",
        job.signals.map((signal) => `${propertyName(signal.name)}: ${payload(signal.payload)},`),
      ),
      ...block("queries", operations(job.queries)),
      ...block("updates", operations(job.updates)),
      ...block("activities", operations(job.activities)),
      "  },",
      `  failures: ${record(failures)},`,
      "}",
      "",
    )
  }
  return file.toString()
}

const record = (entries: ReadonlyArray<readonly [string, string]>): string =>
  entries.length === 0 ? "{}" : `{ ${entries.map(([name, value]) => `${propertyName(name)}: ${value}`).join(", ")} }`

const block = (name: string, lines: ReadonlyArray<string>): ReadonlyArray<string> =>
  lines.length === 0 ? [`    ${name}: {},`] : [`    ${name}: {`, ...lines.map((line) => `      ${line}`), "    },"]

const failuresOf = (job: Job, named: Parameters<typeof errorsOf>[1]): ReadonlyArray<DeclaredError> => {
  const all = [job.error, ...[...job.updates, ...job.activities].map(({ error }) => error)].flatMap((one) => errorsOf(one, named))
  return [...new Map(all.map((error) => [error.tag, error])).values()].sort((a, b) => compare(a.tag, b.tag))
}
