/** The history of tries that an activity's error carries: the whole of it, in bounded size. */
import type { FailedTry } from "./body.ts"

/** Tries that are kept: the first ones, and the last ones. */
const firstKept = 10
const lastKept = 40
/** Of each message, in characters. */
const messageMax = 500

export const failedTry = (
  number: number,
  error: { readonly tag: string; readonly message: string },
  about: {
    readonly started: number | undefined
    readonly failed: number
    readonly worker: string | undefined
    readonly missed: FailedTry["missed"]
  },
): FailedTry => ({
  try: number,
  ...(about.started === undefined ? {} : { started: new Date(about.started).toISOString() }),
  failed: new Date(about.failed).toISOString(),
  ...(about.worker === undefined ? {} : { worker: about.worker }),
  ...(about.missed === undefined ? {} : { missed: about.missed }),
  tag: error.tag,
  message: error.message.slice(0, messageMax),
})

/** With one more try; those in the middle leave when there are too many: the numbers tell. */
export const withTry = (tries: ReadonlyArray<FailedTry>, next: FailedTry): ReadonlyArray<FailedTry> =>
  tries.length < firstKept + lastKept ? [...tries, next] : [...tries.slice(0, firstKept), ...tries.slice(firstKept + 1), next]
