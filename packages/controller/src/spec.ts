/**
 * Hashes by which a desired and a running tenant are compared. Both are stored with runs: they must never change (known-answer vectors in
 * the tests), or every tenant would be updated once after an upgrade.
 */
import { hash } from "node:crypto"

/**
 * Hash of the canonical encoded input: 96 bits, as 16 letters. The contract's version is not part of it: a new contract that leaves an
 * input as it is must not touch a million running jobs.
 */
export const specOf = (input: string): string => hash("sha256", input, "base64url").slice(0, 16)

/**
 * Two hashes of (address, spec), summed up per shard (K4). 44 bits each, of the 48 that the engine takes: the sum of a shard with half a
 * million runs still fits in the store's signed 64-bit integers.
 */
export const sumsOf = (address: string, spec: string): readonly [number, number] => {
  const digest = hash("sha256", `${address}\n${spec}`, "buffer")
  return [Math.floor(digest.readUIntBE(0, 6) / 16), Math.floor(digest.readUIntBE(6, 6) / 16)]
}

/** `job.fence` as shards compare it: 19 digits, so that text order is number order (O2). */
export const fenceText = (fence: bigint): string => fence.toString().padStart(19, "0")
