/** An activity that has no result yet, as `describe()` shows it: from the journal, and more of it from the run's owner. */
import type { Entry } from "./journal.ts"
import { effective } from "./journal.ts"

export interface PendingActivity {
  /** Number of its durable call. */
  readonly call: number
  readonly name: string
  /** 1, 2, 3 …: the try that runs, waits for a worker, or comes next. */
  readonly attempt: number
  /** Store times, ms. */
  readonly scheduled: number | undefined
  /** When this try may start. */
  readonly due: number | undefined
  /** Of this try, where its worker was heard of. */
  readonly started?: number | undefined
  readonly worker?: string | undefined
  readonly beat?: number | undefined
  /** Encoded details of its last heartbeat, or of the tries before. */
  readonly details?: unknown
  readonly lastError: string | undefined
}

/** What the journal knows: also when nobody runs the run. */
export const pendingOf = (journal: ReadonlyArray<Entry>): ReadonlyArray<PendingActivity> => {
  const pending = new Map<number, PendingActivity>()
  for (const entry of effective(journal).entries) {
    if (entry.t === "act") {
      const { c, n, at, due = at } = entry
      pending.set(c, { call: c, name: n, attempt: 1, scheduled: at, due, lastError: undefined })
    }
    const before = pending.get(entry.c)
    if (entry.t === "retry" && before !== undefined)
      pending.set(entry.c, {
        ...before,
        attempt: entry.try,
        due: entry.due,
        details: entry.h ?? before.details,
        lastError: entry.e.message,
      })
    if (entry.t === "end") pending.delete(entry.c)
  }
  return [...pending.values()]
}
