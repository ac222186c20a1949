/** What the bench `pool` finds. */
import type { Found as FoundOf, Kind } from "../found.ts"

export const kinds = {
  takeoverCrashMs: { label: "SIGKILL to all jobs running elsewhere", unit: "ms", goal: 600 },
  takeoverCrashFastMs: { label: "the same, probeMs 25, reconnectGraceMs 60", unit: "ms", goal: 250 },
  takeoverFreezeMs: { label: "SIGSTOP to all jobs running elsewhere", unit: "ms", goal: 7_000 },
  takeoverFreezeFastMs: { label: "the same, leaseMs 1000", unit: "ms", goal: 1_500 },
  handoverP50Ms: { label: "drain: close to next handler, p50", unit: "ms", goal: 20 },
  handoverP99Ms: { label: "drain: close to next handler, p99", unit: "ms", goal: 100 },
  overlapWrites: { label: "accepted writes by two owners", unit: "count", goal: 0, worst: true },
  overlapUserMs: { label: "user code of one job on two workers", unit: "ms", goal: 0, worst: true },
  thawSettleMs: { label: "SIGCONT to all aborted handlers settled", unit: "ms", worst: true },
  frozenPieceMs: { label: "what SIGSTOP met in the middle, after SIGCONT", unit: "ms", worst: true },
  movedRatioJoin: { label: "10 to 11 workers: shards moved / ideal", unit: "ratio", goal: 1.1 },
  movedRatioLeave: { label: "11 to 10 workers: shards moved / ideal", unit: "ratio", goal: 1.1 },
  idleCallsPerSecondEmpty: { label: "calls/s of 3 idle workers, no jobs", unit: "1/s", goal: 100 },
  idleCallsPerSecond: { label: "the same, parked jobs", unit: "1/s", goal: 100 },
  idleInnerCommandsPerSecond: { label: "inner commands/s of their scripts", unit: "1/s" },
  idleWorkerMb: { label: "memory of an idle worker over base", unit: "MB", goal: 30 },
  bytesPerParkedJob: { label: "bytes in Redis of a parked job", unit: "bytes", goal: 600 },
  bytesPerParkedJobTimer: { label: "the same, with a timer", unit: "bytes", goal: 600 },
  latencyP50Ms: { label: "start to handler at 200/s, p50", unit: "ms", goal: 0.7 },
  latencyP99Ms: { label: "start to handler at 200/s, p99", unit: "ms", goal: 5 },
} as const satisfies Record<string, Kind>

export type FigureName = keyof typeof kinds
export type Found = FoundOf<FigureName>
