/**
 * What each tenant's feed emits: a pure function of (tenant, time). A reader may connect anywhere at any time, and event `n` of a tenant
 * is always the same, so a reader that goes on from its cursor misses nothing and sees nothing twice.
 *
 * - M1 Events of a tenant are numbered 1, 2, 3 … without a gap.
 * - M2 `emittedBy` never goes down, and `dueAt(t, n) <= ms` exactly when `emittedBy(t, ms) >= n`.
 */
import { createHash } from "node:crypto"

export interface Emission {
  /** Mean time between two events of one tenant; tenants differ by a factor of 0.5 to 1.5. */
  readonly meanMs: number
}

interface Rhythm {
  readonly firstMs: number
  readonly everyMs: number
}

const rhythms = new Map<string, Rhythm>()

const rhythm = (tenant: string, { meanMs }: Emission): Rhythm => {
  const name = `${tenant} ${meanMs}`
  const known = rhythms.get(name)
  if (known !== undefined) return known
  const hash = createHash("sha256").update(tenant).digest()
  const everyMs = Math.max(1, Math.round(meanMs * (0.5 + hash.readUInt16BE(0) / 0xffff)))
  const made = { firstMs: Math.round((everyMs * hash.readUInt16BE(2)) / 0xffff), everyMs }
  rhythms.set(name, made)
  return made
}

/** When event `number` of a tenant is emitted, in ms after the start of the upstream. */
export const dueAt = (tenant: string, number: number, emission: Emission): number => {
  const { firstMs, everyMs } = rhythm(tenant, emission)
  return firstMs + (number - 1) * everyMs
}

/** Number of the last event that a tenant has emitted after `elapsedMs`. */
export const emittedBy = (tenant: string, elapsedMs: number, emission: Emission): number => {
  const { firstMs, everyMs } = rhythm(tenant, emission)
  return elapsedMs < firstMs ? 0 : Math.floor((elapsedMs - firstMs) / everyMs) + 1
}

/** The content of an event: the receiver recomputes it, and refuses a delivery that was damaged or mixed up on its way. */
export const eventBody = (tenant: string, number: number): string =>
  createHash("sha256").update(`${tenant} ${number}`).digest("base64url").slice(0, 16)
