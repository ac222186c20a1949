/** What the bench `runtime` finds. */
import type { Kind } from "../found.ts"

export const kinds = {
  startsPerSecond: { label: "starts/s, 500 in flight", unit: "1/s", better: "more", goalRatio: 3 },
  endToEndPerSecond: { label: "jobs/s, start to completed", unit: "1/s", better: "more", goalRatio: 4 },
  stepsPerSecond: { label: "durable steps/s, 10 a job", unit: "1/s", better: "more", goalRatio: 2 },
  stepMs: { label: "one step alone, p50 ms", unit: "ms", goal: 0.25 },
  signalP50Ms: { label: "signal to receive in an iteration, p50 ms", unit: "ms", goal: 0.8 },
  signalP99Ms: { label: "the same, p99 ms", unit: "ms" },
  signalParkedP50Ms: { label: "signal to handler of a parked run, p50 ms", unit: "ms", goal: 0.8 },
  signalParkedP99Ms: { label: "the same, p99 ms", unit: "ms" },
  bytesPerParkedRun: { label: "bytes in the store of a parked run", unit: "bytes", goal: 600 },
  parkedWorkerMb: { label: "memory of a worker by its parked runs", unit: "MB", goal: 200 },
  wakeParkedMs: { label: "signal to handler of one of them, p50 ms", unit: "ms", goal: 5 },
} as const satisfies Record<string, Kind>

export type FigureName = keyof typeof kinds
