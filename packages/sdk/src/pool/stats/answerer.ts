/**
 * A worker's answer to `stats()`. It is asked over the pool's bus rather than made to write: an idle pool then costs nothing, and what it
 * says is of this moment. A question or an answer that is lost is asked for again.
 */
import type { Engine, Unsubscribe } from "../../engine/engine.ts"
import type { WorkerReport } from "./worker-stats.ts"

export const questionChannel = "stats"
/** The question is the name of the channel for the answers. */
export const answerChannel = (id: string): string => `${questionChannel}:${id}`

export const answerStats = async (engine: Engine, pool: string, report: () => WorkerReport): Promise<Unsubscribe> => {
  return await engine.subscribe(pool, questionChannel, (channel) => {
    // whoever asked asks again
    engine.publish(pool, channel, JSON.stringify(report())).catch(() => undefined)
  })
}
