/** From an input, or a key as users give it, to the address and shard of a job. */
import { BadInput } from "../errors.ts"
import { addressOf, checkKey, joinKey, shardOf } from "../key.ts"
import type { JobContract } from "./contract.ts"

export interface JobAddress {
  readonly key: string
  readonly address: string
  readonly shard: number
}

const locate = (contract: JobContract, parts: ReadonlyArray<string>, shards: number): JobAddress => {
  const key = joinKey(parts)
  return { key, address: addressOf(contract.kind, key), shard: shardOf(parts[0] ?? "", shards) }
}

/** The address of an encoded or plain input, by its key fields. */
export const addressOfInput = (contract: JobContract, input: unknown, shards: number): JobAddress => {
  const fields = input as Readonly<Record<string, unknown>>
  return locate(
    contract,
    contract.key.map((field) => checkKey(fields[field], `\`${field}\` (the key of ${contract.kind})`)),
    shards,
  )
}

/** The address of a key: a string, or the key fields of a composite key. */
export const addressOfKey = (contract: JobContract, key: unknown, shards: number): JobAddress => {
  if (contract.key.length === 1 && typeof key === "string") return locate(contract, [checkKey(key)], shards)
  if (typeof key === "object" && key !== null) return addressOfInput(contract, key, shards)
  const expected = contract.key.length === 1 ? "a string" : `an object with the fields ${contract.key.join(", ")}`
  throw new BadInput(`expected the key of ${contract.kind} to be ${expected}, got: ${JSON.stringify(key) ?? typeof key}`, { key })
}
