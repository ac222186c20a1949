/**
 * Sagas: what was done is undone when the run ends badly. Compensations are steps, so that each is done once; they run when no later attempt will
 * get over the failure: after a declared error, a cancel or a limit in time, or the last attempt of the job's retry policy.
 */
import { BadOption } from "../errors.ts"
import type { Attempt } from "./attempt.ts"
import { isDeclared, tagOrName } from "./body.ts"
import type { StepRequest } from "./step-call.ts"
import { retryDelay } from "./retry.ts"

interface Compensation {
  readonly name: string
  readonly body: (signal: AbortSignal) => unknown
  readonly options: StepRequest | undefined
}

export interface SagaHost {
  readonly attempt: Attempt
  /** Of the iteration: 1, 2, 3 … */
  readonly tries: number
  readonly step: (name: string, body: (signal: AbortSignal) => unknown, options?: StepRequest) => Promise<unknown>
}

export class Saga {
  readonly compensations: Array<Compensation> = []

  /** Registers what undoes the last step: to be called when that has succeeded. */
  undo(name: string, body: (signal: AbortSignal) => unknown, options?: StepRequest): void {
    if (typeof name !== "string" || name === "" || typeof body !== "function")
      throw new BadOption(`expected saga.undo to get a name and a function, got: ${JSON.stringify(name)}, ${typeof body}`)
    this.compensations.push({ name, body, options })
  }
}

/** No later attempt follows a failure with this error. */
const isFinal = (attempt: Attempt, error: unknown, tries: number): boolean => {
  const { kind, run } = attempt.options
  if (attempt.ending !== undefined || isDeclared(error, kind.contract.schemas.errors)) return true
  return retryDelay(kind.retry, tries, run, tagOrName(error)) === undefined
}

export const runSaga = async (host: SagaHost, body: (saga: Saga) => unknown): Promise<unknown> => {
  const saga = new Saga()
  const { attempt } = host
  try {
    return await attempt.options.effects.settle(body(saga), { signal: attempt.abortSignal })
  } catch (error) {
    // one that was stopped by force goes on elsewhere
    if (attempt.dead === undefined && isFinal(attempt, error, host.tries))
      for (const { name, body: undo, options } of saga.compensations.toReversed()) await host.step(`undo ${name}`, undo, options)
    throw error
  }
}
