// The job that the benches run: as small as a real definition can be.
import { defineJob, type } from "@ponos/sdk/define"

export interface PingInput {
  id: string
  /** When its start was called, ms on the clock of clock.ts. */
  sentAt: number
}

/** Does nothing, once. */
export const ping = defineJob({ kind: "ping", input: type<PingInput>(), key: "id" })
