/** How a start meets the run that has its key: one decision for clients and handlers, who differ in how they give an answer. Pure. */
import type { StartReply } from "../engine/engine.ts"
import type { IfRunning } from "./start-request.ts"

export type StartVerdict =
  /** This run has the key: the new one, or the one that was joined. */
  | { readonly do: "give"; readonly run: string }
  /** End this run, and start again: another one may have begun between the two. */
  | { readonly do: "replace"; readonly run: string }
  | {
      readonly do: "refuse"
      readonly tag: "RunExists" | "RunEnded" | "InboxFull"
      readonly message: string
      readonly details: Readonly<Record<string, unknown>>
    }
  /** Nothing may be started by this one any more (a newer controller, a parent that has ended). */
  | { readonly do: "stop" }

export const judgeStart = (reply: StartReply, address: string, ifRunning: IfRunning = "join", inboxLimit: number): StartVerdict => {
  const { status, run } = reply
  if (status === "running" && ifRunning === "replace") return { do: "replace", run }
  if (status === "running" && ifRunning === "reject")
    return {
      do: "refuse",
      tag: "RunExists",
      message: `${address} already has the live run ${run}. Use ifRunning: "join" to go on with it.`,
      details: { run },
    }
  if (status === "ended")
    return {
      do: "refuse",
      tag: "RunEnded",
      message: `${address} has the ended run ${run}, still retained. Use ifEnded: "start" to start it anew.`,
      details: { run },
    }
  if (reply.signal === "full")
    return {
      do: "refuse",
      tag: "InboxFull",
      message: `the live run ${run} of ${address} has ${inboxLimit} unread messages, so the signal was refused. Retry later, or let the job read faster.`,
      details: { limit: inboxLimit },
    }
  return status === "started" || status === "running" ? { do: "give", run } : { do: "stop" }
}
