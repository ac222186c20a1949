/** What a run's record tells: the part that `describe` and lists have in common. */
import type { RunRecord } from "../engine/engine.ts"
import type { Body, Outcome } from "../runtime/body.ts"
import type { RunFacts } from "./options.ts"

export const factsOf = (record: RunRecord, body: Body): RunFacts => {
  const { run, phase, due, on } = record
  const outcome = record.outcome === undefined ? undefined : (JSON.parse(record.outcome) as Outcome)
  return {
    run,
    phase,
    iteration: body.iteration ?? 1,
    attempt: (body.failures ?? 0) + 1,
    labels: body.labels ?? {},
    updatedAt: body.at === undefined ? undefined : new Date(body.at),
    nextWake: due === undefined || phase !== "parked" ? undefined : new Date(due),
    wakesOn: phase === "parked" ? on : [],
    lastError: outcome?.type === "failed" ? outcome.error.message : body.error,
    lastFailure: body.trouble,
    blocked: body.blocked,
    outcome: outcome?.type,
    reason: outcome !== undefined && "reason" in outcome ? outcome.reason : undefined,
  }
}
