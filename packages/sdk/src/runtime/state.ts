/**
 * A stored state as this code knows it: upgraded, version by version, and decoded. Stored states stay as they are until their run is written next;
 * what newer code wrote is never loaded.
 */
import { StateTooNew } from "../errors.ts"
import type { Body } from "./body.ts"
import type { JobKind } from "./kind.ts"

/** `input`: decoded, for a run that has no state yet. */
export const loadState = (kind: JobKind, body: Body, input: unknown, what: string): unknown => {
  if (body.state === undefined) return kind.handlers.init?.(input)
  const { stateVersion, handlers } = kind
  const stored = body.sv ?? 1
  if (stored > stateVersion)
    throw new StateTooNew(
      `expected the state of ${what} to be of version ${stateVersion} at the most, got: ${stored}, written by newer code. The run waits: deploy that code here.`,
      { stored, known: stateVersion },
    )
  let state: unknown = body.state
  for (let version = stored; version < stateVersion; version++) {
    // there is one for each: createWorker saw to it
    state = handlers.upgrade?.[version]?.(state)
  }
  return kind.state?.decode(state, `the state of ${what} (written by contract ${body.version ?? "?"})`)
}
