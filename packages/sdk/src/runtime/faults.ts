/** What a failure of an iteration means for its run. */
import { BadInput, BadOption, JournalFull, NotAllowed, PayloadTooLarge, ReplayMismatch, StateTooNew, StoreFault } from "../errors.ts"

/** Errors of code and data that a retry cannot mend: the run waits for code or an operator. */
export const blocks = (error: unknown): boolean =>
  ReplayMismatch.is(error) || JournalFull.is(error) || StoreFault.is(error) || StateTooNew.is(error)

/** Faults of what an attempt ends with: a state or result that does not match its type or is too large, or was written where it is lost, a wrong option of `again`. */
export const isFault = (error: unknown): boolean =>
  BadInput.is(error) || PayloadTooLarge.is(error) || BadOption.is(error) || NotAllowed.is(error)
