/** `client.ts`: a typed client. It imports the definition by type only, so that a client program loads nothing of it. */
import type { Job, Operation } from "../domain.ts"
import { gen, keyType, literal, type PrintInput, propertyName, typeName, unionOf } from "../name.ts"
import { type Group, PayloadTypes } from "./payload.ts"
import { queryDocs } from "./query-docs.ts"
import { SourceText } from "./source-text.ts"

export const printClient = ({ definition, module, preamble }: PrintInput): string => {
  const { jobs } = definition
  const declared = jobs.flatMap(({ name }) => ["Definition", "Handle", "Client"].map((part) => typeName(name) + part))
  const file = new SourceText(preamble, ["Client", "createClient", ...declared])
  for (const job of jobs) {
    const types = new PayloadTypes(file, `${typeName(job.name)}Definition`)
    file.line(`type ${typeName(job.name)}Definition = typeof ${file.namespace(module, "def", false)}.${job.name}`, "")
    printHandle(file, job, types)
    printJobClient(file, job, types)
  }
  file.line("export interface Client extends AsyncDisposable {")
  for (const { name, docs } of jobs) {
    file.docs(docs, "  ")
    file.line(`  readonly ${name}: ${typeName(name)}Client`)
  }
  file.docs("How long runs of the pool wait, how much runs, and how many workers it takes: by group and in total.", "  ")
  file.line(`  stats(options?: ${file.type(gen, "StatsOptions")}): Promise<${file.type(gen, "PoolStats")}>`)
  file.docs("Ends the client's connections; handles cannot be used after it.", "  ")
  file.line("  close(): Promise<void>", "}", "")
  const contracts = file.namespace("./contracts.ts", "contracts", true)
  file.line(`export function createClient(options: ${file.type(gen, "ClientOptions")}): Client {`)
  file.line(`  return ${file.value(gen, "makeClient")}(options, ${contracts})`, "}")
  return file.toString()
}

const printHandle = (file: SourceText, job: Job, types: PayloadTypes): void => {
  const state = job.state.shape === null ? "undefined" : types.state
  file.docs(`One key of ${literal(job.kind?.value ?? "")}.`)
  file.line(`export interface ${typeName(job.name)}Handle {`, "  readonly key: string")
  printGroup(file, "signal", job.signals, ({ name, payload }) => {
    const input = payload.shape === null ? "payload?: undefined" : `payload: ${types.signal(name)}`
    return `(${input}, options?: ${file.type(gen, "SignalOptions")}): Promise<void>`
  })
  printGroup(file, "update", job.updates, (one) => printCall(file, "updates", one, types, "UpdateOptions"))
  printGroup(
    file,
    "query",
    job.queries.map((query) => ({ ...query, docs: queryDocs(query) })),
    (one) => printCall(file, "queries", one, types, "QueryOptions"),
  )
  file.docs("What the store knows about the run.", "  ")
  file.line(`  describe(): Promise<${file.type(gen, "Described")}<${state}>>`)
  file.docs("What happened in the current iteration, as plain JSON: to look at, and for `replay` in a test.", "  ")
  file.line(`  history(): Promise<${file.type(gen, "History")}>`)
  file.docs("Waits for the end; gives the result, or throws the declared error, `Cancelled`, `Terminated` or `RunFailed`.", "  ")
  file.line(`  result(options?: ${file.type(gen, "ResultOptions")}): Promise<${job.result.shape === null ? "void" : types.result}>`)
  file.docs("Asks the run to end: its handler sees an abort and may clean up.", "  ")
  file.line("  cancel(reason?: string): Promise<void>")
  file.docs("Ends the run now, without its handler.", "  ")
  file.line("  terminate(reason?: string): Promise<void>", "}", "")
}

const printGroup = <A extends { readonly name: string; readonly docs: string }>(
  file: SourceText,
  name: string,
  members: ReadonlyArray<A>,
  signature: (member: A) => string,
): void => {
  if (members.length === 0) return
  file.line(`  readonly ${name}: {`)
  for (const member of members) {
    file.docs(member.docs, "    ")
    file.line(`    ${propertyName(member.name)}${signature(member)}`)
  }
  file.line("  }")
}

const printCall = (file: SourceText, group: Group, { name, input, output }: Operation, types: PayloadTypes, options: string): string => {
  const argument = input.shape === null ? "input?: undefined" : `input: ${types.in(group, name)}`
  const answer = output.shape === null ? "void" : types.out(group, name)
  return `(${argument}, options?: ${file.type(gen, options)}): Promise<${answer}>`
}

const printJobClient = (file: SourceText, job: Job, types: PayloadTypes): void => {
  const prefix = typeName(job.name)
  const firsts = unionOf(
    job.signals.map(({ name, payload }) => {
      const type = payload.shape === null ? "void" : types.signal(name)
      return `${file.type(gen, "FirstSignal")}<${JSON.stringify(name)}, ${type}>`
    }),
  )
  file.docs(job.docs)
  file.line(
    `export interface ${prefix}Client {`,
    `  readonly kind: ${literal(job.kind?.value ?? "")}`,
    `  readonly contract: ${file.type(gen, "JobContract")}`,
  )
  file.docs("Starts a run, or joins the live one of the key; the start is durable when this resolves.", "  ")
  file.line(`  start(input: ${types.input}, options?: ${file.type(gen, "StartOptions")}<${firsts}>): Promise<${prefix}Handle>`)
  file.docs("The handle of a key; nothing is sent.", "  ")
  file.line(`  get(key: ${keyType(job)}): ${prefix}Handle`)
  file.docs("Runs of this kind that match, ended ones that are retained too, in no order.", "  ")
  file.line(`  list(options?: ${file.type(gen, "ListOptions")}): AsyncIterable<${file.type(gen, "Listed")}>`)
  file.docs("One page of them.", "  ")
  file.line(`  page(options?: ${file.type(gen, "PageOptions")}): Promise<${file.type(gen, "Page")}>`, "}", "")
}
