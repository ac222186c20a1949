/** Ends a run without its handler: what the store is asked, by clients and by runs. */
import type { TerminateItem } from "../engine/engine.ts"
import type { Outcome } from "./body.ts"

/** `run`: only this one. */
export const terminationOf = (
  { shard, address, run }: Pick<TerminateItem, "shard" | "address" | "run">,
  reason: string,
  retention: number,
): TerminateItem => {
  const outcome: Outcome = { type: "terminated", reason }
  const ended = { outcome: JSON.stringify(outcome), newRevision: `t.${crypto.randomUUID()}`, retention }
  return { shard, address, ...(run === undefined ? {} : { run }), ...ended }
}
