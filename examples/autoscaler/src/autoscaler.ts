/** Adds and removes worker processes by how long runs wait. */
import { setTimeout as sleep } from "node:timers/promises"
import type { PoolStats, StatsOptions } from "@ponos/sdk"
import type { Supervisor } from "@ponos/sdk/supervisor"

export interface AutoscalerOptions {
  readonly supervisor: Pick<Supervisor, "processes" | "scale">
  /** `client.stats`. */
  readonly stats: (targets: StatsOptions) => Promise<PoolStats>
  readonly targets: StatsOptions
  /** Between two looks, ms. */
  readonly everyMs: number
  /** Told of each look, with the number of processes that there shall be from now on. */
  readonly onLook?: (stats: PoolStats, processes: number) => void
  readonly onError?: (error: unknown) => void
}

/**
 * What there shall be. `recommended` is about the workers that have joined. Processes that still start are on their way to help: until they
 * are there, nobody says that there are too many.
 */
export const decide = (recommended: number, joined: number, processes: number): number => {
  if (recommended > processes) return recommended
  return joined === processes ? recommended : processes
}

/** Looks and scales until the returned function is called. */
export const autoscale = (options: AutoscalerOptions): (() => Promise<void>) => {
  const { supervisor, stats, targets, everyMs } = options
  const ending = new AbortController()
  const look = async (): Promise<void> => {
    const now = await stats(targets)
    if (ending.signal.aborted) return
    const processes = supervisor.processes().filter(({ phase }) => phase !== "leaving").length
    const wanted = decide(now.recommendedWorkers, now.workers, processes)
    options.onLook?.(now, wanted)
    if (wanted !== processes) supervisor.scale(wanted)
  }
  const loop = async (): Promise<void> => {
    while (!ending.signal.aborted) {
      // a store that is away for a moment is no reason to stop looking
      await look().catch((error: unknown) => options.onError?.(error))
      await sleep(everyMs, undefined, { signal: ending.signal }).catch(() => undefined)
    }
  }
  const ended = loop()
  return async () => {
    ending.abort()
    await ended
  }
}
