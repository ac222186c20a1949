/** The store's own word on who wrote to a job: each accepted write put the fence of its writer into the job's state. */
import type { Client } from "../ponos.gen/client.ts"

interface Stored {
  readonly iteration: number
  readonly state: { readonly writes: number; readonly fences: ReadonlyArray<string> } | undefined
}

/** Fences below an earlier one, and a count of writes that is not that of the iterations which made them. Pure. */
export const contradictionsOf = ({ iteration, state }: Stored): number => {
  const { writes, fences } = state ?? { writes: 0, fences: [] }
  const falling = fences.filter((fence, n) => fence < (fences[n - 1] ?? "")).length
  return falling + (writes === iteration - 1 ? 0 : 1)
}

export const storedContradictions = async (client: Client, keys: ReadonlyArray<string>): Promise<number> => {
  const all = await Promise.all(keys.map((key) => client.tenant.get(key).describe()))
  return all.reduce((sum, one) => sum + contradictionsOf(one), 0)
}
