/** `schemas.ts`: one schema per named type and per payload without a name, with the user's type by cast (rule 23). */
import type { NamedShape, Shape, TypeSource } from "../domain.ts"
import { compare, reachable, refsOf } from "../shape.ts"
import type { PrintInput } from "../name.ts"
import { PayloadTypes, payloadsOf, schemaNames } from "./payload.ts"
import { printSchema } from "./schema.ts"
import { SourceText } from "./source-text.ts"

export interface SchemasOptions {
  /** `false` leaves Effect's own types: a test compares them with the user's. */
  readonly cast: boolean
}

/** Where a line of generated code breaks. */
const width = 140

export const printSchemas = ({ definition, module, preamble }: PrintInput, { cast }: SchemasOptions = { cast: true }): string => {
  const names = schemaNames(definition)
  const file = new SourceText(preamble, [...definition.named.keys(), ...names.values()])
  const declared = new Set<string>()
  const isDeclared = (id: string): boolean => declared.has(id)
  const S = file.value("effect", "Schema")
  const emit = (name: string, type: string | undefined, shape: Shape): void => {
    const schema = printSchema(shape, { file, isDeclared })
    const isOwn = type !== undefined && (cast || isRecursive(name, definition.named))
    const head =
      type === undefined
        ? `const ${name}${isRecursive(name, definition.named) ? `: ${S}.Codec<any>` : ""} =`
        : `export const ${name}${isOwn ? `: ${S}.Codec<${type}>` : ""} =`
    // The cast gives back mutable fields and brands. It goes through `any`, because Effect's type and the user's need not overlap.
    const body = isOwn ? `${schema} as any` : schema
    const isLong = !body.includes("\n") && head.length + body.length >= width
    file.line(isLong ? `${head}\n  ${body}` : `${head} ${body}`, "")
    declared.add(name)
  }
  for (const one of inOrder(definition.named)) emit(one.id, namedType(one, file, module), one.shape)
  for (const job of definition.jobs) {
    for (const { payload, type } of payloadsOf(job)) {
      const name = names.get(payload)
      if (name === undefined || payload.shape === null || payload.shape.kind === "ref") continue
      const def = file.namespace(module, "def", false)
      emit(name, type(new PayloadTypes(file, `typeof ${def}.${job.name}`)), payload.shape)
    }
  }
  return file.toString()
}

const namedType = ({ source }: NamedShape, file: SourceText, module: string): string | undefined =>
  source === undefined ? undefined : typeOfSource(source, file, module)

/** A type of the user, imported. */
export const typeOfSource = (source: TypeSource, file: SourceText, module: string): string => {
  if (source.module === undefined) return `${file.namespace(module, "def", false)}.${source.name}`
  return file.type(moduleFromOutput(source.module, module), source.name)
}

/** A specifier as written in the definition file, seen from the output folder. */
const moduleFromOutput = (written: string, definition: string): string => {
  if (!written.startsWith(".")) return written
  const folder = definition.slice(0, definition.lastIndexOf("/") + 1)
  return folder + written.replace(/^\.\//, "")
}

type Named = ReadonlyMap<string, NamedShape>

const isRecursive = (id: string, named: Named): boolean => {
  const shape = named.get(id)?.shape
  return shape !== undefined && reachable([shape], named).some((one) => one.id === id)
}

/** What is used comes first, and names decide where use does not, so that the order is the same whatever the compiler did. */
const inOrder = (named: Named): ReadonlyArray<NamedShape> => {
  const done = new Set<string>()
  const result: Array<NamedShape> = []
  const visit = (id: string): void => {
    const one = named.get(id)
    if (one === undefined || done.has(id)) return
    done.add(id)
    for (const next of refsOf(one.shape).toSorted(compare)) visit(next)
    result.push(one)
  }
  for (const id of [...named.keys()].toSorted(compare)) visit(id)
  return result
}
