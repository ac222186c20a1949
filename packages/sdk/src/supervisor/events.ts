/** What a supervisor tells, and how it reads as a line. */
import type { PonosError } from "../errors.ts"

interface OfProcess {
  /** 1 … processes. */
  readonly number: number
}

export type SupervisorEvent =
  | (OfProcess & { readonly type: "started"; readonly pid: number })
  /** Its first worker has joined. */
  | (OfProcess & { readonly type: "ready"; readonly pid: number })
  /** It lives, and no worker of it has joined after `healthyMs`: its module waits for something. Told once a process. */
  | (OfProcess & { readonly type: "notReady"; readonly pid: number; readonly ms: number })
  | (OfProcess & {
      readonly type: "exited"
      readonly pid: number
      readonly code: number | null
      readonly signal: string | null
      /** Its last words, or "". */
      readonly why: string
      readonly livedMs: number
    })
  /** It is started again after the delay. */
  | (OfProcess & { readonly type: "restarting"; readonly failures: number; readonly delayMs: number })
  | { readonly type: "scaling"; readonly from: number; readonly to: number }
  | { readonly type: "draining"; readonly why: string; readonly processes: number }
  /** They did not drain in time, or nobody wanted to wait for it. */
  | { readonly type: "killing"; readonly why: string; readonly processes: number }
  | { readonly type: "gaveUp"; readonly error: PonosError }

const counted = (count: number): string => `${count} ${count === 1 ? "process" : "processes"}`

/** `undefined`: not worth a line. */
export const describeEvent = (event: SupervisorEvent): string | undefined => {
  switch (event.type) {
    case "started":
      return `worker ${event.number} started, pid ${event.pid}`
    case "ready":
      return undefined
    case "notReady":
      return (
        `worker ${event.number}, pid ${event.pid}, has joined no pool after ${event.ms / 1_000} s: its module has not come as far as createWorker, or awaits something. ` +
        "It is waited for."
      )
    case "exited": {
      const how =
        event.signal === null ? (event.code === null ? "did not start" : `exited with code ${event.code}`) : `ended by ${event.signal}`
      return `worker ${event.number} ${how} after ${(event.livedMs / 1_000).toFixed(1)} s${event.why === "" ? "" : `: ${event.why}`}`
    }
    case "restarting":
      return `worker ${event.number} restarts in ${event.delayMs} ms${event.failures === 1 ? "" : `, after ${event.failures} failures in a row`}`
    case "scaling":
      return `scaling from ${counted(event.from)} to ${event.to}`
    case "draining":
      return `${event.why}, draining ${counted(event.processes)}`
    case "killing":
      return `${event.why}, killing ${counted(event.processes)}`
    case "gaveUp":
      return event.error.message
  }
}
