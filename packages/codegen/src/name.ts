/** Names in generated code. */
import type { Definition, Job, LiteralValue } from "./domain.ts"

/** The versioned entry that generated code calls. */
export const gen = "@ponos/sdk/gen"

/** What every printer gets. */
export interface PrintInput {
  readonly definition: Definition
  /** Module specifier of the definition file from the output folder. */
  readonly module: string
  readonly preamble: string
}

/** `tenantFeed` → `TenantFeed`: prefix of the interfaces of a job. */
export const typeName = (name: string): string => name.charAt(0).toUpperCase() + name.slice(1)

/** `re-configure` → `ReConfigure`, as part of a name. */
export const namePart = (name: string): string =>
  name
    .split(/[^A-Za-z0-9_$]+/)
    .map(typeName)
    .join("")

const identifier = /^[A-Za-z_$][A-Za-z0-9_$]*$/

/** A property name, quoted where it must be. */
export const propertyName = (name: string): string => (identifier.test(name) ? name : JSON.stringify(name))

export const literal = (value: LiteralValue): string =>
  typeof value === "bigint" ? `${value}n` : Object.is(value, -0) ? "-0" : JSON.stringify(value)

export const unionOf = (names: ReadonlyArray<string>): string => (names.length === 0 ? "never" : names.join(" | "))

/** Names of what wakes a job: its signals and updates. */
export const wakeNames = (job: Job): string => unionOf([...job.signals, ...job.updates].map(({ name }) => JSON.stringify(name)))

/** Type of a job's key, as handles take it. */
export const keyType = ({ key, composite }: Job): string =>
  composite ? `{ ${key.map(({ field }) => `readonly ${propertyName(field)}: string`).join("; ")} }` : "string"
