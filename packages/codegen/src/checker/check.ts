/** All rules on all definitions: every mistake is reported, not only the first. */
import type { Definition, Place, UnionShape } from "../domain.ts"
import { compare, payloadShapes } from "../shape.ts"
import { typeName } from "../name.ts"
import { ambiguity, unionsOf } from "./ambiguity.ts"
import type { Diagnostic } from "./diagnostic.ts"
import { checkErrors } from "./errors.ts"
import { checkInput, checkKind, checkNames } from "./job.ts"
import { wordsFor } from "./word.ts"

export const check = (definitions: ReadonlyArray<Definition>): ReadonlyArray<Diagnostic> =>
  [...definitions.flatMap(checkDefinition), ...checkKinds(definitions)].toSorted(
    (a, b) => compare(a.at.file, b.at.file) || a.at.start - b.at.start || compare(a.code, b.code),
  )

const checkDefinition = (definition: Definition): ReadonlyArray<Diagnostic> => {
  const { jobs, named } = definition
  return [
    ...definition.problems.map(wordsFor),
    ...jobs.flatMap((job) => [...checkKind(job), ...checkInput(job, named), ...checkNames(job)]),
    ...checkTypeNames(definition),
    ...checkErrors(definition),
    ...allUnions(definition).flatMap((union) => ambiguity(union, named) ?? []),
  ]
}

/** Each written union once: shapes of payloads that are used twice are equal, not the same. */
const allUnions = ({ jobs, named }: Definition): ReadonlyArray<UnionShape> => {
  const shapes = [...jobs.flatMap(payloadShapes), ...[...named.values()].map(({ shape }) => shape)]
  const at = ({ file, start, end }: Place): string => `${file} ${start} ${end}`
  return [...new Map(shapes.flatMap(unionsOf).map((union) => [`${at(union.at)} ${union.path}`, union])).values()]
}

/** `tenantFeed` and `TenantFeed` would both become `TenantFeedJob`. */
const checkTypeNames = ({ jobs }: Definition): ReadonlyArray<Diagnostic> =>
  jobs.flatMap((job, index) => {
    const other = jobs.slice(0, index).find((before) => typeName(before.name) === typeName(job.name))
    if (other === undefined) return []
    return [
      {
        code: "same-name",
        at: job.at,
        message: `\`${other.name}\` and \`${job.name}\` would both become \`${typeName(job.name)}\` in generated code.`,
        fix: "Rename one of them.",
      },
    ]
  })

const checkKinds = (definitions: ReadonlyArray<Definition>): ReadonlyArray<Diagnostic> => {
  const seen = new Map<string, { readonly name: string; readonly file: string }>()
  return definitions.flatMap(({ jobs, file }) =>
    jobs.flatMap((job): ReadonlyArray<Diagnostic> => {
      if (job.kind === undefined) return []
      const { value, at } = job.kind
      const before = seen.get(value)
      if (before === undefined) {
        seen.set(value, { name: job.name, file })
        return []
      }
      const where = before.file === file ? "" : " of another definition file"
      return [
        {
          code: "duplicate-kind",
          at,
          message: `the kind ${JSON.stringify(value)} already belongs to \`${before.name}\`${where}.`,
          fix: "Give each job a kind of its own: runs are stored under it.",
        },
      ]
    }),
  )
}
