/** The durable calls: what each records, and how it settles. */
import type { DurationInput } from "../define/index.ts"
import type { Message } from "../engine/engine.ts"
import { toMillis } from "../options.ts"
import type { Attempt } from "./attempt.ts"
import type { Waiting } from "./body.ts"
import { encodeError, plainError } from "./body.ts"
import type { DurableCall } from "./call.ts"
import { delivery } from "./live.ts"
import { atTime } from "./timer.ts"

/** `until`: the end in store time, as it is told when the call is made. */
export const startSleep = (attempt: Attempt, until: () => number): DurableCall<void> =>
  attempt.start("sleep", "", ({ index, entries, resolve, reject }) => {
    let stop: (() => void) | undefined
    let end: number | undefined
    /** A cancel may come before its entry is written. */
    let over = false
    const wake = (due: number): void => {
      end = due
      if (over || entries.some((entry) => entry.t === "woke")) return
      stop = atTime(attempt, due, () =>
        attempt.record(
          { t: "woke", c: index },
          delivery(() => {
            attempt.advanceTo(due)
            resolve(undefined)
          }),
        ),
      )
    }
    const recorded = entries[0]
    if (recorded?.t === "sleep") wake(recorded.due)
    else {
      const due = Math.ceil(until())
      void attempt.note({ t: "sleep", c: index, due }).then(() => attempt.over || wake(due))
    }
    return {
      settle: (entry) => entry.t === "woke" && resolve(undefined),
      reject: (error) => {
        over = true
        reject(error)
      },
      cancellable: true,
      wakes: () => (end === undefined ? undefined : { due: end }),
      stop: () => stop?.(),
    }
  })

export interface ReceiveRequest {
  readonly timeout?: DurationInput
  /** Messages for which it is false stay unread. */
  readonly filter?: (payload: any) => boolean
}

export const startReceive = (
  attempt: Attempt,
  names: ReadonlyArray<string>,
  { timeout, filter }: ReceiveRequest,
  envelope: (message: Message) => { readonly payload: unknown },
): DurableCall<unknown> =>
  attempt.start("receive", names.join(" "), ({ index, entries, resolve, reject }) => {
    let stop: (() => void) | undefined
    /** Written: the wait is known to later attempts. */
    let waits: Waiting | undefined
    let settled = entries.some((entry) => entry.t === "got")
    // a payload that this code's type refuses fails the call
    const give = (message: Message | undefined): void => {
      let given: unknown
      try {
        given = message === undefined ? undefined : envelope(message)
      } catch (error) {
        return reject(error)
      }
      resolve(given)
    }
    // With the next write (J3): until then nothing depends on it, and an attempt that is lost leaves the message unread
    const got = (message: Message | undefined): void => {
      settled = true
      stop?.()
      attempt.recordDeferred(
        { t: "got", c: index, m: message?.number ?? 0 },
        delivery(
          () => give(message),
          () => message !== undefined && attempt.options.inbox.markUnread(message.number),
        ),
      )
    }
    // recorded, so that a replay fails here too, and the handler sees the same
    const threw = (error: unknown): void => {
      settled = true
      stop?.()
      attempt.recordDeferred(
        { t: "got", c: index, m: 0, e: encodeError(error, {}) },
        delivery(() => reject(error)),
      )
    }
    const arm = (due: number | undefined): void => {
      waits = due === undefined ? { on: names } : { due, on: names }
      if (!settled && due !== undefined) stop = atTime(attempt, due, () => !settled && got(undefined))
    }
    const recorded = entries[0]
    if (recorded?.t === "receive") arm(recorded.due)
    else {
      const due = timeout === undefined ? undefined : attempt.shard.timeAfter(toMillis(timeout, "the timeout of receive"))
      void attempt
        .note({ t: "receive", c: index, n: names.join(" "), ...(due === undefined ? {} : { due }) })
        .then(() => attempt.over || arm(due))
    }
    return {
      settle: (entry) => {
        if (entry.t !== "got") return
        if (entry.e !== undefined) return reject(plainError(entry.e))
        give(entry.m === 0 ? undefined : attempt.options.inbox.get(entry.m))
      },
      reject: (error) => {
        settled = true
        reject(error)
      },
      cancellable: true,
      wakes: () => waits,
      offer: (message) => {
        if (settled || message.kind !== "signal" || !names.includes(message.name)) return false
        try {
          if (filter !== undefined && !filter(envelope(message).payload)) return false
        } catch (error) {
          threw(error)
          return false
        }
        got(message)
        return true
      },
      stop: () => stop?.(),
    }
  })
