/** `worker.ts`: what handlers see and give, as named interfaces, and one stub per job. */
import type { Job, Operation, Payload } from "../domain.ts"
import { errorsOf } from "../shape.ts"
import { gen, keyType, type PrintInput, propertyName, typeName, unionOf, wakeNames } from "../name.ts"
import { type Group, PayloadTypes } from "./payload.ts"
import { queryDocs } from "./query-docs.ts"
import { SourceText } from "./source-text.ts"

export const printWorker = (input: PrintInput): string => {
  const { jobs } = input.definition
  const declared = jobs.flatMap(({ name }) => {
    const prefix = typeName(name)
    return [
      name,
      ...["Definition", "Signal", "Job", "View", "Update", "Handlers", "Activities", "Run", "Runs", "Stub"].map((part) => prefix + part),
    ]
  })
  const file = new SourceText(input.preamble, [jobsName, ...declared])
  for (const job of jobs) new WorkerPrinter(file, job, input).print()
  file.docs("What a handler can do with other runs of the jobs of this file, in any shard of its pool: `job.jobs`.")
  file.line(`export interface ${jobsName} {`)
  for (const { name, docs } of jobs) {
    file.docs(docs, "  ")
    file.line(`  readonly ${name}: ${typeName(name)}Runs`)
  }
  file.line("}", "")
  return file.toString()
}

const jobsName = "Jobs"

class WorkerPrinter {
  readonly #file: SourceText
  readonly #job: Job
  readonly #input: PrintInput
  readonly #prefix: string
  readonly #types: PayloadTypes

  constructor(file: SourceText, job: Job, input: PrintInput) {
    this.#file = file
    this.#job = job
    this.#input = input
    this.#prefix = typeName(job.name)
    this.#types = new PayloadTypes(file, `${this.#prefix}Definition`)
  }

  print(): void {
    const file = this.#file
    const definition = file.namespace(this.#input.module, "def", true)
    file.line(`type ${this.#prefix}Definition = typeof ${definition}.${this.#job.name}`, "")
    this.#signal()
    this.#context()
    const live = this.#job.queries.some((query) => query.live)
    this.#view(
      "View",
      "BaseView",
      `What queries see: the last committed state${live ? "; live ones, what a running handler has made of it" : ""}.`,
    )
    this.#view(
      "Update",
      "BaseUpdate",
      "What updates see: the state. What they do to it is kept if the handler returns, and undone if it throws.",
    )
    this.#handlers()
    this.#activities()
    this.#runs()
    this.#stub(definition)
  }

  #gen(name: string): string {
    return this.#file.type(gen, name)
  }

  /** Classes of a payload's declared errors, as a union. */
  #errors(payload: Payload): string {
    return unionOf(errorsOf(payload, this.#input.definition.named).map(({ tag }) => this.#file.type("./errors.ts", tag)))
  }

  #signal(): void {
    const { signals } = this.#job
    if (signals.length === 0) return
    const members = signals.map(({ name, payload }) => {
      const type = payload.shape === null ? "void" : this.#types.signal(name)
      return `${this.#gen("Envelope")}<${JSON.stringify(name)}, ${type}>`
    })
    this.#file.docs("An unread signal, as `poll` and `receive` give it.")
    this.#file.line(`export type ${this.#prefix}Signal = ${members.join(" | ")}`, "")
  }

  #context(): void {
    const { state, signals, activities, result } = this.#job
    const file = this.#file
    const wake = wakeNames(this.#job)
    const signal = `${this.#prefix}Signal`
    file.docs("What `run`, `open` and their steps see.")
    file.line(`export interface ${this.#prefix}Job extends ${this.#gen("BaseJob")} {`)
    file.line(`  readonly input: ${this.#types.input}`)
    if (state.shape !== null) {
      file.docs("Committed when the iteration ends; a failed attempt leaves it as it was.", "  ")
      file.line(`  state: ${this.#types.state}`)
    }
    file.docs("Why this iteration began.", "  ")
    file.line(`  readonly wake: ${this.#gen("Wake")}<${wake}>`)
    if (signals.length > 0) {
      const one = `Extract<${signal}, { readonly name: N }>`
      const call = this.#gen("Call")
      file.docs("The next unread signal of any kind, or of the named one, consumed; `undefined`: none.", "  ")
      file.line(`  poll(): ${signal} | undefined`, `  poll<N extends ${signal}["name"]>(name: N): ${one} | undefined`)
      file.docs("Waits for a signal, or for the first of a list, and consumes it; with a `timeout` it may give `undefined`.", "  ")
      file.line(
        `  receive<N extends ${signal}["name"]>(name: N | ReadonlyArray<N>, options?: ${this.#gen("ReceiveFilter")}<${one}["payload"]>): ${call}<${one}>`,
        `  receive<N extends ${signal}["name"]>(name: N | ReadonlyArray<N>, options: ${this.#gen("ReceiveOptions")}<${one}["payload"]>): ${call}<${one} | undefined>`,
      )
    }
    if (activities.length > 0) {
      file.line("  readonly activities: {")
      for (const activity of activities) {
        const out = this.#out("activities", activity)
        const error = this.#errors(activity.error)
        file.docs(activity.docs, "    ")
        file.line(
          `    ${propertyName(activity.name)}(${this.#callInput(activity)}, options?: ${this.#gen("ActivityCallOptions")}): ${this.#gen("Call")}<${out}${error === "never" ? "" : `, ${error}`}>`,
        )
      }
      file.line("  }")
    }
    file.docs("Other jobs: children, and runs to signal or to wait for.", "  ")
    file.line(`  readonly jobs: ${jobsName}`)
    file.docs("Ends the iteration; the next one begins by time, by a message named in `on`, or at once.", "  ")
    file.line(`  again(options?: ${this.#gen("AgainOptions")}<${wake}>): ${this.#gen("Again")}`)
    file.docs("Ends the run.", "  ")
    file.line(`  done(${result.shape === null ? "" : `result: ${this.#types.result}`}): ${this.#gen("Done")}`, "}", "")
  }

  #view(word: "View" | "Update", base: string, docs: string): void {
    const { state, queries, updates } = this.#job
    if ((word === "View" ? queries : updates).length === 0) return
    const file = this.#file
    file.docs(docs)
    file.line(`export interface ${this.#prefix}${word} extends ${this.#gen(base)} {`, `  readonly input: ${this.#types.input}`)
    if (state.shape !== null)
      file.line(word === "View" ? `  readonly state: Readonly<${this.#types.state}>` : `  state: ${this.#types.state}`)
    file.line("}", "")
  }

  #handlers(): void {
    const { state, error, updates, queries, docs } = this.#job
    const file = this.#file
    const out = this.#gen("Out")
    const context = `${this.#prefix}Job`
    const ends = `${this.#gen("Again")} | ${this.#gen("Done")}`
    file.docs(docs)
    file.line(`export interface ${this.#prefix}Handlers<Resource, R1, R2, R3> {`)
    if (state.shape !== null) {
      file.docs("State of a new run: pure, called once.", "  ")
      file.line(`  readonly init: (input: ${this.#types.input}) => ${this.#types.state}`)
      this.#upgrades()
    }
    file.docs(
      "Opens what the job holds while it is resident in this worker. Write it before `close` and `run`: their `resource` gets its type from here.",
      "  ",
    )
    file.line(`  readonly open?: (job: ${context}) => ${out}<Resource, never, R1>`)
    file.line(`  readonly close?: (resource: NoInfer<Resource>) => ${out}<void, never, R2>`)
    file.docs("One iteration; it returns `job.again(…)` or `job.done(…)`.", "  ")
    file.line(`  readonly run: (job: ${context}, resource: NoInfer<Resource>) => ${out}<${ends}, ${this.#errors(error)}, R3>`)
    this.#group("updates", updates, `job: ${this.#prefix}Update`, "Synchronous, without steps; a throw leaves the state as it was.")
    this.#group(
      "queries",
      queries.map((query) => ({ ...query, docs: queryDocs(query) })),
      `view: ${this.#prefix}View`,
      "Synchronous and read-only.",
    )
    file.line("}", "")
  }

  #upgrades(): void {
    const { stateVersion } = this.#job
    if (stateVersion === 1) return
    const file = this.#file
    file.docs(
      "Stored states of older versions, as JSON: each makes the next version of one. Called in turn when a run is loaded; pure.",
      "  ",
    )
    file.line("  readonly upgrade: {")
    for (let version = 1; version < stateVersion; version++) file.line(`    readonly ${version}: (state: any) => unknown`)
    file.line("  }")
  }

  #group(group: Group, operations: ReadonlyArray<Operation>, first: string, docs: string): void {
    if (operations.length === 0) return
    this.#file.docs(docs, "  ")
    this.#file.line(`  readonly ${group}: {`)
    for (const operation of operations) {
      const input = operation.input.shape === null ? "" : `, input: ${this.#types.in(group, operation.name)}`
      this.#file.docs(operation.docs, "    ")
      this.#file.line(`    readonly ${propertyName(operation.name)}: (${first}${input}) => ${this.#out(group, operation, "undefined")}`)
    }
    this.#file.line("  }")
  }

  #activities(): void {
    const { activities } = this.#job
    if (activities.length === 0) return
    const file = this.#file
    file.docs("Run by any worker that registers them.")
    file.line(`export interface ${this.#prefix}Activities {`)
    for (const activity of activities) {
      const input = activity.input.shape === null ? "" : `, ${this.#in("activities", activity)}`
      const type = `${this.#gen("Out")}<${this.#out("activities", activity)}, ${this.#errors(activity.error)}, any>`
      file.docs(activity.docs, "  ")
      file.line(`  readonly ${propertyName(activity.name)}: (call: ${this.#gen("ActivityCall")}${input}) => ${type}`)
    }
    file.line("}", "")
  }

  #runs(): void {
    const { name, signals, result, error } = this.#job
    const file = this.#file
    const call = this.#gen("Call")
    const run = `${this.#prefix}Run`
    file.docs(`A run of ${name}, as handlers see it: a child, or whichever has the key.`)
    file.line(`export interface ${run} {`, "  readonly key: string")
    if (signals.length > 0) {
      file.line("  readonly signal: {")
      for (const { name: signal, payload, docs } of signals) {
        const input = payload.shape === null ? "payload?: undefined" : `payload: ${this.#types.signal(signal)}`
        file.docs(docs, "    ")
        file.line(`    ${propertyName(signal)}(${input}): ${call}<void>`)
      }
      file.line("  }")
    }
    const errors = this.#errors(error)
    file.docs("Waits for its end, also while this run leaves memory; gives the result, or throws as `result` of a handle does.", "  ")
    file.line(`  result(): ${call}<${result.shape === null ? "void" : this.#types.result}${errors === "never" ? "" : `, ${errors}`}>`)
    file.docs("Asks it to end: its handler sees an abort and may clean up.", "  ")
    file.line(`  cancel(reason?: string): ${call}<void>`, "}", "")
    file.line(`export interface ${this.#prefix}Runs {`)
    file.docs("Starts a child, or joins the live run of the key; resolves when the start was accepted, throws when it was refused.", "  ")
    const firsts = unionOf(
      signals.map(({ name: signal, payload }) => {
        const type = payload.shape === null ? "void" : this.#types.signal(signal)
        return `${this.#gen("FirstSignal")}<${JSON.stringify(signal)}, ${type}>`
      }),
    )
    file.line(`  start(input: ${this.#types.input}, options?: ${this.#gen("ChildOptions")}<${firsts}>): ${call}<${run}>`)
    file.docs("The run that has the key; nothing is sent.", "  ")
    file.line(`  get(key: ${keyType(this.#job)}): ${run}`, "}", "")
  }

  #stub(definition: string): void {
    const { name, docs, activities } = this.#job
    const file = this.#file
    const prefix = this.#prefix
    const contracts = file.namespace("./contracts.ts", "contracts", true)
    file.line(`export interface ${prefix}Stub {`)
    file.docs("Pairs the handlers with their contract, for `createWorker({ jobs: […] })`.", "  ")
    file.line(
      "  implement<Resource = undefined, R1 = never, R2 = never, R3 = never>(",
      `    handlers: ${prefix}Handlers<Resource, R1, R2, R3>,`,
      `  ): ${this.#gen("JobHandlers")}<R1 | R2 | R3>`,
    )
    if (activities.length > 0) {
      file.docs("For `createWorker({ activities: […] })`.", "  ")
      file.line(
        `  activities<F extends ${prefix}Activities>(handlers: F & ${this.#gen("NoExtra")}<F, ${prefix}Activities>): ${this.#gen("ActivityHandlers")}<${this.#gen("Needs")}<F>>`,
      )
    }
    file.line("}", "")
    file.docs(docs)
    file.line(
      `export const ${name}: ${prefix}Stub = ${file.value(gen, "makeStub")}(${definition}.${name}, ${contracts}.${name}, ${contracts})`,
      "",
    )
  }

  #callInput(activity: Operation): string {
    return activity.input.shape === null ? "input?: undefined" : this.#in("activities", activity)
  }

  #in(group: Group, operation: Operation): string {
    return operation.input.shape === null ? "" : `input: ${this.#types.in(group, operation.name)}`
  }

  #out(group: Group, operation: Operation, nothing = "void"): string {
    return operation.output.shape === null ? nothing : this.#types.out(group, operation.name)
  }
}
