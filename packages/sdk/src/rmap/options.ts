/** Options of a map, and what may be written into one. */
import type { Engine } from "../engine/engine.ts"
import type { MapOperation } from "../engine/maps.ts"
import { BadInput, BadOption } from "../errors.ts"
import { checkKey } from "../key.ts"
import { optionTable, readOptions, refuseUnknown, type Options } from "../options.ts"

export const mapOptionNames = ["callTimeoutMs", "mapEntries", "mapBytes", "mapAgeMs", "mapCheckMs"] as const

export interface JoinMapOptions extends Partial<Pick<Options, (typeof mapOptionNames)[number]>> {
  /** The name under which the map is kept beside others; a pool of that name need not exist. */
  readonly pool: string
  /** `redis://…`, `rediss://…`, `redis+sentinel://…` (docs/redis.md), `file:…` or `memory:<name>`; default: the environment's `PONOS_STORE`. */
  readonly store?: string | undefined
  /** An engine that somebody else opened and closes: the test environment. */
  readonly engine?: Engine
}

export const readMapOptions = (given: JoinMapOptions) => {
  refuseUnknown(given, ["pool", "store", "engine", ...mapOptionNames], "joinMap()")
  return readOptions({ ...given }, mapOptionNames)
}

/** Operations of one write. A script stages them whole. */
const maxOperations = 1_000

/** Names of maps, streams and sinks: a brace would move the keys to another slot of a cluster. */
export const checkName = (name: unknown, what: string): string => {
  const text = checkKey(name, `the ${what}'s name`)
  if (/[{}]/.test(text)) throw new BadOption(`expected the ${what}'s name to be without { and }, got: ${JSON.stringify(name)}`, { name })
  return text
}

const checkText = (value: unknown, what: string): void => {
  if (typeof value !== "string" || !value.isWellFormed() || value.includes("\0"))
    throw new BadInput(
      `expected ${what} to be a string of well-formed Unicode without NUL, got: ${typeof value}. Write other values as JSON, bytes as base64.`,
      { value },
    )
}

const checkItems = (items: unknown): void => {
  if (!Array.isArray(items)) throw new BadInput(`expected the items to be a list of strings, got: ${typeof items}`, { items })
  if (items.length > optionTable.mapEntries.max)
    throw new BadInput(`expected at most ${optionTable.mapEntries.max} items, got: ${items.length}`, { items: items.length })
  for (const item of items) checkText(item, "an item")
}

export const checkOperation = (operation: MapOperation): void => {
  if (operation.type !== "reset") checkKey(operation.key)
  switch (operation.type) {
    case "set":
      return checkText(operation.value, "the value")
    case "swap":
      if (operation.expect !== undefined) checkText(operation.expect, "the expected value")
      if (operation.value !== undefined) checkText(operation.value, "the value")
      return
    case "append":
    case "remove":
      return checkItems(operation.items)
    case "increment":
      if (!Number.isSafeInteger(operation.by))
        throw new BadInput(`expected the increment to be a safe integer, got: ${String(operation.by)}`, { by: operation.by })
      return
    case "delete":
    case "reset":
  }
}

export const checkOperations = (operations: ReadonlyArray<MapOperation>): void => {
  if (operations.length > maxOperations)
    throw new BadInput(`expected at most ${maxOperations} operations in one write, got: ${operations.length}`, {
      operations: operations.length,
    })
  for (const operation of operations) checkOperation(operation)
}
