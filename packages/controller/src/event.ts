/** What happens beside the plan, for logs and alarms. Every event has one line of text that says what was expected, came, and can be done. */
import type { RowProblem } from "./desired.ts"
import type { GuardReason } from "./guard.ts"
import type { Action } from "./plan.ts"

export type ControllerEvent =
  | { readonly type: "row"; readonly problem: RowProblem; readonly message: string }
  | { readonly type: "source"; readonly message: string }
  | {
      readonly type: "guard"
      readonly hash: string
      readonly stops: number
      readonly reasons: ReadonlyArray<GuardReason>
      readonly message: string
    }
  | { readonly type: "foreign"; readonly address: string; readonly owner: string; readonly message: string }
  | { readonly type: "action"; readonly action: Action; readonly message: string }
  | { readonly type: "superseded"; readonly message: string }
  /** The store was emptied or replaced since the last pass (P9), or a part of it does not answer. */
  | { readonly type: "store"; readonly message: string }
  /** A callback threw, or the controller's job had to be started anew. */
  | { readonly type: "controller"; readonly message: string }

/** Lines remembered, so that a pass every few seconds does not repeat what it said. */
const maxRemembered = 10_000

/** Hands events to `listener`, or prints each new one once on stderr. A listener that throws harms nothing. */
export const reporter = (name: string, listener: ((event: ControllerEvent) => void) | undefined): ((event: ControllerEvent) => void) => {
  const said = new Set<string>()
  return (event) => {
    if (listener !== undefined) {
      try {
        listener(event)
      } catch (error) {
        process.stderr.write(`ponos controller ${name}: onEvent threw: ${String(error)}\n`)
      }
      return
    }
    if (said.has(event.message)) return
    if (said.size >= maxRemembered) said.clear()
    said.add(event.message)
    process.stderr.write(`ponos controller ${name}: ${event.message}\n`)
  }
}
