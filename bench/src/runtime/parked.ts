/** What a million parked runs cost one worker and its store, and how fast one of them is awake. */
import type { StoreName } from "../command.ts"
import { quantile } from "../figure.ts"
import type { Found } from "../found.ts"
import { ParkedPool } from "../pool/parked-pool.ts"
import type { Stage } from "../stage.ts"
import type { FigureName } from "./figures.ts"

/** Prime to the number of jobs: no two signals in a row are for neighbours. */
const stride = 7_919
const everyMs = 10
const warmUp = { count: 1_000, everyMs: 2 }

/** The runs are parked once: it takes most of the time, and bytes do not vary. Memory and wakes are those of a new worker each run. */
export const measureParked = async (stage: Stage, store: StoreName, runs: number, found: Found<FigureName>): Promise<void> => {
  const jobs = stage.quick ? 100_000 : 1_000_000
  const pool = new ParkedPool(stage, { store, size: 1 })
  try {
    await pool.join()
    const without = await pool.memory()
    const bytes = found.add("bytesPerParkedRun", await pool.bytesPerJob(jobs, false))
    stage.say(
      `parked: ${jobs} runs, ${bytes.toFixed(0)} bytes each; the worker that parked them grew by ${mb((await pool.memory()) - without)}`,
    )
    for (let run = 1; run <= runs; run++) {
      // V8 gives back late what parking a million runs needed, so what it holds for them is seen in one that came later
      await pool.leave()
      await pool.join()
      const samples = await pool.signal("parked", { count: stage.quick ? 100 : 300, everyMs, jobs, stride, warmUp })
      const memory = found.add("parkedWorkerMb", (await pool.memory()) - without)
      const wake = found.add("wakeParkedMs", quantile(samples, 0.5))
      stage.say(
        `parked ${run}/${runs}: a worker has ${mb(memory)} more than without; wake p50 ${wake.toFixed(2)}, p99 ${quantile(samples, 0.99).toFixed(2)} ms`,
      )
    }
  } finally {
    await pool.end()
  }
}

const mb = (value: number): string => `${value.toFixed(0)} MB`
