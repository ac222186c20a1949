/** The end of a run, as those see it who asked for its result. */
import { cancelled, decodeError, runFailed, terminated } from "./body.ts"
import type { Outcome } from "./body.ts"
import type { JobContract } from "./contract.ts"
import { codecOf } from "./contract.ts"
import { timedOut } from "./ending.ts"

/** Gives the result, or throws the declared error, `Cancelled`, `Terminated`, `TimedOut` or `RunFailed`. */
export const readOutcome = ({ schemas, failures }: JobContract, what: string, outcome: Outcome): unknown => {
  switch (outcome.type) {
    case "done":
      return codecOf(schemas.result).decode(outcome.value, `the result of ${what}`)
    case "failed":
      throw decodeError(outcome.error, schemas.errors, failures, runFailed(what))
    case "cancelled":
      throw cancelled(what, outcome.reason)
    case "timedOut":
      throw timedOut(what, outcome.of)
    case "terminated":
      throw terminated(what, outcome.reason)
  }
}
