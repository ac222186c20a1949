/**
 * Which deadline of a try comes first (T1). Pure: times are of the store's clock, in ms.
 *
 * - D1 A try that nobody was heard to have begun has its start deadline: `startTimeout` after it may start. An owner that took the run over
 *   has not heard what was told before: it gives running tries the time to tell again.
 * - D2 One that began has `timeout` from then, and `heartbeatTimeout` from its last heartbeat, the start counted as one. Its worker minds both to
 *   the millisecond.
 *   What happened in time gets a moment to be heard of (D1, D2).
 * - D3 `totalTimeout` counts from the call; where it comes first or at the same time, it decides, and no other try follows.
 */
import type { FailedTry } from "./body.ts"
import type { ActivityLimits } from "./activity-limits.ts"

/** How often the worker of a try tells that it runs, ms. */
export const aliveMs = 5_000
/**
 * A try that is not heard to have begun is added to its queue again after this time, ms, and after twice as long each time: the queue may have lost it
 * (decision 0003), and one that waits there for hours is not to be asked for all the time. Far above what a result needs to be heard of.
 */
export const addAgainMs = 10_000
/** How long the new owner of a run waits for a try to be heard of, at least, ms. */
const resumeMs = 3 * aliveMs
/** How long a start, a heartbeat or a result may be on its way, ms. */
const transitMs = 1_000

export interface TryTimes {
  /** Of the call. */
  readonly scheduled: number
  /** When this try may start. */
  readonly due: number
  /** When this owner took it over from another one. */
  readonly resumed: number | undefined
  readonly started: number | undefined
  /** Of its last heartbeat. */
  readonly beat: number | undefined
}

export interface Deadline {
  readonly at: number
  readonly of: NonNullable<FailedTry["missed"]>
}

type Limits = Pick<ActivityLimits, "timeout" | "startTimeout" | "totalTimeout" | "heartbeatTimeout">

export const deadlineOf = (limits: Limits, times: TryTimes): Deadline => {
  const own = times.started === undefined ? startDeadline(limits, times) : runDeadline(limits, times.started, times.beat)
  if (limits.totalTimeout === undefined) return own
  const total = times.scheduled + limits.totalTimeout
  return total <= own.at ? { at: total, of: "total" } : own
}

const startDeadline = ({ startTimeout }: Limits, { due, resumed }: TryTimes): Deadline => {
  const again = resumed === undefined ? due : resumed + Math.min(startTimeout, resumeMs)
  return { at: Math.max(due + startTimeout, again) + transitMs, of: "start" }
}

const runDeadline = ({ timeout, heartbeatTimeout }: Limits, started: number, beat = started): Deadline => {
  const close = started + timeout + transitMs
  if (heartbeatTimeout === undefined) return { at: close, of: "close" }
  const silent = beat + heartbeatTimeout + transitMs
  return silent < close ? { at: silent, of: "heartbeat" } : { at: close, of: "close" }
}

/** What a missed deadline says to whoever reads the error. */
export const missed = (of: Deadline["of"], limits: Limits, what: string): string => {
  switch (of) {
    case "start":
      return `${what} was not started within ${limits.startTimeout} ms (startTimeout). Is a worker running that registered it, with room for it in its queue?`
    case "close":
      return `${what} has not ended within ${limits.timeout} ms of its start (timeout). It was told to stop: raise the timeout, or heed call.abortSignal.`
    case "heartbeat":
      return `${what} gave no heartbeat within ${limits.heartbeatTimeout} ms (heartbeatTimeout). Its worker is gone or hangs, or it must call call.heartbeat() more often.`
    case "total":
      return `${what} was under way when the activity's ${limits.totalTimeout} ms were over (totalTimeout).`
  }
}
