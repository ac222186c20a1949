/** A generated file under construction. It tracks its imports, so that printing code reads like the text it makes. */
import { compare } from "../shape.ts"

interface Binding {
  readonly module: string
  readonly name: string
  readonly local: string
  isValue: boolean
}

const importOrder = (module: string): string => (module.startsWith(".") ? `1${module}` : `0${module}`)

export class SourceText {
  readonly #lines: Array<string> = []
  readonly #bindings: Map<string, Binding> = new Map()
  readonly #taken: Set<string>
  readonly #preamble: string

  /** `declared`: top-level names of the file itself, which imports must not use. */
  constructor(preamble: string, declared: Iterable<string>) {
    this.#preamble = preamble
    this.#taken = new Set(declared)
  }

  type(module: string, name: string): string {
    return this.#bind(module, name, false)
  }

  value(module: string, name: string): string {
    return this.#bind(module, name, true)
  }

  /** `import * as name`. */
  namespace(module: string, name: string, isValue: boolean): string {
    return this.#bind(module, `* as ${name}`, isValue)
  }

  #bind(module: string, name: string, isValue: boolean): string {
    const id = `${module} ${name}`
    const known = this.#bindings.get(id)
    if (known !== undefined) {
      known.isValue ||= isValue
      return known.local
    }
    let local = name.replace("* as ", "")
    while (this.#taken.has(local)) local += "_"
    this.#taken.add(local)
    this.#bindings.set(id, { module, name, local, isValue })
    return local
  }

  line(...lines: ReadonlyArray<string>): void {
    this.#lines.push(...lines)
  }

  /** A documentation comment; what would end it is broken. */
  docs(text: string, indent = ""): void {
    if (text !== "") this.#lines.push(comment(text, indent))
  }

  toString(): string {
    const imports = [...this.#bindings.values()].toSorted((a, b) => compare(importOrder(a.module), importOrder(b.module)))
    const statements: Array<string> = []
    for (const binding of imports.filter(({ name }) => name.startsWith("* as "))) {
      statements.push(`import ${binding.isValue ? "" : "type "}* as ${binding.local} from ${JSON.stringify(binding.module)}`)
    }
    const named = imports.filter(({ name }) => !name.startsWith("* as "))
    for (const module of new Set(named.map((binding) => binding.module))) {
      for (const isValue of [false, true]) {
        const names = named
          .filter((binding) => binding.module === module && binding.isValue === isValue)
          .map(({ name, local }) => (name === local ? name : `${name} as ${local}`))
          .toSorted(compare)
        if (names.length > 0) statements.push(printImport(names, module, isValue))
      }
    }
    const head = statements.length === 0 ? "" : `${statements.join("\n")}\n\n`
    return `${this.#preamble}\n${head}${this.#lines.join("\n").trimEnd()}\n`
  }
}

const printImport = (names: ReadonlyArray<string>, module: string, isValue: boolean): string => {
  const keyword = isValue ? "import" : "import type"
  const flat = `${keyword} { ${names.join(", ")} } from ${JSON.stringify(module)}`
  return flat.length <= 140 ? flat : `${keyword} {\n${names.map((name) => `  ${name},\n`).join("")}} from ${JSON.stringify(module)}`
}

export const comment = (text: string, indent: string): string => {
  const lines = text.replaceAll("*/", "*\\/").split(/\r?\n/)
  const only = lines[0]
  if (lines.length === 1 && only !== undefined) return `${indent}/** ${only} */`
  return [`${indent}/**`, ...lines.map((line) => `${indent} * ${line}`.trimEnd()), `${indent} */`].join("\n")
}
