/** Calls of a client that goes on until the store has answered. */
import { InboxFull, NoWorker, OutcomeUnknown, StoreUnavailable, WaitTimeout } from "../../src/errors.ts"

export const delay = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

export const retryable = (error: unknown): boolean =>
  [StoreUnavailable, OutcomeUnknown, NoWorker, InboxFull, WaitTimeout].some((tagged) => tagged.is(error))

/** Repeats until the store has answered. */
export const insist = async <T>(call: () => Promise<T>, stopped: () => boolean): Promise<T> => {
  for (;;) {
    try {
      return await call()
    } catch (error) {
      if (!retryable(error) || stopped()) throw error
      await delay(20)
    }
  }
}
