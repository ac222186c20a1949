/** Ends a run without its handler. */
import type { TerminateReply } from "../engine/engine.ts"
import type { JobAddress } from "../runtime/address.ts"
import { terminationOf } from "../runtime/termination.ts"
import type { ClientCore } from "./core.ts"

/** `run`: only this one. */
export const terminateRun = (core: ClientCore, { shard, address }: JobAddress, reason: string, run?: string): Promise<TerminateReply> =>
  core.terminate(terminationOf({ shard, address, ...(run === undefined ? {} : { run }) }, reason, core.options.resultRetentionMs))
