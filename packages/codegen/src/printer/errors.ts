/** `errors.ts`: one class per declared error, compared by tag. */
import type { Field, TypeSource } from "../domain.ts"
import { allErrors, type DeclaredError, resolve } from "../shape.ts"
import { gen, type PrintInput, propertyName } from "../name.ts"
import { typeOfSource } from "./schemas.ts"
import { SourceText } from "./source-text.ts"

export const printErrors = ({ definition, module, preamble }: PrintInput): string => {
  const errors = allErrors(definition)
  const file = new SourceText(
    preamble,
    errors.map(({ tag }) => tag),
  )
  for (const error of errors) {
    const shape = resolve(error.type.shape, definition.named)
    if (error.type.source === undefined || shape.kind !== "object") continue
    printClass(file, error, error.type.source, shape.fields, module)
  }
  // A module without exports would not be one.
  if (errors.length === 0) file.line("export {}")
  return file.toString()
}

const printClass = (file: SourceText, { tag }: DeclaredError, source: TypeSource, fields: ReadonlyArray<Field>, module: string): void => {
  const type = typeOfSource(source, file, module)
  const others = fields.filter(({ name }) => name !== "_tag")
  // All fields may be left out: then the argument may be, too.
  const isOptional = others.every(({ optional }) => optional)
  file.line(`export class ${tag} extends ${file.value(gen, "Failure")}<"${tag}", ${type}> {`)
  for (const { name, optional } of others) {
    const member = `${type}[${JSON.stringify(name)}]`
    file.line(`  declare readonly ${propertyName(name)}${optional ? `?: Exclude<${member}, undefined>` : `: ${member}`}`)
  }
  file.line(
    `  constructor(fields: Omit<${type}, "_tag">${isOptional ? " = {}" : ""}) {`,
    `    super("${tag}", fields)`,
    "  }",
    `  static is(error: unknown): error is ${tag} {`,
    `    return typeof error === "object" && error !== null && "_tag" in error && error._tag === "${tag}"`,
    "  }",
    "}",
    "",
  )
}
