/** Why a run is asked to end while its handler runs, what the handler sees of it, and how the run ends then. */
import { TimedOut } from "../errors.ts"
import { cancelled } from "./body.ts"

export type Ending =
  | { readonly type: "cancelled"; readonly reason: string }
  /** Of `timeout` in its definition. */
  | { readonly type: "timedOut"; readonly of: "run" | "iteration" }

export const timedOut = (what: string, of: "run" | "iteration"): Error =>
  new TimedOut(
    of === "run"
      ? `the run of ${what} took longer than timeout.run of its definition allows. It has ended: start it anew, or allow more.`
      : `an iteration of ${what} took longer than timeout.iteration of its definition allows, attempts and back-offs included. The run has ended: start it anew, or allow more.`,
    { of },
  )

export const endingError = (what: string, ending: Ending): Error =>
  ending.type === "cancelled" ? cancelled(what, ending.reason) : timedOut(what, ending.of)

/** Store times at which a run ends. */
export interface Deadlines {
  readonly run: number | undefined
  readonly iteration: number | undefined
}

/** The deadline that has passed, if any; the run's own first. */
export const passed = ({ run, iteration }: Deadlines, now: number): Ending | undefined => {
  if (run !== undefined && run <= now) return { type: "timedOut", of: "run" }
  return iteration !== undefined && iteration <= now ? { type: "timedOut", of: "iteration" } : undefined
}
