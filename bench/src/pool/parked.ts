/** What a hundred thousand parked jobs cost: bytes in Redis, calls of idle workers, memory of an idle worker. */
import type { Stage } from "../stage.ts"
import type { Found } from "./found.ts"
import { ParkedPool } from "./parked-pool.ts"
import { trafficOf } from "./traffic.ts"

const size = 3

export const measureParked = async (stage: Stage, runs: number, found: Found): Promise<void> => {
  const jobs = stage.quick ? 20_000 : 100_000
  const windowMs = stage.quick ? 4_000 : 10_000
  for (let run = 1; run <= runs; run++) {
    const pool = new ParkedPool(stage, { store: "redis", size })
    try {
      await pool.join()
      const empty = await trafficOf(stage.redis.url, windowMs)
      found.add("idleCallsPerSecondEmpty", empty.calls)
      const plain = found.add("bytesPerParkedJob", await pool.bytesPerJob(jobs, false))
      const busy = await pool.memory()
      // whoever parked jobs has memory for more to come: what comes then is idle from the beginning
      await pool.leave()
      await pool.join()
      const { calls, inner } = await trafficOf(stage.redis.url, windowMs)
      found.add("idleCallsPerSecond", calls)
      found.add("idleInnerCommandsPerSecond", inner)
      const [own, base] = [await pool.memory(), await pool.baseMemory()]
      found.add("idleWorkerMb", own - base)
      const timed = found.add("bytesPerParkedJobTimer", await pool.bytesPerJob(jobs, true))
      stage.say(`parked ${run}/${runs}: ${plain.toFixed(0)} bytes a job, ${timed.toFixed(0)} with a timer`)
      stage.say(`idle ${run}/${runs}: ${empty.calls.toFixed(1)} calls/s without jobs, ${calls.toFixed(1)} with ${jobs} parked ones`)
      const after = `${busy.toFixed(0)} MB when it had just parked its part of them`
      stage.say(`memory ${run}/${runs}: worker ${own.toFixed(0)} MB, base ${base.toFixed(0)} MB; ${after}`)
    } finally {
      await pool.end()
    }
  }
}
