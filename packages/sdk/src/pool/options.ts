/** Options of a member of a pool, from the one table (../options.ts), with what they must satisfy together. */
import { BadOption } from "../errors.ts"
import { optionTable, readOptions } from "../options.ts"

export const poolOptionNames = [
  "leaseMs",
  "renewMs",
  "watchMs",
  "probeMs",
  "reconnectGraceMs",
  "abortGraceMs",
  "maxStallMs",
  "settleMs",
  "drainMs",
  "drainBudgetMs",
  "sweepMs",
  "statsWindowMs",
] as const

export type PoolOptions = { readonly [K in (typeof poolOptionNames)[number]]: number }

/**
 * Defaults follow a given lease: renewed three times in it, abort at most a quarter before its end. What is given must satisfy the same. A loop
 * may stall for half of it, as a data path may be silent (S4); more or less is the user's choice.
 */
export const readPoolOptions = (given: Readonly<Partial<Record<string, unknown>>>): PoolOptions => {
  const options = { ...readOptions(given, poolOptionNames) }
  const renewMax = Math.floor(options.leaseMs / 3)
  const graceMax = Math.floor(options.leaseMs / 2)
  if (given["renewMs"] === undefined) options.renewMs = Math.min(options.renewMs, renewMax)
  if (given["abortGraceMs"] === undefined) options.abortGraceMs = Math.min(options.abortGraceMs, Math.floor(options.leaseMs / 4))
  if (given["maxStallMs"] === undefined) options.maxStallMs = Math.min(options.maxStallMs, graceMax)
  const probeMax = Math.floor(options.reconnectGraceMs / 2)
  if (given["probeMs"] === undefined) options.probeMs = Math.min(options.probeMs, probeMax)
  if (options.probeMs > probeMax)
    throw new BadOption(`expected probeMs to be at most half of reconnectGraceMs (${probeMax}), got: ${options.probeMs}`, {
      option: "probeMs",
    })
  if (options.renewMs > renewMax)
    throw new BadOption(`expected renewMs to be at most a third of leaseMs (${renewMax}), got: ${options.renewMs}`, { option: "renewMs" })
  if (options.abortGraceMs > graceMax)
    throw new BadOption(`expected abortGraceMs to be at most half of leaseMs (${graceMax}), got: ${options.abortGraceMs}`, {
      option: "abortGraceMs",
    })
  return options
}

/** What becomes of handlers that have not settled when trust ended (S5): reported, or the process ends with them. */
export type OnOverrun = "report" | "exit"

export const checkOnOverrun = (given: unknown): OnOverrun => {
  if (given === undefined || given === "report" || given === "exit") return given ?? "report"
  throw new BadOption(`expected onOverrun to be "report" or "exit", got: ${JSON.stringify(given)}`, { option: "onOverrun" })
}

export const checkDirect = (given: unknown): boolean => {
  if (given === undefined || typeof given === "boolean") return given ?? false
  throw new BadOption(`expected directConnection to be true or false, got: ${JSON.stringify(given)}`, { option: "directConnection" })
}

/** Name of a group of workers. */
export const checkGroup = (group: unknown): string => {
  // oxlint-disable-next-line no-control-regex -- control characters are what is refused: drivers use them as separators
  if (typeof group !== "string" || group === "" || group.length > 64 || /[\u0000-\u001f\u007f]/.test(group))
    throw new BadOption(`expected group to be a name of 1 to 64 characters, got: ${JSON.stringify(group)}`, {
      option: "group",
      value: group,
    })
  return group
}

export const checkGroups = (groups: unknown): Readonly<Record<string, number>> | undefined => {
  if (groups === undefined) return undefined
  if (typeof groups !== "object" || groups === null || Array.isArray(groups) || Object.keys(groups).length === 0)
    throw new BadOption(`expected groups to give a weight to each group, as in { eu: 2, us: 1 }, got: ${JSON.stringify(groups)}`, {
      option: "groups",
    })
  for (const [group, weight] of Object.entries(groups as Record<string, unknown>)) {
    checkGroup(group)
    const { min, max } = optionTable.weight
    if (typeof weight !== "number" || !Number.isInteger(weight) || weight < min || weight > max)
      throw new BadOption(`expected the weight of group ${group} to be an integer from ${min} to ${max}, got: ${JSON.stringify(weight)}`, {
        option: "groups",
        value: weight,
      })
  }
  return groups as Readonly<Record<string, number>>
}
