/** The payloads of a job: names of their schemas, and their types by way of the definition, because a user's type is never printed (rule 17). */
import type { Definition, Job, Operation, Payload } from "../domain.ts"
import { gen, namePart, typeName } from "../name.ts"
import type { SourceText } from "./source-text.ts"

export type Group = "updates" | "queries" | "activities"

export const groups: ReadonlyArray<Group> = ["queries", "updates", "activities"]

/** Types of one job's payloads in one file; `job` is `typeof def.x`, or an alias of it. */
export class PayloadTypes {
  readonly #file: SourceText
  readonly #job: string

  constructor(file: SourceText, job: string) {
    this.#file = file
    this.#job = job
  }

  get input(): string {
    return `${this.#file.type(gen, "Input")}<${this.#job}>`
  }

  get state(): string {
    return `${this.#file.type(gen, "State")}<${this.#job}>`
  }

  get result(): string {
    return `${this.#file.type(gen, "Result")}<${this.#job}>`
  }

  signal(name: string): string {
    return `${this.#file.type(gen, "SignalPayload")}<${this.#job}, ${JSON.stringify(name)}>`
  }

  in(group: Group, name: string): string {
    return `${this.#file.type(gen, "In")}<${this.#job}, "${group}", ${JSON.stringify(name)}>`
  }

  out(group: Group, name: string): string {
    return `${this.#file.type(gen, "OutOf")}<${this.#job}, "${group}", ${JSON.stringify(name)}>`
  }
}

/** A payload that needs a schema of its own name, because its type has none. */
export interface OwnPayload {
  readonly payload: Payload
  readonly name: string
  readonly type: (types: PayloadTypes) => string
}

/** Payloads of a job in a fixed order, with the names that their schemas have if they need one. */
export const payloadsOf = (job: Job): ReadonlyArray<OwnPayload> => {
  const prefix = typeName(job.name)
  const of = (group: Group, word: string, operation: Operation): ReadonlyArray<OwnPayload> => [
    { payload: operation.input, name: `${prefix}${namePart(operation.name)}${word}In`, type: (types) => types.in(group, operation.name) },
    {
      payload: operation.output,
      name: `${prefix}${namePart(operation.name)}${word}Out`,
      type: (types) => types.out(group, operation.name),
    },
  ]
  return [
    { payload: job.input, name: `${prefix}Input`, type: (types) => types.input },
    { payload: job.state, name: `${prefix}State`, type: (types) => types.state },
    { payload: job.result, name: `${prefix}Result`, type: (types) => types.result },
    ...job.signals.map((signal) => ({
      payload: signal.payload,
      name: `${prefix}${namePart(signal.name)}Signal`,
      type: (types: PayloadTypes) => types.signal(signal.name),
    })),
    ...job.queries.flatMap((one) => of("queries", "Query", one)),
    ...job.updates.flatMap((one) => of("updates", "Update", one)),
    ...job.activities.flatMap((one) => of("activities", "Activity", one)),
  ]
}

/** Names of the schemas of all payloads: that of a named type, or one of their own, unique in the file. */
export const schemaNames = (definition: Definition): ReadonlyMap<Payload, string> => {
  const names = new Map<Payload, string>()
  const taken = new Set(definition.named.keys())
  for (const { payload, name } of definition.jobs.flatMap(payloadsOf)) {
    if (payload.shape === null) continue
    if (payload.shape.kind === "ref") {
      names.set(payload, payload.shape.id)
      continue
    }
    let unique = name
    for (let i = 2; taken.has(unique); i++) unique = `${name}${i}`
    taken.add(unique)
    names.set(payload, unique)
  }
  return names
}
