/** The messages of a run while its handler runs. */
import type { AskedEnd } from "./asked-end.ts"
import type { AttemptOptions } from "./attempt-options.ts"
import type { Entry } from "./journal.ts"
import type { JournalWriter } from "./journal-writer.ts"
import type { Live } from "./live.ts"
import { delivery } from "./live.ts"
import type { OutstandingCalls } from "./outstanding.ts"
import type { Replay } from "./replay.ts"

export interface MessageDesk {
  readonly attempt: {
    readonly options: Pick<AttemptOptions, "inbox" | "applyUpdate">
    record(entry: Entry, live: Live): void
  }
  readonly calls: OutstandingCalls
  readonly replay: Replay
  readonly writer: JournalWriter
  readonly end: AskedEnd
}

/**
 * To be called when the handler rests at an await of `job.*`: messages that change the run are applied now (J4), and calls that wait get theirs. A
 * cancel does not wait for such an await.
 */
export const handleMessages = ({ attempt, calls, replay, writer, end }: MessageDesk): void => {
  const { inbox, applyUpdate } = attempt.options
  const resting = calls.size > 0
  for (const message of inbox.unread()) {
    if (!resting && message.kind !== "cancel") continue
    switch (message.kind) {
      case "update": {
        inbox.markRead(message.number)
        const answer = applyUpdate(message)
        writer.answer(message, JSON.stringify(answer))
        const refused = "error" in answer ? { no: true as const } : {}
        attempt.record(
          { t: "update", c: replay.made, m: message.number, ...refused },
          delivery(() => undefined),
        )
        return
      }
      case "cancel":
        inbox.markRead(message.number)
        return end.cancel(message.number)
      case "input":
        // takes effect at the next iteration
        break
      case "result":
        // the call that waits for it is recorded, and the handler has yet to make it again
        if (!replay.exhausted) break
        inbox.markRead(message.number)
        // an answer that no call waits for belongs to an older try: it changes nothing (T1)
        for (const call of calls.all()) if (call.offer?.(message) === true) break
        break
      case "signal":
        for (const call of calls.all()) {
          if (call.offer?.(message) !== true) continue
          inbox.markRead(message.number)
          break
        }
    }
  }
}
