/** Ends a run without its handler. */
import type { TerminateReply } from "../engine/engine.ts"
import type { Outcome } from "../runtime/body.ts"
import type { JobAddress } from "../runtime/address.ts"
import type { ClientCore } from "./core.ts"

/** `run`: only this one. */
export const terminateRun = (core: ClientCore, at: JobAddress, reason: string, run?: string): Promise<TerminateReply> => {
  const outcome: Outcome = { type: "terminated", reason }
  return core.terminate({
    shard: at.shard,
    address: at.address,
    ...(run === undefined ? {} : { run }),
    outcome: JSON.stringify(outcome),
    newRevision: `t.${crypto.randomUUID()}`,
    retention: core.options.resultRetentionMs,
  })
}
