/** A pool that is shut down: every worker of every process drains and stops, and none may join until it is opened again. */
import type { Engine, MemberEntry } from "../engine/engine.ts"
import { StoreUnavailable, WaitTimeout } from "../errors.ts"
import { shutDownKey, type ConfigMap } from "./pool-config.ts"

export interface ShutDownHost {
  readonly engine: Engine
  readonly pool: string
  readonly config: () => Promise<ConfigMap>
}

const pollMs = 50

/** Durable: written before anybody is waited for. Resolves when no worker is left. */
export const shutDown = async ({ engine, pool, config }: ShutDownHost, timeoutMs: number): Promise<void> => {
  const end = performance.now() + timeoutMs
  const { map } = await config()
  const info = await engine.poolInfo(pool)
  await map.compareAndSet(shutDownKey, undefined, String(info?.now ?? 0))
  for (;;) {
    const members = await membersOf(engine, pool)
    if (members?.length === 0) return
    const left = end - performance.now()
    if (left <= 0)
      throw new WaitTimeout(
        `${members?.length ?? "unknown"} workers of the pool "${pool}" did not stop within ${timeoutMs} ms: they go on draining, and none may join. Ask again, ` +
          "or look why their jobs do not settle.",
        { pool, timeoutMs, workers: members?.length },
      )
    await new Promise((resolve) => setTimeout(resolve, Math.min(pollMs, left)))
  }
}

/** Undefined when the store did not answer: it is written that they shall stop, and whether they have is asked again. */
const membersOf = async (engine: Engine, pool: string): Promise<ReadonlyArray<MemberEntry> | undefined> => {
  try {
    return (await engine.members(pool)).members
  } catch (error) {
    if (StoreUnavailable.is(error)) return undefined
    throw error
  }
}

export const reopen = async ({ config }: Pick<ShutDownHost, "config">): Promise<void> => {
  await (await config()).map.delete(shutDownKey)
}
