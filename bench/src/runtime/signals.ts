/** How long a signal takes until its handler has it, of handlers that wait inside an iteration, and of runs that are parked. */
import type { StoreName } from "../command.ts"
import { quantile } from "../figure.ts"
import type { Found } from "../found.ts"
import { ParkedPool } from "../pool/parked-pool.ts"
import type { Stage } from "../stage.ts"
import type { FigureName } from "./figures.ts"

/** Each gets a signal every 200 ms: far from where a waiting handler leaves memory (`parkAfterMs`). */
const jobs = 20
const everyMs = 10
/** A worker runs for days: what is measured is compiled code, as of all other figures. Hundreds a second, so that it takes seconds. */
const warmUp = { count: 2_000, everyMs: 2 }

export const measureSignals = async (stage: Stage, store: StoreName, runs: number, found: Found<FigureName>): Promise<void> => {
  const plan = { count: stage.quick ? 150 : 400, everyMs, jobs, stride: 1, warmUp }
  for (let run = 1; run <= runs; run++) {
    const pool = new ParkedPool(stage, { store, size: 1 })
    try {
      await pool.join()
      await pool.listen(jobs)
      await pool.park(jobs, false)
      const waiting = await pool.signal("listener", plan)
      const parked = await pool.signal("parked", plan)
      const of = (samples: ReadonlyArray<number>, p50: FigureName, p99: FigureName): string => {
        found.add(p50, quantile(samples, 0.5))
        found.add(p99, quantile(samples, 0.99))
        return `p50 ${quantile(samples, 0.5).toFixed(2)} ms, p99 ${quantile(samples, 0.99).toFixed(2)} ms`
      }
      stage.say(`signal ${run}/${runs}: received ${of(waiting, "signalP50Ms", "signalP99Ms")}`)
      stage.say(`signal ${run}/${runs}: of parked runs ${of(parked, "signalParkedP50Ms", "signalParkedP99Ms")}`)
    } finally {
      await pool.end()
    }
  }
}
